#include <array>

#include "check.h"
#include "core/accumulator.h"
#include "core/clock.h"
#include "meters/meters.h"

namespace wattle {
namespace {

using CpuStatus = CpuReading::Status;

struct Profile {
  double idle_watts = 0;
  double watts_per_core = 0;
  double gpu_watts = 0;
  bool absent_is_idle = false;
};

std::unique_ptr<Meter> model(const Profile& profile) {
  MeterContext context;
  context.settings.set("idleWatts", profile.idle_watts);
  context.settings.set("wattsPerCore", profile.watts_per_core);
  context.settings.set("gpuWatts", profile.gpu_watts);
  context.settings.set("absentIsIdle", profile.absent_is_idle);
  context.settings.set("cpuFormat", "pushed");
  return make_model(context).meter;
}

// A model with its accumulator, fed one CPU reading per second.
struct Bench {
  explicit Bench(const Profile& profile)
      : meter(model(profile)), package(meter->domains()[0].limits), gpu(meter->domains()[0].limits) {}

  void second(CpuReading cpu) {
    const std::array<CpuReading, 1> readings{cpu};
    now_ns += kNsPerSecond;
    std::array<Reading, 2> out;
    const auto used = std::span(out).first(meter->domains().size());
    meter->poll({.mono_ns = now_ns, .cpu = readings}, used);
    package.feed(out[0]);
    if (used.size() > 1) gpu.feed(out[1]);
  }
  void busy(double cores) {
    cpu_ns += static_cast<int64_t>(cores * kNsPerSecond);
    second({CpuStatus::kGood, cpu_ns});
  }

  std::unique_ptr<Meter> meter;
  Accumulator package, gpu;
  int64_t now_ns = 77 * kNsPerSecond;
  int64_t cpu_ns = 5 * kNsPerSecond;
};

TEST(model_adds_idle_power_and_busy_cores) {
  Bench bench({.idle_watts = 50, .watts_per_core = 10, .gpu_watts = 30});
  CHECK(bench.meter->domains()[0].quality == Quality::kEstimated);
  bench.busy(0);
  bench.busy(0);
  CHECK_EQUAL(bench.package.energy_uj(), 50'000'000u);
  bench.busy(2.5);
  CHECK_EQUAL(bench.package.energy_uj(), 125'000'000u);
  CHECK_EQUAL(bench.gpu.energy_uj(), 60'000'000u);
  CHECK_EQUAL(bench.package.covered_ns(), 2u * kNsPerSecond);
}

TEST(model_offers_no_gpu_that_was_not_declared) { CHECK_EQUAL(model({.idle_watts = 1})->domains().size(), 1u); }

TEST(model_has_a_gap_while_cpu_time_is_missing_and_catches_up) {
  Bench bench({.idle_watts = 50, .watts_per_core = 10});
  bench.busy(1);
  bench.second({CpuStatus::kMissing, 0});
  bench.second({CpuStatus::kAbsent, 0});
  CHECK_EQUAL(bench.package.covered_ns(), 0u);
  bench.cpu_ns += 2 * kNsPerSecond;
  bench.busy(1);
  CHECK_EQUAL(bench.package.energy_uj(), 180'000'000u);
  CHECK_EQUAL(bench.package.covered_ns(), 3u * kNsPerSecond);
}

TEST(model_takes_less_cpu_time_for_a_new_group) {
  Bench bench({.idle_watts = 50, .watts_per_core = 10});
  bench.busy(1);
  bench.busy(1);
  bench.second({CpuStatus::kGood, 0});
  CHECK_EQUAL(bench.package.energy_uj(), 60'000'000u);
  CHECK_EQUAL(bench.package.health().gaps.get(), 1u);
  bench.cpu_ns = 0;
  bench.busy(1);
  CHECK_EQUAL(bench.package.energy_uj(), 120'000'000u);
}

TEST(model_may_take_an_absent_group_for_an_idle_one) {
  Bench bench({.idle_watts = 50, .watts_per_core = 10, .absent_is_idle = true});
  bench.second({CpuStatus::kAbsent, 0});
  bench.second({CpuStatus::kAbsent, 0});
  CHECK_EQUAL(bench.package.energy_uj(), 50'000'000u);
  // The group appears with what it has burnt since it was made.
  bench.second({CpuStatus::kGood, kNsPerSecond / 2});
  CHECK_EQUAL(bench.package.energy_uj(), 105'000'000u);
  bench.second({CpuStatus::kMissing, 0});
  CHECK_EQUAL(bench.package.energy_uj(), 105'000'000u);
}

TEST(model_says_nothing_new_between_two_reads_of_the_cpu_time) {
  Bench bench({.idle_watts = 50, .watts_per_core = 10});
  bench.busy(1);
  const std::array<CpuReading, 1> stale{CpuReading{CpuStatus::kGood, bench.cpu_ns}};
  std::array<Reading, 1> out;
  bench.meter->poll({.mono_ns = bench.now_ns + 1000, .cpu_read = false, .cpu = stale}, out);
  CHECK_EQUAL(out[0].at_ns, bench.now_ns);
}

TEST(model_starts_afresh_after_a_reset) {
  Bench bench({.idle_watts = 50, .watts_per_core = 10});
  bench.busy(1);
  bench.busy(1);
  bench.meter->reset();
  bench.package.rebase(bench.now_ns);
  bench.busy(4);
  CHECK_EQUAL(bench.package.energy_uj(), 60'000'000u);
  bench.busy(1);
  CHECK_EQUAL(bench.package.energy_uj(), 120'000'000u);
}

TEST(model_counts_an_unreadable_cpu_time_once_however_often_it_is_shown) {
  Bench bench({.idle_watts = 50});
  bench.busy(0);
  bench.second({CpuStatus::kMissing, 0});
  std::array<Reading, 1> out;
  for (int i = 1; i <= 9; i++) {
    bench.meter->poll({.mono_ns = bench.now_ns + i, .cpu_read = false}, out);
    bench.package.feed(out[0]);
  }
  CHECK_EQUAL(bench.package.health().failed_reads.get(), 1u);
}

}  // namespace
}  // namespace wattle
