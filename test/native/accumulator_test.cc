#include "core/accumulator.h"

#include <random>

#include "check.h"
#include "core/clock.h"

namespace wattle {
namespace {

using Status = Reading::Status;

constexpr int64_t kMs = 1'000'000;
constexpr uint64_t kModulus = 100'000'000'000;  // 100 kJ: at 1000 W no wrap within 100 s

constexpr CounterLimits kPackage{kModulus, 1000, 100 * kMs, kNsPerSecond};
constexpr CounterLimits kCore{kModulus, 1000, 100 * kMs, 0};

Reading good(uint64_t uj, int64_t at_ms) { return {Status::kGood, uj, at_ms * kMs}; }
constexpr Reading kFailed{};

TEST(accumulator_books_differences_from_the_first_reading_on) {
  Accumulator a(kPackage);
  a.feed(good(5'000'000, 1000));
  CHECK_EQUAL(a.energy_uj(), 0u);
  CHECK_EQUAL(a.covered_ns(), 0u);
  a.feed(good(15'000'000, 1100));
  CHECK_EQUAL(a.energy_uj(), 10'000'000u);
  CHECK_EQUAL(a.covered_ns(), 100u * kMs);
}

TEST(accumulator_adds_exactly_one_modulus_per_wrap) {
  Accumulator a(kPackage);
  a.feed(good(kModulus - 3'000'000, 1000));
  a.feed(good(4'000'000, 1100));
  CHECK_EQUAL(a.energy_uj(), 7'000'000u);
  CHECK_EQUAL(a.health().wraps.get(), 1u);
}

TEST(accumulator_takes_a_failed_read_for_a_gap_and_not_for_zero) {
  Accumulator a(kPackage);
  a.feed(good(50'000'000, 1000));
  a.feed(kFailed);
  CHECK_EQUAL(a.energy_uj(), 0u);
  CHECK_EQUAL(a.covered_ns(), 0u);
  a.feed(good(80'000'000, 1200));
  CHECK_EQUAL(a.energy_uj(), 30'000'000u);
  CHECK_EQUAL(a.covered_ns(), 200u * kMs);
  CHECK_EQUAL(a.health().failed_reads.get(), 1u);
  CHECK_EQUAL(a.health().wraps.get(), 0u);
}

TEST(accumulator_counts_each_failure_once_and_none_before_the_first_read) {
  Accumulator a(kPackage);
  a.feed({.at_ns = kNotYetNs});
  CHECK_EQUAL(a.health().failed_reads.get(), 0u);
  // Without a time each is another one.
  a.feed(kFailed);
  a.feed(kFailed);
  CHECK_EQUAL(a.health().failed_reads.get(), 2u);
  for (const int64_t at_ns : {kMs, kMs, kMs, 2 * kMs, 2 * kMs}) a.feed({.at_ns = at_ns});
  CHECK_EQUAL(a.health().failed_reads.get(), 4u);
}

TEST(accumulator_books_a_wrap_within_a_gap_that_is_short_enough) {
  Accumulator a(kPackage);
  a.feed(good(kModulus - 1'000'000, 0));
  for (int i = 0; i < 900; i++) a.feed(kFailed);
  a.feed(good(9'000'000'000, 90'000));
  CHECK_EQUAL(a.energy_uj(), 9'001'000'000u);
  CHECK_EQUAL(a.covered_ns(), 90u * kNsPerSecond);
}

TEST(accumulator_books_nothing_where_a_second_wrap_could_hide) {
  Accumulator a(kPackage);
  CHECK_EQUAL(a.safe_ns(), 100 * kNsPerSecond);
  a.feed(good(1'000'000, 0));
  a.feed(good(2'000'000, 100'001));
  CHECK_EQUAL(a.energy_uj(), 0u);
  CHECK_EQUAL(a.covered_ns(), 0u);
  CHECK_EQUAL(a.health().gaps.get(), 1u);
  a.feed(good(3'000'000, 100'101));
  CHECK_EQUAL(a.energy_uj(), 1'000'000u);
}

TEST(accumulator_takes_a_decrease_that_no_power_explains_for_a_reset) {
  Accumulator a(kPackage);
  a.feed(good(50'000'000'000, 1000));
  a.feed(good(10, 1100));
  CHECK_EQUAL(a.energy_uj(), 0u);
  CHECK_EQUAL(a.covered_ns(), 0u);
  CHECK_EQUAL(a.health().resets.get(), 1u);
  a.feed(good(1'000'010, 1200));
  CHECK_EQUAL(a.energy_uj(), 1'000'000u);
}

TEST(accumulator_takes_a_leap_that_no_power_explains_for_a_reset) {
  Accumulator a(kPackage);
  a.feed(good(0, 1000));
  a.feed(good(90'000'000'000, 1100));
  a.feed(good(1'000'000, 1200));
  CHECK_EQUAL(a.energy_uj(), 0u);
  CHECK_EQUAL(a.health().resets.get(), 2u);
}

TEST(accumulator_allows_a_value_that_is_older_than_its_read) {
  Accumulator a(kPackage);
  a.feed(good(0, 1000));
  // 90 ms of 500 W arrive within 1 ms.
  a.feed(good(45'000'000, 1001));
  CHECK_EQUAL(a.energy_uj(), 45'000'000u);
}

TEST(accumulator_refuses_a_value_beyond_the_range) {
  Accumulator a(kPackage);
  a.feed(good(0, 1000));
  a.feed(good(kModulus + 1, 1100));
  CHECK_EQUAL(a.health().failed_reads.get(), 1u);
  a.feed(good(20'000'000, 1200));
  CHECK_EQUAL(a.energy_uj(), 20'000'000u);
}

TEST(accumulator_covers_a_short_standstill_once_the_counter_moves) {
  Accumulator a(kPackage);
  a.feed(good(0, 0));
  a.feed(good(0, 1));
  a.feed(good(0, 900));
  CHECK_EQUAL(a.covered_ns(), 0u);
  a.feed(good(5'000'000, 1000));
  CHECK_EQUAL(a.covered_ns(), uint64_t{kNsPerSecond});
  CHECK_EQUAL(a.health().freezes.get(), 0u);
}

TEST(accumulator_loses_the_coverage_of_a_frozen_counter_but_not_its_joules) {
  Accumulator a(kPackage);
  a.feed(good(0, 0));
  for (int ms = 100; ms <= 5000; ms += 100) a.feed(good(0, ms));
  a.feed(good(1'000'000'000, 5100));
  CHECK_EQUAL(a.energy_uj(), 1'000'000'000u);
  CHECK_EQUAL(a.covered_ns(), 100u * kMs);
  CHECK_EQUAL(a.health().freezes.get(), 1u);
  CHECK_EQUAL(a.health().resets.get(), 0u);
}

TEST(accumulator_invents_nothing_when_a_frozen_counter_thaws_at_zero) {
  Accumulator a(kPackage);
  a.feed(good(50'000'000'000, 0));
  for (int ms = 100; ms <= 5000; ms += 100) a.feed(good(50'000'000'000, ms));
  a.feed(good(0, 5100));
  CHECK_EQUAL(a.energy_uj(), 0u);
  // Frozen for longer than a wrap can take: whatever it shows then proves nothing.
  for (int ms = 5200; ms <= 200'000; ms += 100) a.feed(good(0, ms));
  a.feed(good(1'000'000, 200'100));
  CHECK_EQUAL(a.energy_uj(), 0u);
  CHECK_EQUAL(a.covered_ns(), 0u);
}

TEST(accumulator_lets_cores_rest) {
  Accumulator a(kCore);
  a.feed(good(7, 0));
  for (int ms = 100; ms <= 500'000; ms += 100) a.feed(good(7, ms));
  a.feed(good(1'000'007, 500'100));
  CHECK_EQUAL(a.energy_uj(), 1'000'000u);
  CHECK_EQUAL(a.covered_ns(), uint64_t{500'100} * kMs);
}

TEST(accumulator_does_not_wrap_what_has_no_range) {
  Accumulator a(CounterLimits{});
  a.feed(good(1000, 0));
  a.feed(good(10, 100));
  CHECK_EQUAL(a.energy_uj(), 0u);
  a.feed(good(UINT64_MAX / 4, 200));
  // No more than it rose beyond its old value, should it have dipped.
  CHECK_EQUAL(a.energy_uj(), UINT64_MAX / 4 - 1000);
}

TEST(accumulator_starts_afresh_where_its_meter_says_so) {
  Accumulator a(kPackage);
  a.feed(good(1000, 0));
  a.feed({Status::kRestarted, 5'000'000, 100 * kMs});
  CHECK_EQUAL(a.energy_uj(), 0u);
  a.feed(good(6'000'000, 200));
  CHECK_EQUAL(a.energy_uj(), 1'000'000u);
  a.rebase(0);
  a.feed(good(9'000'000, 300));
  CHECK_EQUAL(a.energy_uj(), 1'000'000u);
  CHECK_EQUAL(a.covered_ns(), 100u * kMs);
}

TEST(accumulator_ignores_a_reading_that_is_no_newer) {
  Accumulator a(kPackage);
  a.feed(good(1'000'000, 100));
  a.feed(good(2'000'000, 200));
  a.feed(good(2'000'000, 200));
  a.feed(good(1'500'000, 150));
  a.feed(good(3'000'000, 300));
  CHECK_EQUAL(a.energy_uj(), 2'000'000u);
  CHECK_EQUAL(a.covered_ns(), 200u * kMs);
}

TEST(accumulator_books_no_return_from_a_dip) {
  Accumulator a(kPackage);
  int64_t at_ms = 0;
  for (const uint64_t joules : {100, 110, 0, 130, 140}) a.feed(good(joules * 1'000'000, at_ms += 1000));
  CHECK_EQUAL(a.energy_uj(), 40'000'000u);
  CHECK_EQUAL(a.health().resets.get(), 1u);

  // Without a range, and with steps within the dip.
  Accumulator b(CounterLimits{0, 2000, 100 * kMs, 0, 60 * kNsPerSecond});
  for (const uint64_t joules : {50'000, 50'700, 40'700, 52'100, 52'800})
    b.feed(good(joules * 1'000'000, at_ms += 10'000));
  CHECK_EQUAL(b.energy_uj(), 2'800'000'000u);
  for (const uint64_t joules : {100, 200, 53'100}) b.feed(good(joules * 1'000'000, at_ms += 30'000));
  CHECK_EQUAL(b.energy_uj(), 3'100'000'000u);
}

TEST(accumulator_books_no_return_from_a_leap_or_from_two_dips_in_a_row) {
  Accumulator a(kPackage);
  int64_t at_ms = 0;
  for (const uint64_t joules : {100, 90'000, 110, 120}) a.feed(good(joules * 1'000'000, at_ms += 1000));
  CHECK_EQUAL(a.energy_uj(), 10'000'000u);
  for (const uint64_t joules : {60, 20, 130}) a.feed(good(joules * 1'000'000, at_ms += 1000));
  CHECK_EQUAL(a.energy_uj(), 20'000'000u);
}

TEST(accumulator_goes_on_from_a_true_reset_and_loses_one_step_at_most_where_it_passes_the_old_value) {
  Accumulator a(CounterLimits{0, 1000, 100 * kMs, 0, 60 * kNsPerSecond});
  a.feed(good(5'000'000'000, 1000));
  a.feed(good(0, 2000));
  // At 100 W up to 10 kJ.
  for (uint64_t s = 1; s <= 100; s++) a.feed(good(s * 100'000'000, 2000 + static_cast<int64_t>(s) * 1000));
  CHECK(a.energy_uj() <= 10'000'000'000u);
  CHECK(a.energy_uj() >= 9'900'000'000u);
  // Where the meter says so there is no doubt.
  a.feed({Status::kRestarted, 9'950'000'000, 200'000 * kMs});
  a.feed(good(10'050'000'000, 201'000));
  CHECK_EQUAL(a.energy_uj(), a.energy_uj() / 100'000'000 * 100'000'000);
}

TEST(accumulator_never_invents_joules_from_dips) {
  for (uint32_t seed = 0; seed < 1000; seed++) {
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return n == 0 ? 0 : random() % n; };
    Accumulator a(CounterLimits{0, seed % 2 == 0 ? 500U : 0U, 0, 0, 60 * kNsPerSecond});
    const uint64_t start_uj = 1'000'000'000'000 + below(1'000'000'000'000);
    uint64_t true_uj = start_uj;
    uint64_t behind_uj = 0;
    int64_t now_ns = kNsPerSecond;
    a.feed({Status::kGood, true_uj, now_ns});
    for (int step = 0; step < 200; step++) {
      const int64_t elapsed = 1 + static_cast<int64_t>(below(below(20) == 0 ? 90 * kNsPerSecond : 2 * kNsPerSecond));
      now_ns += elapsed;
      true_uj += below(static_cast<uint64_t>(elapsed) / 2000 + 1);
      // It falls far behind, counts on from there for a while, and is seen to be back.
      const bool back = behind_uj != 0 && below(3) == 0;
      if (behind_uj == 0 && below(6) == 0) behind_uj = true_uj / 2 + below(true_uj / 2);
      if (back) behind_uj = 0;
      const bool failed = !back && below(6) == 0;
      a.feed(failed ? kFailed : Reading{Status::kGood, true_uj - behind_uj, now_ns});
      CHECK(a.energy_uj() <= true_uj - start_uj);
    }
  }
}

// Law 3, with a counter and a reader that do their worst: never more energy than the hardware used, never negative
// coverage, never more coverage than time.
TEST(accumulator_never_invents_joules) {
  for (uint32_t seed = 0; seed < 2000; seed++) {
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return n == 0 ? 0 : random() % n; };
    const CounterLimits limits{1'000'000'000 + below(1'000'000'000), 500, 0, seed % 2 == 0 ? kNsPerSecond : 0};
    Accumulator a(limits);
    uint64_t true_uj = below(limits.modulus_uj);
    uint64_t shown_uj = true_uj;
    uint64_t start_uj = 0;
    int64_t now_ns = 0, start_ns = 0;
    bool started = false;
    uint64_t last_energy = 0, last_covered = 0;
    for (int step = 0; step < 200; step++) {
      const int64_t elapsed = 1 + static_cast<int64_t>(below(below(20) == 0 ? 9 * kNsPerSecond : 200 * kMs));
      now_ns += elapsed;
      // At most 500 W in W x ns / 1000.
      true_uj += below(static_cast<uint64_t>(elapsed) / 2 + 1);
      const bool frozen = below(8) == 0;
      if (!frozen) shown_uj = true_uj;
      if (below(6) == 0) {
        a.feed(kFailed);
      } else {
        a.feed({Status::kGood, shown_uj % limits.modulus_uj, now_ns});
        if (!started) start_uj = shown_uj, start_ns = now_ns;
        started = true;
      }
      CHECK(a.energy_uj() >= last_energy);
      CHECK(a.covered_ns() >= last_covered);
      if (started) {
        CHECK(a.energy_uj() <= true_uj - start_uj);
        CHECK(a.covered_ns() <= static_cast<uint64_t>(now_ns - start_ns));
      }
      last_energy = a.energy_uj();
      last_covered = a.covered_ns();
    }
  }
}

}  // namespace
}  // namespace wattle
