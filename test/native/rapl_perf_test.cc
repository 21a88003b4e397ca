#include <cstring>
#include <deque>

#include "check.h"
#include "core/accumulator.h"
#include "core/clock.h"
#include "fake_hardware.h"
#include "fake_processor.h"
#include "meters/meters.h"

namespace wattle {
namespace {

using Outcome = MeterProbe::Outcome;
using Status = Reading::Status;
using test::FakeHardware;
using test::Scratch;

constexpr uint32_t kPower = 27;
constexpr uint32_t kPowerCore = 28;
constexpr uint64_t kCores = 1, kPackage = 2, kRam = 3, kPsys = 5;
constexpr uint64_t kJoule = uint64_t{1} << 32;
const std::string kRoot = "bus/event_source/devices/";

void event(const Scratch& scratch, const std::string& pmu, const std::string& name, const std::string& config) {
  const std::string path = kRoot + pmu + "/events/" + name;
  scratch.write(path, config);
  scratch.write(path + ".scale", "2.3283064365386962890625e-10\n");
  scratch.write(path + ".unit", "Joules\n");
}

void pmu(const Scratch& scratch, const std::string& name, uint32_t type, const std::string& cpus) {
  scratch.write(kRoot + name + "/type", std::to_string(type) + "\n");
  scratch.write(kRoot + name + "/cpumask", cpus);
}

// Two packages, each with package, cores and memory; psys on both.
struct Server {
  Scratch scratch;
  FakeHardware hardware;

  explicit Server(const std::string& vendor = "GenuineIntel", int family = 6, int model = 143) {
    write_model(scratch, vendor, family, model);
    write_cpus(scratch, test::kTwoPackages);
    pmu(scratch, "power", kPower, "0,2\n");
    event(scratch, "power", "energy-pkg", "event=0x02\n");
    event(scratch, "power", "energy-cores", "event=0x01\n");
    event(scratch, "power", "energy-ram", "event=0x03\n");
    event(scratch, "power", "energy-psys", "event=0x05\n");
    for (const uint64_t config : {kCores, kPackage, kRam, kPsys})
      for (int cpu = 0; cpu < 8; cpu++) hardware.perf[{kPower, config, cpu}] = 0;
  }

  MeterContext context() { return {.sysfs = scratch.root(), .procfs = scratch.root(), .hardware = &hardware}; }
  MeterProbe probe() { return make_rapl_perf(context()); }
  // What a package's CPUs all show.
  void add(int package, uint64_t config, uint64_t units) {
    for (int cpu = 0; cpu < 8; cpu++)
      if (test::kTwoPackages[static_cast<size_t>(cpu)].package == package)
        hardware.perf[{kPower, config, cpu}] += units;
  }
};

std::vector<Reading> poll(Meter& meter, int64_t at_s) {
  std::vector<Reading> readings(meter.domains().size());
  meter.poll({.mono_ns = at_s * kNsPerSecond}, readings);
  return readings;
}

std::string names(const Meter& meter) {
  std::string all;
  for (const DomainInfo& domain : meter.domains()) all += domain.name + " ";
  return all;
}

bool all_failed(const std::vector<Reading>& readings) {
  for (const Reading& reading : readings)
    if (reading.status != Status::kFailed) return false;
  return true;
}

TEST(perf_reads_each_package_with_one_call) {
  Server server;
  const MeterProbe probe = server.probe();
  CHECK(probe.outcome == Outcome::kAvailable);
  CHECK_EQUAL(names(*probe.meter),
              "package-0 package-0/core package-0/dram psys package-1 package-1/core package-1/dram ");
  CHECK(probe.notes.empty());
  server.add(0, kPackage, 3 * kJoule);
  server.add(0, kCores, 2 * kJoule);
  server.add(0, kRam, kJoule);
  server.add(0, kPsys, 9 * kJoule);
  server.add(1, kPackage, 5 * kJoule);
  server.add(1, kPsys, 77 * kJoule);
  server.hardware.perf_reads = 0;
  const auto readings = poll(*probe.meter, 1);
  CHECK_EQUAL(server.hardware.perf_reads, 2);
  const std::vector<uint64_t> expected = {3'000'000, 2'000'000, 1'000'000, 9'000'000, 5'000'000, 0, 0};
  for (size_t i = 0; i < expected.size(); i++) {
    CHECK(readings[i].status == Status::kGood);
    CHECK_EQUAL(readings[i].energy_uj, expected[i]);
    CHECK_EQUAL(readings[i].at_ns, kNsPerSecond);
  }
}

TEST(perf_closes_what_it_opened) {
  Server server;
  {
    MeterContext context = server.context();
    context.only = {"package-1", "package-0/dram"};
    const MeterProbe probe = make_rapl_perf(context);
    CHECK_EQUAL(names(*probe.meter), "package-0/dram package-1 ");
    CHECK_EQUAL(server.hardware.open_count(), 2u);
  }
  CHECK_EQUAL(server.hardware.open_count(), 0u);
}

TEST(perf_loses_no_fraction_over_a_year) {
  Server server;
  MeterContext context = server.context();
  context.only = {"package-0"};
  const MeterProbe probe = make_rapl_perf(context);
  // At 950 W, in steps that are no whole microjoules: the counter of 2^64 units turns six times.
  constexpr uint64_t kStep = 57'000 * kJoule + 1'234'567'891;
  constexpr int kSteps = 525'600;
  Accumulator package(probe.meter->domains()[0].limits);
  package.feed(poll(*probe.meter, 0)[0]);
  unsigned __int128 units = 0;
  int64_t second = 0;
  for (int step = 0; step < kSteps; step++) {
    server.hardware.perf[{kPower, kPackage, 0}] += kStep;
    units += kStep;
    package.feed(poll(*probe.meter, second += 60)[0]);
  }
  CHECK_EQUAL(package.energy_uj(), static_cast<uint64_t>(units * 1'000'000 >> 32));
  CHECK_EQUAL(package.covered_ns(), static_cast<uint64_t>(second * kNsPerSecond));
  CHECK_EQUAL(package.health().wraps.get(), 6u);
  CHECK_EQUAL(package.health().resets.get() + package.health().gaps.get(), 0u);
}

TEST(perf_trusts_no_gap_in_which_the_kernel_may_have_missed_a_turn) {
  Server server;
  const MeterProbe probe = server.probe();
  const auto domains = probe.meter->domains();
  CHECK_EQUAL(Accumulator(domains[0].limits).safe_ns(), 60 * kNsPerSecond);
  CHECK_EQUAL(domains[3].name, "psys");
  CHECK_EQUAL(Accumulator(domains[3].limits).safe_ns(), 20 * kNsPerSecond);
  Accumulator package(domains[0].limits);
  package.feed(poll(*probe.meter, 1)[0]);
  server.add(0, kPackage, 6'000 * kJoule);
  package.feed(poll(*probe.meter, 62)[0]);
  CHECK_EQUAL(package.energy_uj(), 0u);
  CHECK_EQUAL(package.covered_ns(), 0u);
  server.add(0, kPackage, 6'000 * kJoule);
  package.feed(poll(*probe.meter, 122)[0]);
  CHECK_EQUAL(package.energy_uj(), 6'000'000'000u);
  // Where it did miss one, the counter falls by 2^32 of the hardware's units.
  server.add(0, kPackage, 50'000 * kJoule - 65'536 * kJoule);
  package.feed(poll(*probe.meter, 180)[0]);
  CHECK_EQUAL(package.energy_uj(), 6'000'000'000u);
  CHECK_EQUAL(package.health().resets.get(), 1u);
}

TEST(perf_takes_an_incomplete_answer_for_a_failure_and_never_for_zero) {
  using Words = std::span<uint64_t>;
  const auto answer = [](int64_t bytes, std::vector<uint64_t> values) {
    return [bytes, values](int, Words words) -> std::optional<int64_t> {
      std::copy_n(values.begin(), std::min(values.size(), words.size()), words.begin());
      return bytes;
    };
  };
  Server server;
  MeterContext context = server.context();
  context.only = {"package-0", "package-0/core"};
  const MeterProbe probe = make_rapl_perf(context);
  server.hardware.refuse_perf = [](const PerfEvent&, int, int) { return EACCES; };
  int64_t second = 0;
  for (const auto& instead :
       {answer(0, {}), answer(-ENOSPC, {}), answer(-EINTR, {2, 1, 1}), answer(8, {2}), answer(16, {2, 1}),
        answer(23, {2, 1, 1}), answer(25, {2, 1, 1}), answer(24, {1, 1, 1}), answer(24, {3, 1, 1}),
        answer(24, {0, 0, 0}), answer(24, {UINT64_MAX, 1, 1}), answer(16, {1, 1})}) {
    server.hardware.read_perf_instead = instead;
    CHECK(all_failed(poll(*probe.meter, second += 3)));
  }
  server.hardware.read_perf_instead = nullptr;
  server.add(0, kCores, kJoule);
  const auto readings = poll(*probe.meter, second + 3);
  CHECK(readings[1].status == Status::kGood);
  CHECK_EQUAL(readings[1].energy_uj, 1'000'000u);
}

TEST(perf_goes_on_with_another_cpu_of_the_package) {
  Server server;
  const MeterProbe probe = server.probe();
  std::deque<Accumulator> totals;
  for (const DomainInfo& domain : probe.meter->domains()) totals.emplace_back(domain.limits);
  const auto tick = [&](int64_t at_s) {
    for (const int package : {0, 1}) server.add(package, kPackage, 100 * kJoule);
    const auto readings = poll(*probe.meter, at_s);
    for (size_t i = 0; i < totals.size(); i++) totals[i].feed(readings[i]);
    return readings;
  };
  tick(1);
  tick(2);
  server.hardware.offline = {0, 1};
  const auto lost = tick(3);
  for (size_t i = 0; i < 4; i++) CHECK(lost[i].status == Status::kFailed);
  CHECK(lost[4].status == Status::kGood);
  // CPU 1 is offline too, CPU 4 takes over; it counts from 0.
  const auto moved = tick(4);
  for (size_t i = 0; i < 4; i++) CHECK(moved[i].status == Status::kRestarted);
  CHECK_EQUAL(moved[0].energy_uj, 0u);
  CHECK(tick(5)[0].status == Status::kGood);
  CHECK_EQUAL(totals[0].energy_uj(), 200'000'000u);
  CHECK_EQUAL(totals[0].covered_ns(), uint64_t{2} * kNsPerSecond);
  CHECK_EQUAL(totals[0].health().gaps.get(), 1u);
  CHECK_EQUAL(totals[4].energy_uj(), 400'000'000u);
  CHECK_EQUAL(server.hardware.open_count(), 7u);
}

TEST(perf_looks_for_another_cpu_once_a_second) {
  Server server;
  MeterContext context = server.context();
  context.only = {"package-0"};
  const MeterProbe probe = make_rapl_perf(context);
  server.hardware.offline = {0, 1, 4, 5};
  server.hardware.perf_opens = 0;
  std::vector<Reading> readings(1);
  for (int ms = 10'000; ms < 13'000; ms++) {
    probe.meter->poll({.mono_ns = ms * int64_t{1'000'000}}, readings);
    CHECK(all_failed(readings));
  }
  CHECK_EQUAL(server.hardware.perf_opens, 2 * 4);
  // A CPU that comes back.
  server.hardware.offline = {0, 1, 4};
  CHECK(poll(*probe.meter, 14)[0].status == Status::kRestarted);
  CHECK(poll(*probe.meter, 15)[0].status == Status::kGood);
}

TEST(perf_keeps_its_old_counter_where_it_may_open_no_other) {
  Server server;
  const MeterProbe probe = server.probe();
  poll(*probe.meter, 1);
  server.hardware.refuse_perf = [](const PerfEvent&, int, int) { return EACCES; };
  server.hardware.offline = {0, 2};
  for (int second = 2; second < 8; second++) CHECK(all_failed(poll(*probe.meter, second)));
  server.hardware.offline.clear();
  server.add(0, kPackage, kJoule);
  const auto readings = poll(*probe.meter, 9);
  CHECK(readings[0].status == Status::kGood);
  CHECK_EQUAL(readings[0].energy_uj, 1'000'000u);
}

TEST(perf_opens_alone_what_no_group_takes) {
  Server server;
  server.hardware.refuse_perf = [](const PerfEvent& asked, int, int group) {
    return asked.config == kRam && group >= 0 ? EINVAL : 0;
  };
  const MeterProbe probe = server.probe();
  CHECK_EQUAL(probe.meter->domains().size(), 7u);
  CHECK(probe.notes.empty());
  server.add(1, kRam, 4 * kJoule);
  server.add(0, kPsys, 2 * kJoule);
  server.hardware.perf_reads = 0;
  const auto readings = poll(*probe.meter, 1);
  CHECK_EQUAL(server.hardware.perf_reads, 4);
  for (size_t i = 0; i < readings.size(); i++) {
    CHECK(readings[i].status == Status::kGood);
    const std::string& name = probe.meter->domains()[i].name;
    const uint64_t expected = name == "package-1/dram" ? 4'000'000 : name == "psys" ? 2'000'000 : 0;
    CHECK_EQUAL(readings[i].energy_uj, expected);
  }
}

TEST(perf_leaves_out_events_that_the_kernel_lists_but_does_not_have) {
  Server server("AuthenticAMD", 23, 49);
  for (const uint64_t config : {kCores, kRam, kPsys})
    for (int cpu = 0; cpu < 8; cpu++) server.hardware.perf.erase({kPower, config, cpu});
  const MeterProbe probe = server.probe();
  CHECK_EQUAL(names(*probe.meter), "package-0 package-1 ");
  CHECK_EQUAL(probe.notes.size(), 3u);
  CHECK_EQUAL(probe.notes[0], "Left out: perf_event power/energy-cores/ on CPU 0: Invalid argument.");
}

TEST(perf_counts_a_package_once_that_the_kernel_lists_for_each_die) {
  Server server("AuthenticAMD", 25, 17);
  write_cpus(server.scratch, {{0, 0, 0}, {0, 0, 1}, {0, 1, 2}, {0, 1, 3}});
  CHECK_EQUAL(names(*server.probe().meter), "package-0 package-0/core package-0/dram psys ");
  // On Intel each die has its own counters.
  write_model(server.scratch, "GenuineIntel", 6, 85);
  CHECK_EQUAL(names(*server.probe().meter),
              "package-0-die-0 package-0-die-0/core package-0-die-0/dram psys package-0-die-1 package-0-die-1/core "
              "package-0-die-1/dram ");
  // A mask of two CPUs of one package.
  pmu(server.scratch, "power", kPower, "0-1\n");
  CHECK_EQUAL(names(*server.probe().meter), "package-0-die-0 package-0-die-0/core package-0-die-0/dram psys ");
}

TEST(perf_reads_amd_cores) {
  Server server("AuthenticAMD", 25, 17);
  pmu(server.scratch, "power_core", kPowerCore, "0-3\n");
  event(server.scratch, "power_core", "energy-core", "event=0x01\n");
  for (int cpu = 0; cpu < 8; cpu++) server.hardware.perf[{kPowerCore, 1, cpu}] = 0;
  MeterContext context = server.context();
  context.only = {"package-0", "package-0/core-0", "package-0/core-1", "package-1/core-0", "package-1/core-1"};
  const MeterProbe probe = make_rapl_perf(context);
  CHECK_EQUAL(names(*probe.meter), "package-0 package-0/core-0 package-0/core-1 package-1/core-0 package-1/core-1 ");
  server.hardware.perf[{kPowerCore, 1, 2}] += 7 * kJoule;
  CHECK_EQUAL(poll(*probe.meter, 1)[3].energy_uj, 7'000'000u);
  CHECK(probe.meter->domains()[3].kind == DomainKind::kCore);
  // The core's other thread takes over.
  server.hardware.offline = {2};
  poll(*probe.meter, 2);
  CHECK(poll(*probe.meter, 3)[3].status == Status::kRestarted);
  server.hardware.perf[{kPowerCore, 1, 6}] += 2 * kJoule;
  CHECK_EQUAL(poll(*probe.meter, 4)[3].energy_uj, 2'000'000u);
  // Cores alone, where the kernel has no package events.
  server.scratch.remove(kRoot + "power");
  server.hardware.offline.clear();
  CHECK_EQUAL(make_rapl_perf(context).meter->domains().size(), 4u);
}

TEST(perf_says_why_it_cannot_measure) {
  Server server;
  server.hardware.refuse_perf = [](const PerfEvent&, int, int) { return EACCES; };
  const MeterProbe forbidden = server.probe();
  CHECK(forbidden.outcome == Outcome::kForbidden);
  CHECK_EQUAL(forbidden.path, "perf_event power/energy-pkg/ on CPU 0");
  server.hardware.refuse_perf = [](const PerfEvent& asked, int, int) { return asked.config == kRam ? EPERM : ENODEV; };
  const MeterProbe partly = server.probe();
  CHECK(partly.outcome == Outcome::kForbidden);
  CHECK_EQUAL(partly.path, "perf_event power/energy-ram/ on CPU 0");
  server.hardware.refuse_perf = [](const PerfEvent&, int, int) { return EMFILE; };
  const MeterProbe unreadable = server.probe();
  CHECK(unreadable.outcome == Outcome::kUnreadable);
  CHECK_EQUAL(unreadable.notes.size(), 4u);
  server.scratch.remove(kRoot + "power");
  const MeterProbe absent = server.probe();
  CHECK(absent.outcome == Outcome::kAbsent);
  CHECK_EQUAL(absent.path, server.scratch.path(kRoot + "power"));
  CHECK(make_rapl_perf({.sysfs = server.scratch.root()}).outcome == Outcome::kAbsent);
  CHECK_EQUAL(server.hardware.open_count(), 0u);
}

TEST(perf_believes_no_garbage_in_sysfs) {
  for (const char* list : {"", "\n", "0,\n", "2,0\n", "0-99999\n", "ff\n", "0-1-2\n", "0x1\n"}) {
    Server server;
    server.scratch.write(kRoot + "power/cpumask", list);
    const MeterProbe probe = server.probe();
    CHECK(probe.outcome == Outcome::kUnreadable);
    CHECK_EQUAL(probe.path, server.scratch.path(kRoot + "power/cpumask"));
  }
  for (const char* type : {"", "-1\n", "4294967296\n", "27 \n", "power\n"}) {
    Server server;
    server.scratch.write(kRoot + "power/type", type);
    CHECK(server.probe().outcome == Outcome::kUnreadable);
  }
  {
    Server server;
    server.scratch.write(kRoot + "power/cpumask", std::string(300'000, '1') + "\n");
    CHECK(server.probe().outcome == Outcome::kUnreadable);
  }
  {
    // Thousands of CPUs that no topology knows, and one that it does.
    Server server;
    server.scratch.write(kRoot + "power/cpumask", "0,1000-16000\n");
    const MeterProbe probe = server.probe();
    CHECK_EQUAL(names(*probe.meter), "package-0 package-0/core package-0/dram psys ");
    CHECK_EQUAL(probe.notes.size(), 1u);
  }
  for (const char* config : {"", "event=\n", "event=2\n", "event=0x02,umask=0x1\n", "event=0xg\n", "event=0x-2\n",
                             "event=0x10000000000000000\n", "config=0x02\n"}) {
    Server server;
    server.scratch.write(kRoot + "power/events/energy-pkg", config);
    const MeterProbe probe = server.probe();
    CHECK_EQUAL(probe.meter->domains()[0].name, "package-0/core");
    CHECK_EQUAL(probe.notes.size(), 1u);
  }
  for (const char* scale : {"", "0\n", "1\n", "-2.3283064365386962890625e-10\n", "2.3283064365386962890624e-9\n",
                            "nan\n", "inf\n", "1e-400\n", "1e400\n", "2.3283064365386962890625e-10 J\n", "1e-6\n"}) {
    Server server;
    server.scratch.write(kRoot + "power/events/energy-pkg.scale", scale);
    CHECK_EQUAL(server.probe().meter->domains()[0].name, "package-0/core");
  }
  {
    Server server;
    server.scratch.write(kRoot + "power/events/energy-pkg.unit", "Watts\n");
    CHECK_EQUAL(server.probe().meter->domains()[0].name, "package-0/core");
    server.scratch.remove("devices/system/cpu/online");
    CHECK(server.probe().outcome == Outcome::kUnreadable);
  }
}

// The machine's own perf_event_open, with events of its software PMU in place of energy: a clock, and context switches.
TEST(perf_reads_a_group_of_the_real_kernel) {
  constexpr uint32_t kSoftware = 1;
  const int refused = [] {
    const int opened = machine().open_perf({kSoftware, 0}, 0, -1);
    if (opened >= 0) machine().close(opened);
    return opened < 0 ? -opened : 0;
  }();
  if (refused != 0) {
    std::printf("skipped: perf_event_open is refused here: %s\n", std::strerror(refused));
    return;
  }
  Scratch scratch;
  write_model(scratch, "GenuineIntel", 6, 143);
  write_cpus(scratch, {{0, 0, 0}});
  pmu(scratch, "power", kSoftware, "0\n");
  event(scratch, "power", "energy-pkg", "event=0x00\n");
  event(scratch, "power", "energy-cores", "event=0x03\n");
  event(scratch, "power", "energy-ram", "event=0xff\n");
  const MeterProbe probe = make_rapl_perf({.sysfs = scratch.root(), .procfs = scratch.root(), .hardware = &machine()});
  CHECK(probe.outcome == Outcome::kAvailable);
  if (probe.meter == nullptr) return;
  CHECK_EQUAL(names(*probe.meter), "package-0 package-0/core ");
  CHECK_EQUAL(probe.notes.size(), 1u);
  const int64_t start_ns = monotonic_ns();
  const auto before = poll(*probe.meter, 1);
  const timespec nap{0, 20'000'000};
  nanosleep(&nap, nullptr);
  const auto after = poll(*probe.meter, 2);
  const int64_t elapsed_ns = monotonic_ns() - start_ns;
  for (size_t i = 0; i < 2; i++) {
    CHECK(before[i].status == Status::kGood);
    CHECK(after[i].status == Status::kGood);
    CHECK(after[i].energy_uj >= before[i].energy_uj);
  }
  // Nanoseconds as units of 2^-32 J.
  const uint64_t grown_uj = after[0].energy_uj - before[0].energy_uj;
  CHECK(grown_uj > 0);
  CHECK(grown_uj <= (static_cast<uint64_t>(elapsed_ns) * 1'000'000 >> 32) + 1);
}

}  // namespace
}  // namespace wattle
