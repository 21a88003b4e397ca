#include "core/pace.h"

#include "check.h"

namespace wattle {
namespace {

constexpr int64_t kAsked = kNsPerSecond / 10'000;

// A machine that holds every rate down to a given period, and spends a given time on each tick.
struct Bench {
  Bench() { pace.begin(now_ns, cpu_ns); }

  void seconds(int count) {
    for (const int64_t end_ns = now_ns + count * kNsPerSecond; now_ns < end_ns;) tick();
  }
  void tick() {
    // A rate too high: every second deadline is missed.
    const bool holds = pace.period_ns() >= held_ns;
    now_ns += pace.period_ns() * (holds ? 1 : 2);
    cpu_ns += tick_ns;
    if (!pace.tick(holds ? 0 : 1, now_ns)) return;
    const int64_t before_ns = pace.period_ns();
    if (pace.judge(now_ns, cpu_ns)) falls++;
    if (pace.period_ns() < before_ns) tries++;
  }
  int64_t times_slower() const { return pace.period_ns() / kAsked; }

  Pace pace{kAsked};
  int64_t now_ns = 1000 * kNsPerSecond;
  int64_t cpu_ns = 77 * kNsPerSecond;
  int64_t held_ns = 0;
  int64_t tick_ns = 0;
  int falls = 0;
  int tries = 0;
};

TEST(pace_holds_what_the_machine_holds) {
  Bench bench;
  bench.tick_ns = kAsked * 45 / 100;
  bench.seconds(100);
  CHECK_EQUAL(bench.times_slower(), 1);
}

TEST(pace_is_back_a_minute_and_a_half_after_a_short_overload) {
  Bench bench;
  bench.held_ns = kNsPerSecond;
  bench.seconds(20);
  CHECK_EQUAL(bench.times_slower(), 512);
  bench.held_ns = 0;
  bench.seconds(120);
  CHECK_EQUAL(bench.times_slower(), 1);
  CHECK_EQUAL(bench.tries, 9);
}

TEST(pace_tries_ever_more_seldom_what_fails_each_time_and_forgets_it_once_it_is_held) {
  Bench bench;
  bench.held_ns = 2 * kAsked;
  bench.seconds(3600);
  CHECK_EQUAL(bench.times_slower(), 2);
  // After 10, 20, 40 ... 320 s, then every 600 s.
  CHECK(bench.tries >= 8 && bench.tries <= 13);
  bench.held_ns = 0;
  bench.seconds(620);
  CHECK_EQUAL(bench.times_slower(), 1);
  // Anew: the next try is ten seconds after the fall.
  bench.held_ns = 2 * kAsked;
  bench.seconds(2);
  CHECK_EQUAL(bench.times_slower(), 2);
  bench.held_ns = 0;
  bench.seconds(13);
  CHECK_EQUAL(bench.times_slower(), 1);
}

TEST(pace_leaves_half_of_the_processor_to_others_however_punctual_it_is) {
  Bench bench;
  bench.tick_ns = kAsked * 96 / 100;
  bench.seconds(5);
  CHECK_EQUAL(bench.times_slower(), 2);
  bench.tick_ns = 3 * kAsked;
  bench.seconds(5);
  CHECK_EQUAL(bench.times_slower(), 8);
}

TEST(pace_begins_anew_with_each_thread) {
  Bench bench;
  bench.held_ns = kNsPerSecond;
  bench.seconds(20);
  // Half a stretch of misses, and another thread's CPU time.
  for (int i = 0; i < 5; i++) bench.tick();
  bench.held_ns = 0;
  bench.pace.begin(bench.now_ns, bench.cpu_ns = 0);
  CHECK_EQUAL(bench.times_slower(), 1);
  bench.falls = 0;
  bench.seconds(3);
  CHECK_EQUAL(bench.falls, 0);
}

TEST(pace_never_falls_below_what_every_machine_holds) {
  Pace slow(kNsPerSecond);
  slow.begin(0, 0);
  for (int64_t i = 1; i <= 100; i++)
    if (slow.tick(9, i * kNsPerSecond)) CHECK(!slow.judge(i * kNsPerSecond, i * kNsPerSecond));
  CHECK_EQUAL(slow.period_ns(), kNsPerSecond);
}

}  // namespace
}  // namespace wattle
