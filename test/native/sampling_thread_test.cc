#include "core/sampling_thread.h"

#include <csignal>
#include <thread>

#include "check.h"
#include "core/clock.h"
#include "meters/meters.h"
#include "scratch.h"

namespace wattle {
namespace {

struct Fixture {
  explicit Fixture(int64_t period_ns) : sampler(meters(), slots, period_ns), thread(sampler, period_ns) {
    slots->push(0, 0);
    shape = {64, 1, 4};
    memory.resize(shape.bytes() / sizeof(double));
    sampler.attach(shape, reinterpret_cast<std::byte*>(memory.data()));
  }
  std::vector<PacedMeter> meters() {
    MeterContext context;
    context.settings.set("idleWatts", 100.0);
    context.settings.set("cpuFormat", "pushed");
    context.slots = slots.get();
    std::vector<PacedMeter> all;
    all.push_back({make_model(context).meter, 1});
    return all;
  }
  const ThreadStats& stats() { return thread.stats(); }
  // Waits, without a limit of its own: the test command has one.
  void until(auto condition) {
    while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  std::shared_ptr<CpuSlots> slots = std::make_shared<CpuSlots>(4);
  Sampler sampler;
  RingShape shape;
  std::vector<double> memory;
  SamplingThread thread;
};

TEST(thread_ticks_at_its_rate_and_accounts_for_every_deadline) {
  Fixture fixture(kNsPerSecond / 1000);
  CHECK_EQUAL(fixture.thread.start(), 0);
  fixture.until([&] { return fixture.stats().ticks.get() >= 100; });
  fixture.thread.stop();
  const uint64_t span_ns = fixture.stats().last_tick_ns.get() - fixture.stats().first_tick_ns.get();
  const uint64_t deadlines = fixture.stats().ticks.get() + fixture.stats().missed_ticks.get();
  // On an absolute timer the deadlines do not drift, whatever the machine does.
  const auto expected = static_cast<int64_t>(span_ns / 1'000'000);
  CHECK(std::abs(static_cast<int64_t>(deadlines) - 1 - expected) <= 1 + expected / 10);
  CHECK(fixture.thread.cpu_ns() > 0);
}

// A meter that holds its thread up now and then.
class Sluggish final : public Meter {
 public:
  std::span<const DomainInfo> domains() const noexcept override { return domains_; }
  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    if (++polls_ % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    out[0] = {Reading::Status::kGood, static_cast<uint64_t>(tick.mono_ns), tick.mono_ns};
  }
  void reset() noexcept override {}

 private:
  const std::vector<DomainInfo> domains_{1};
  int polls_ = 0;
};

TEST(thread_makes_up_for_deadlines_that_passed_while_it_was_held_up) {
  constexpr int64_t kPeriodNs = kNsPerSecond / 1000;
  std::vector<PacedMeter> meters;
  meters.push_back({std::make_unique<Sluggish>(), kPeriodNs});
  Sampler sampler(std::move(meters), std::make_shared<CpuSlots>(1), kNsPerSecond);
  const RingShape shape{64, 1, 1};
  std::vector<double> memory(shape.bytes() / sizeof(double));
  sampler.attach(shape, reinterpret_cast<std::byte*>(memory.data()));
  SamplingThread thread(sampler, kPeriodNs);
  thread.start();
  const ThreadStats& stats = thread.stats();
  while (stats.ticks.get() < 200) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  thread.stop();
  CHECK(stats.late_ticks.get() >= 5);
  // Unless the machine itself held it up for longer.
  CHECK(stats.missed_ticks.get() == 0 || stats.lateness_ns.quantile(1) > 16 * kPeriodNs);
  const uint64_t span_ns = stats.last_tick_ns.get() - stats.first_tick_ns.get();
  const auto deadlines = static_cast<int64_t>(stats.ticks.get() + stats.missed_ticks.get());
  CHECK(std::abs(deadlines - 1 - static_cast<int64_t>(span_ns / kPeriodNs)) <= 17);
}

TEST(thread_takes_a_forced_tick_between_two_slow_ones) {
  Fixture fixture(3600 * kNsPerSecond);
  fixture.thread.start();
  fixture.until([&] { return fixture.stats().ticks.get() == 1; });
  fixture.thread.force_tick();
  fixture.until([&] { return fixture.stats().forced_ticks.get() == 1; });
  fixture.thread.force_tick();
  fixture.until([&] { return fixture.stats().forced_ticks.get() == 2; });
  fixture.thread.stop();
  CHECK_EQUAL(fixture.stats().ticks.get(), 1u);
}

TEST(thread_takes_no_more_than_one_forced_tick_per_millisecond) {
  Fixture fixture(kNsPerSecond / 100);
  const int64_t before_ns = monotonic_ns();
  fixture.thread.start();
  const uint64_t ticks = 20;
  while (fixture.stats().ticks.get() < ticks) fixture.thread.force_tick();
  fixture.thread.stop();
  const auto passed_ms = static_cast<uint64_t>((monotonic_ns() - before_ns) * 1000 / kNsPerSecond);
  CHECK(fixture.stats().forced_ticks.get() > 0);
  CHECK(fixture.stats().forced_ticks.get() <= passed_ms + 1);
}

TEST(thread_starts_and_stops_again_and_again) {
  Fixture fixture(kNsPerSecond / 1000);
  for (int i = 0; i < 50; i++) {
    fixture.thread.start();
    fixture.thread.start();
    if (i % 2 == 0) fixture.thread.force_tick();
    fixture.thread.stop();
    fixture.thread.stop();
  }
  CHECK(!fixture.thread.running());
}

TEST(thread_leaves_signals_to_the_program) {
  static std::atomic<pthread_t> handled_by{};
  handled_by = 0;
  std::signal(SIGUSR1, [](int) { handled_by = pthread_self(); });
  Fixture fixture(kNsPerSecond / 1000);
  fixture.thread.start();
  for (int i = 0; i < 20; i++) {
    kill(getpid(), SIGUSR1);
    fixture.until([] { return handled_by != 0; });
    CHECK(pthread_equal(handled_by, pthread_self()) != 0);
    handled_by = 0;
  }
  fixture.thread.stop();
  std::signal(SIGUSR1, SIG_DFL);
}

TEST(thread_shares_slots_with_the_program) {
  Fixture fixture(kNsPerSecond / 10'000);
  fixture.thread.start();
  for (int i = 0; i < 2000; i++) {
    const int32_t slot = fixture.slots->watch(CpuFormat::kPushed, "");
    if (slot < 0) continue;
    fixture.slots->push(static_cast<uint32_t>(slot), i);
    fixture.thread.force_tick();
    fixture.slots->unwatch(static_cast<uint32_t>(slot));
  }
  fixture.until([&] { return fixture.stats().forced_ticks.get() > 0; });
  fixture.thread.stop();
}

}  // namespace
}  // namespace wattle
