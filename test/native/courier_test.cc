#include "core/courier.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"
#include "core/clock.h"

namespace wattle {
namespace {

// A meter of one domain that tells how often it was polled, and hangs when told to.
class Slow final : public Meter {
 public:
  struct Controls {
    std::atomic<int> polls{0};
    std::atomic<bool> hang{false};
    std::atomic<int> threads{0};  // of the courier, so far
    std::atomic<int> inside{0};   // polls under way
    std::atomic<bool> overlapped{false};
    std::atomic<int> takes_ms{0};
    std::atomic<bool> rested_too_little{false};  // less than the poll before took
    std::atomic<bool> fail{false};
    std::atomic<bool> restart{false};
    std::atomic<bool> ended{false};
    std::atomic<int> asked{0};
  };

  explicit Slow(std::shared_ptr<Controls> controls) : controls_(std::move(controls)) {}
  ~Slow() override { controls_->ended = true; }

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }
  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    if (controls_->inside++ != 0) controls_->overlapped = true;
    const int64_t began_ns = monotonic_ns();
    if (began_ns - ended_ns_ < took_ns_) controls_->rested_too_little = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(controls_->takes_ms));
    while (controls_->hang) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ended_ns_ = monotonic_ns();
    took_ns_ = ended_ns_ - began_ns;
    // As long as it may rest at most.
    if (took_ns_ > kNsPerSecond) took_ns_ = 0;
    controls_->inside--;
    if (tick.forced) controls_->asked++;
    const auto polls = static_cast<uint64_t>(++controls_->polls);
    if (controls_->fail) {
      out[0] = {};
    } else {
      // Energy and time say the same, so that a torn reading would show.
      out[0] = {Reading::Status::kGood, static_cast<uint64_t>(tick.mono_ns), tick.mono_ns};
    }
    const bool restarted = controls_->restart.exchange(false);
    out[1] = {restarted ? Reading::Status::kRestarted : Reading::Status::kGood, polls, tick.mono_ns};
  }
  void reset() noexcept override { controls_->threads++; }
  bool may_block() const noexcept override { return true; }
  bool wants_events() const noexcept override { return true; }

 private:
  const std::vector<DomainInfo> domains_{2};
  const std::shared_ptr<Controls> controls_;
  int64_t ended_ns_ = 0;
  int64_t took_ns_ = 0;
};

struct Fixture {
  std::shared_ptr<Slow::Controls> controls = std::make_shared<Slow::Controls>();
  std::unique_ptr<Courier> courier = std::make_unique<Courier>(std::make_unique<Slow>(controls), kNsPerSecond / 1000);

  std::vector<Reading> poll() {
    std::vector<Reading> readings(2);
    courier->poll({}, readings);
    return readings;
  }
  // Waits, without a limit of its own: the test command has one.
  void until(auto condition) {
    while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  void stop() { courier->stop(monotonic_ns() + Courier::kPatienceNs); }
  void until_polled(int more) {
    const int before = controls->polls;
    until([&] { return controls->polls >= before + more; });
  }
};

TEST(courier_has_no_reading_before_the_first) {
  Fixture fixture;
  CHECK(fixture.poll()[0].status == Reading::Status::kFailed);
  CHECK_EQUAL(fixture.poll()[0].at_ns, kNotYetNs);
}

TEST(thread_courier_brings_the_latest_reading_whole_and_with_its_own_time) {
  Fixture fixture;
  CHECK_EQUAL(fixture.courier->start(), 0);
  CHECK_EQUAL(fixture.courier->start(), 0);
  fixture.until_polled(2);
  int64_t last_ns = 0;
  for (int i = 0; i < 20'000; i++) {
    const Reading reading = fixture.poll()[0];
    CHECK_EQUAL(static_cast<int64_t>(reading.energy_uj), reading.at_ns);
    CHECK(reading.at_ns >= last_ns);
    last_ns = reading.at_ns;
  }
  CHECK(last_ns > 0 && last_ns <= monotonic_ns());
  CHECK(fixture.courier->cpu_ns() > 0);
}

TEST(thread_courier_shows_a_hanging_meter_as_a_reading_that_grows_old) {
  Fixture fixture;
  fixture.courier->start();
  fixture.until_polled(1);
  fixture.controls->hang = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const int64_t at_ns = fixture.poll()[1].at_ns;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_EQUAL(fixture.poll()[1].at_ns, at_ns);
  fixture.controls->hang = false;
  fixture.until([&] { return fixture.poll()[1].at_ns > at_ns; });
}

TEST(thread_courier_asks_at_once_when_nudged_but_not_for_each_of_a_burst) {
  Fixture fixture;
  fixture.courier = std::make_unique<Courier>(std::make_unique<Slow>(fixture.controls), 3600 * kNsPerSecond);
  fixture.courier->start();
  fixture.until([&] { return fixture.controls->polls == 1; });
  const int64_t before_ns = monotonic_ns();
  for (int i = 0; i < 1000; i++) fixture.courier->nudge();
  fixture.until([&] { return fixture.controls->asked >= 1; });
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  const int64_t passed_ms = (monotonic_ns() - before_ns) * 1000 / kNsPerSecond;
  CHECK(fixture.controls->asked <= 1 + passed_ms / 50);
  CHECK_EQUAL(fixture.controls->polls.load(), 1 + fixture.controls->asked.load());
}

TEST(thread_courier_rests_for_as_long_as_a_slow_poll_took) {
  Fixture fixture;
  fixture.controls->takes_ms = 10;
  fixture.courier->start();
  for (int i = 0; i < 10; i++) {
    fixture.courier->nudge();
    fixture.until_polled(1);
  }
  CHECK(!fixture.controls->rested_too_little);
}

TEST(thread_courier_gives_each_failure_a_time_so_that_it_counts_once) {
  Fixture fixture;
  fixture.controls->fail = true;
  fixture.courier->start();
  fixture.until_polled(2);
  const Reading failed = fixture.poll()[0];
  CHECK(failed.status == Reading::Status::kFailed);
  CHECK(failed.at_ns > 0);
}

TEST(thread_courier_says_that_a_counter_began_anew_although_that_reading_was_overwritten) {
  Fixture fixture;
  fixture.courier->start();
  fixture.until_polled(2);
  CHECK(fixture.poll()[1].status == Reading::Status::kGood);
  fixture.controls->restart = true;
  fixture.until([&] { return !fixture.controls->restart; });
  fixture.until_polled(3);
  const Reading first = fixture.poll()[1];
  CHECK(first.status == Reading::Status::kRestarted);
  Reading next = first;
  fixture.until([&] { return (next = fixture.poll()[1]).at_ns > first.at_ns; });
  CHECK(next.status == Reading::Status::kGood);
}

TEST(thread_courier_leaves_a_hanging_meter_behind_and_frees_it_when_it_returns) {
  Fixture fixture;
  fixture.courier->start();
  fixture.until_polled(1);
  fixture.controls->hang = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  fixture.stop();
  // Another thread beside the one that hangs would poll the same meter.
  CHECK_EQUAL(fixture.courier->start(), 0);
  const int polls = fixture.controls->polls;
  fixture.courier.reset();
  CHECK(!fixture.controls->ended);
  fixture.controls->hang = false;
  fixture.until([&] { return fixture.controls->ended.load(); });
  CHECK(fixture.controls->polls <= polls + 1);
}

TEST(thread_courier_goes_on_with_a_thread_that_it_had_left_behind) {
  Fixture fixture;
  fixture.courier->start();
  fixture.until_polled(1);
  fixture.controls->hang = true;
  fixture.until([&] { return fixture.controls->inside == 1; });
  fixture.stop();
  CHECK_EQUAL(fixture.courier->start(), 0);
  fixture.controls->hang = false;
  fixture.until_polled(3);
  CHECK_EQUAL(fixture.controls->threads.load(), 1);
  CHECK(fixture.courier->cpu_ns() > 0);
  fixture.stop();
  CHECK(!fixture.controls->overlapped);
}

TEST(thread_courier_starts_anew_once_the_thread_that_it_had_left_behind_is_gone) {
  Fixture fixture;
  fixture.courier->start();
  fixture.until_polled(1);
  fixture.controls->hang = true;
  fixture.until([&] { return fixture.controls->inside == 1; });
  fixture.stop();
  fixture.controls->hang = false;
  fixture.until([&] { return fixture.controls->inside == 0; });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  // Whether the old thread was quick enough to end or not.
  CHECK_EQUAL(fixture.courier->start(), 0);
  fixture.until_polled(3);
  fixture.stop();
  CHECK(!fixture.controls->overlapped);
}

TEST(thread_courier_starts_and_stops_again_and_again) {
  Fixture fixture;
  for (int i = 0; i < 50; i++) {
    fixture.courier->start();
    fixture.stop();
    fixture.stop();
  }
  CHECK(!fixture.controls->ended);
}

}  // namespace
}  // namespace wattle
