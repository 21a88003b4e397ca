#include "core/sampler.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"
#include "core/histogram.h"
#include "core/power_integrator.h"
#include "meters/meters.h"

namespace wattle {
namespace {

constexpr int64_t kMs = kNsPerSecond / 1000;

// A meter of constant power that counts its polls.
class Constant final : public Meter {
 public:
  Constant(double watts, int& polls) : watts_(watts), polls_(polls) { domains_[0].limits.max_watts = 1000; }

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }
  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    polls_++;
    out[0] = {Reading::Status::kGood, static_cast<uint64_t>(watts_ * static_cast<double>(tick.mono_ns) / 1e3),
              tick.mono_ns};
  }
  void reset() noexcept override {}

 private:
  std::vector<DomainInfo> domains_{1};
  const double watts_;
  int& polls_;
};

// A meter whose poll hangs until it is released.
class Hanging final : public Meter {
 public:
  struct Controls {
    std::atomic<bool> released{false};
    std::atomic<int> hanging{0};
    std::atomic<int> freed{0};
  };

  explicit Hanging(std::shared_ptr<Controls> controls) : controls_(std::move(controls)) {}
  ~Hanging() override { controls_->freed++; }

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }
  void poll(const Tick&, std::span<Reading>) noexcept override {
    controls_->hanging++;
    while (!controls_->released) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  void reset() noexcept override {}
  bool may_block() const noexcept override { return true; }

 private:
  const std::vector<DomainInfo> domains_{1};
  const std::shared_ptr<Controls> controls_;
};

// A sampler on clocks of its own: a fast meter and one that is read every 100 ms.
struct Fixture {
  Fixture() {
    sampler.attach(shape, reinterpret_cast<std::byte*>(memory.data()));
    sampler.start(now);
  }
  std::vector<PacedMeter> meters() {
    std::vector<PacedMeter> all;
    all.push_back({std::make_unique<Constant>(100, fast_polls), kMs});
    all.push_back({std::make_unique<Constant>(10, slow_polls), 100 * kMs});
    return all;
  }
  void pass(int64_t ns) {
    now.mono_ns += ns;
    now.real_ns += ns;
    now.boot_ns += ns;
  }
  void tick(bool forced = false) {
    sampler.tick(now, forced, kMs);
    records++;
  }
  double cell(uint32_t field) const {
    const uint32_t row = (records - 1) % shape.capacity;
    return memory[RingShape::kHeaderBytes / sizeof(double) + shape.cell(row, field)];
  }
  double energy_uj(uint32_t domain) const { return cell(shape.energy_field(domain)); }
  double covered_ms(uint32_t domain) const { return cell(shape.coverage_field(domain)) / kMs; }

  int fast_polls = 0;
  int slow_polls = 0;
  Instant now{1000 * kNsPerSecond, 1'700'000'000 * kNsPerSecond, 1000 * kNsPerSecond};
  uint32_t records = 0;
  RingShape shape{64, 2, 4};
  std::vector<double> memory = std::vector<double>(shape.bytes() / sizeof(double));
  std::shared_ptr<CpuSlots> slots = std::make_shared<CpuSlots>(4);
  Sampler sampler{meters(), slots, 10 * kMs};
};

TEST(sampler_reads_each_meter_at_its_own_rate_however_late_the_ticks_are) {
  Fixture fixture;
  fixture.tick();
  for (int i = 1; i <= 1000; i++) {
    // Late by up to 0.4 ms, and the next one on time again.
    const int64_t late_ns = (i % 3) * kMs / 5;
    fixture.pass(kMs + late_ns);
    fixture.tick();
    fixture.pass(-late_ns);
  }
  CHECK_EQUAL(fixture.fast_polls, 1001);
  CHECK_EQUAL(fixture.slow_polls, 11);
  // The last reading was 0.2 ms late, and says so.
  CHECK_EQUAL(fixture.cell(fixture.shape.known_at_field(1)) - 1e12, 1000.2 * kMs);
  CHECK_EQUAL(fixture.energy_uj(1), 10'002'000.0);
}

TEST(sampler_reads_everything_at_a_forced_tick_and_keeps_the_rhythm) {
  Fixture fixture;
  fixture.tick();
  fixture.pass(50 * kMs);
  fixture.tick(true);
  CHECK_EQUAL(fixture.slow_polls, 2);
  CHECK_EQUAL(fixture.energy_uj(1), 500'000.0);
  fixture.pass(49 * kMs);
  fixture.tick();
  CHECK_EQUAL(fixture.slow_polls, 2);
  fixture.pass(kMs);
  fixture.tick();
  CHECK_EQUAL(fixture.slow_polls, 3);
}

TEST(sampler_reads_cpu_time_at_its_own_rate_and_says_when) {
  Fixture fixture;
  int read = 0;
  for (int i = 0; i < 100; i++) {
    fixture.tick();
    read += (static_cast<uint32_t>(fixture.cell(RingShape::kFlags)) & kCpu) != 0 ? 1 : 0;
    fixture.pass(kMs);
  }
  CHECK_EQUAL(read, 10);
}

TEST(sampler_books_nothing_for_a_time_in_which_the_host_slept) {
  Fixture fixture;
  fixture.tick();
  fixture.pass(kMs);
  fixture.tick();
  // The monotonic clock stood still, the other two went on; the counter shows what was drawn before and after.
  fixture.now.real_ns += 8 * 3600 * kNsPerSecond;
  fixture.now.boot_ns += 8 * 3600 * kNsPerSecond;
  fixture.pass(kMs);
  fixture.tick();
  CHECK_EQUAL(fixture.sampler.suspends(), 1u);
  CHECK_EQUAL(fixture.energy_uj(0), 100'000.0);
  CHECK_EQUAL(fixture.covered_ms(0), 1.0);
  fixture.pass(kMs);
  fixture.tick();
  CHECK_EQUAL(fixture.energy_uj(0), 200'000.0);
  CHECK_EQUAL(fixture.covered_ms(0), 2.0);
}

TEST(instant_takes_a_thread_held_up_between_two_clocks_for_no_sleep) {
  const Instant last{1000 * kMs, 0, 5000 * kMs};
  int reads = 0;
  int held_up = 0;
  const auto read = [&] {
    const int64_t now_ns = 2000 * kMs + reads * kMs;
    return Instant{now_ns, 0, now_ns + 4000 * kMs + (reads++ < held_up ? 80 * kMs : 0)};
  };
  CHECK_EQUAL(Instant::after(last, read).slept_ns(), 4000 * kMs);
  CHECK_EQUAL(reads, 1);
  reads = 0;
  held_up = 2;
  CHECK_EQUAL(Instant::after(last, read).slept_ns(), 4000 * kMs);
  CHECK_EQUAL(reads, 3);
  // What stays is a sleep.
  reads = 0;
  held_up = 100;
  CHECK_EQUAL(Instant::after(last, read).slept_ns(), 4080 * kMs);
}

TEST(sampler_is_not_moved_by_steps_of_the_wall_clock) {
  Fixture fixture;
  fixture.tick();
  for (const int64_t step : {3600 * kNsPerSecond, -7200 * kNsPerSecond}) {
    fixture.now.real_ns += step;
    fixture.pass(kMs);
    fixture.tick();
  }
  CHECK_EQUAL(fixture.sampler.suspends(), 0u);
  CHECK_EQUAL(fixture.energy_uj(0), 200'000.0);
  CHECK_EQUAL(fixture.covered_ms(0), 2.0);
}

TEST(sampler_takes_reports_only_for_meters_outside) {
  int polls = 0;
  MeterContext context;
  context.settings.set("name", "node");
  context.settings.set("maxHoldMs", 5000.0);
  std::vector<PacedMeter> meters;
  meters.push_back({std::make_unique<Constant>(100, polls), kMs});
  meters.push_back({make_reported(context).meter, kMs});
  Sampler sampler(std::move(meters), std::make_shared<CpuSlots>(1), kMs);
  RingShape shape{64, 2, 1};
  std::vector<double> memory(shape.bytes() / sizeof(double));
  sampler.attach(shape, reinterpret_cast<std::byte*>(memory.data()));
  CHECK(!sampler.report(0, {Report::Kind::kWatts, 100, 1}));
  CHECK(!sampler.report(2, {Report::Kind::kWatts, 100, 1}));

  Instant now{kNsPerSecond, 0, kNsPerSecond};
  sampler.start(now);
  const auto report = [&](double watts, int64_t at_s) {
    CHECK(sampler.report(1, {Report::Kind::kWatts, watts, at_s * kNsPerSecond}));
    now.mono_ns = now.boot_ns = at_s * kNsPerSecond;
    sampler.tick(now, true, kMs);
  };
  const auto energy_j = [&](uint32_t record) {
    return memory[RingShape::kHeaderBytes / sizeof(double) + shape.cell(record, shape.energy_field(1))] / 1e6;
  };
  // Nothing was reported yet: no failure.
  sampler.tick(now, false, kMs);
  CHECK_EQUAL(sampler.health(1).failed_reads.get(), 0u);
  report(100, 2);
  report(200, 3);
  CHECK_EQUAL(energy_j(2), 150.0);
  // Not a number, then too long a silence: gaps, and no joules.
  report(-1, 4);
  sampler.tick(now, true, kMs);
  sampler.tick(now, true, kMs);
  CHECK_EQUAL(sampler.health(1).failed_reads.get(), 1u);
  CHECK_EQUAL(energy_j(5), 150.0);
  report(200, 20);
  report(200, 21);
  CHECK_EQUAL(energy_j(7), 350.0);
  CHECK_EQUAL(sampler.health(1).gaps.get(), 1u);
}

// A meter outside, and what is booked of it by whoever polls it now and then.
struct Outside {
  Outside(double hold_ms, double counter_hold_ms) {
    MeterContext context;
    context.settings.set("maxHoldMs", hold_ms);
    context.settings.set("maxCounterHoldMs", counter_hold_ms);
    meter = make_reported(context).meter;
    books = std::make_unique<Accumulator>(meter->domains()[0].limits);
  }
  void report(Report::Kind kind, double value, double at_s) {
    CHECK(meter->report(0, {kind, value, static_cast<int64_t>(at_s * 1e9)}));
  }
  void poll() {
    Reading reading;
    meter->poll(Tick{}, {&reading, 1});
    books->feed(reading);
  }
  double joules() const { return static_cast<double>(books->energy_uj()) / 1e6; }

  std::unique_ptr<Meter> meter;
  std::unique_ptr<Accumulator> books;
};

TEST(reported_counter_may_take_longer_for_a_step_than_power_stands) {
  Outside outside(10'000, 300'000);
  // 1 Wh every 12 s.
  for (int step = 0; step <= 10; step++) {
    outside.report(Report::Kind::kJoules, 3600.0 * step, 100 + 12 * step);
    outside.poll();
    outside.poll();
  }
  CHECK_EQUAL(outside.joules(), 36'000.0);
  CHECK_EQUAL(outside.books->covered_ns(), 120 * kNsPerSecond);
  outside.report(Report::Kind::kJoules, 72'000, 600);
  outside.poll();
  CHECK_EQUAL(outside.joules(), 36'000.0);
}

TEST(reported_gap_is_seen_by_who_polls_seldom) {
  Outside outside(2000, 300'000);
  outside.report(Report::Kind::kWatts, 100, 1);
  outside.poll();
  outside.report(Report::Kind::kWatts, 100, 2);
  outside.poll();
  // The first of these tells of the gap, and the second takes its place before anyone asks.
  outside.report(Report::Kind::kWatts, 100, 60);
  outside.report(Report::Kind::kWatts, 100, 60.5);
  for (int again = 0; again < 2; again++) outside.poll();
  CHECK_EQUAL(outside.joules(), 100.0);
  CHECK_EQUAL(outside.books->covered_ns(), kNsPerSecond);
  outside.report(Report::Kind::kWatts, 100, 61);
  outside.poll();
  CHECK_EQUAL(outside.joules(), 150.0);
  CHECK_EQUAL(outside.books->health().gaps.get(), 1u);
}

TEST(thread_sampler_waits_for_all_meters_that_hang_together) {
  constexpr int kMeters = 12;
  const auto controls = std::make_shared<Hanging::Controls>();
  {
    std::vector<PacedMeter> meters;
    for (int i = 0; i < kMeters; i++) meters.push_back({std::make_unique<Hanging>(controls), kMs});
    Sampler sampler(std::move(meters), std::make_shared<CpuSlots>(1), kMs);
    CHECK_EQUAL(sampler.start(Instant::now()), 0);
    while (controls->hanging < kMeters) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const int64_t before_ns = monotonic_ns();
    sampler.stop();
    // One after the other they would take twelve times as long as one.
    CHECK(monotonic_ns() - before_ns < 8 * Courier::kPatienceNs);
  }
  controls->released = true;
  while (controls->freed < kMeters) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(power_integrator_adds_trapezoids_and_no_gap) {
  PowerIntegrator power(5 * kNsPerSecond);
  CHECK(power.feed(100, kNsPerSecond).status == Reading::Status::kRestarted);
  CHECK_EQUAL(power.feed(300, 2 * kNsPerSecond).energy_uj, 200'000'000u);
  // The same reading again, or an older one, adds nothing.
  CHECK_EQUAL(power.feed(900, 2 * kNsPerSecond).energy_uj, 200'000'000u);
  CHECK(power.feed(-1, 3 * kNsPerSecond).status == Reading::Status::kFailed);
  CHECK(power.feed(0.0 / 0.0, 3 * kNsPerSecond).status == Reading::Status::kFailed);
  CHECK_EQUAL(power.feed(300, 4 * kNsPerSecond).energy_uj, 800'000'000u);
  const Reading after = power.feed(300, 10 * kNsPerSecond);
  CHECK(after.status == Reading::Status::kRestarted);
  CHECK_EQUAL(after.energy_uj, 800'000'000u);
}

TEST(histogram_finds_quantiles_within_a_quarter) {
  Histogram histogram;
  CHECK_EQUAL(histogram.quantile(0.5), 0u);
  for (uint64_t value = 1; value <= 1000; value++) histogram.add(value * 1000);
  for (const auto& [share, exact] : {std::pair{0.5, 500'000.0}, {0.99, 990'000.0}, {1.0, 1'000'000.0}}) {
    const auto found = static_cast<double>(histogram.quantile(share));
    CHECK(found >= exact && found <= exact * 1.25);
  }
  for (size_t bucket = 1; bucket < Histogram::kBuckets - 8; bucket++)
    CHECK(Histogram::upper_bound(bucket) > Histogram::upper_bound(bucket - 1));
  Histogram extremes;
  extremes.add(0);
  extremes.add(UINT64_MAX);
  CHECK_EQUAL(extremes.quantile(0), 0u);
  CHECK_EQUAL(extremes.quantile(1), UINT64_MAX);
}

}  // namespace
}  // namespace wattle
