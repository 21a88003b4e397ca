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

constexpr uint32_t kUnit = 0x606, kPackage = 0x611, kDram = 0x619, kCores = 0x639, kGraphics = 0x641, kPsys = 0x64D;
constexpr uint32_t kAmdUnit = 0xC0010299, kAmdCore = 0xC001029A, kAmdPackage = 0xC001029B;
// As processors show it: power unit 3, energy unit 14, time unit 10.
constexpr uint64_t kUnit14 = 0xA0E03;
constexpr uint64_t kUnit16 = 0xA1003;

struct Machine {
  Scratch scratch;
  FakeHardware hardware;

  Machine(const std::string& vendor, int family, int model, const std::vector<test::FakeCpu>& cpus = test::kTwoPackages)
      : cpus_(cpus) {
    write_model(scratch, vendor, family, model);
    write_cpus(scratch, cpus);
  }

  MeterContext context() { return {.sysfs = scratch.root(), .procfs = scratch.root(), .hardware = &hardware}; }
  MeterProbe probe() { return make_rapl_msr(context()); }

  // A register that all CPUs of a package, or of all packages, show.
  void set(uint32_t address, uint64_t value, int package = -1) {
    for (size_t cpu = 0; cpu < cpus_.size(); cpu++)
      if (package < 0 || cpus_[cpu].package == package) hardware.registers[{static_cast<int>(cpu), address}] = value;
  }

 private:
  const std::vector<test::FakeCpu> cpus_;
};

std::vector<Reading> poll(Meter& meter, int64_t at_s) {
  std::vector<Reading> readings(meter.domains().size());
  meter.poll({.mono_ns = at_s * kNsPerSecond}, readings);
  return readings;
}

std::string names(const MeterProbe& probe) {
  if (probe.meter == nullptr) return "none";
  std::string all;
  for (const DomainInfo& domain : probe.meter->domains()) all += domain.name + " ";
  return all;
}

TEST(msr_finds_the_registers_that_there_are) {
  Machine machine("GenuineIntel", 6, 0x9E);
  machine.set(kUnit, kUnit14);
  machine.set(kPackage, 16384);
  machine.set(kCores, 16384 * 2);
  machine.set(kGraphics, 16384 * 3);
  machine.set(kPsys, 16384 * 4);
  // On the second package memory is not there, and the graphics unit shows 0 as it does where there is none.
  machine.set(kDram, 16384 * 5, 0);
  machine.set(kGraphics, 0, 1);
  const MeterProbe probe = machine.probe();
  CHECK(probe.outcome == Outcome::kAvailable);
  CHECK_EQUAL(names(probe), "package-0 package-0/core package-0/uncore package-0/dram psys package-1 package-1/core ");
  const std::vector<uint64_t> joules = {1, 2, 3, 5, 4, 1, 2};
  const auto readings = poll(*probe.meter, 1);
  for (size_t i = 0; i < joules.size(); i++) {
    CHECK(readings[i].status == Status::kGood);
    CHECK_EQUAL(readings[i].energy_uj, joules[i] * 1'000'000);
  }
  CHECK(probe.notes.empty());
}

TEST(msr_takes_each_models_units) {
  struct Row {
    const char* vendor;
    int family;
    int model;
    uint64_t package_uj, dram_uj, psys_uj;  // of 2^16 units, with 2^-14 J in the unit register
  };
  constexpr uint64_t k14 = 4'000'000, k16 = 1'000'000, kJoules = 65'536'000'000;
  for (const Row& row : {
           Row{"GenuineIntel", 6, 0x2D, k14, k14, k14},      // Sandy Bridge-EP
           Row{"GenuineIntel", 6, 0x3E, k14, k14, k14},      // Ivy Bridge-EP
           Row{"GenuineIntel", 6, 0x3C, k14, k14, k14},      // Haswell, a client
           Row{"GenuineIntel", 6, 0x3F, k14, k16, k14},      // Haswell-EP
           Row{"GenuineIntel", 6, 0x4F, k14, k16, k14},      // Broadwell-EP
           Row{"GenuineIntel", 6, 0x56, k14, k16, k14},      // Broadwell-DE
           Row{"GenuineIntel", 6, 0x57, k14, k16, k14},      // Knights Landing
           Row{"GenuineIntel", 6, 0x85, k14, k16, k14},      // Knights Mill
           Row{"GenuineIntel", 6, 0x55, k14, k16, k14},      // Skylake-SP, Cascade Lake, Cooper Lake
           Row{"GenuineIntel", 6, 0x5E, k14, k14, k14},      // Skylake, a client
           Row{"GenuineIntel", 6, 0x6A, k14, k16, k14},      // Ice Lake-SP
           Row{"GenuineIntel", 6, 0x6C, k14, k16, k14},      // Ice Lake-D
           Row{"GenuineIntel", 6, 0x8F, k14, k14, kJoules},  // Sapphire Rapids
           Row{"GenuineIntel", 6, 0xCF, k14, k14, kJoules},  // Emerald Rapids
           Row{"GenuineIntel", 6, 0xAD, k14, k14, kJoules},  // Granite Rapids
           Row{"GenuineIntel", 19, 0x55, k14, k14, k14},     // another family: its numbers mean nothing here
           Row{"GenuineIntel", 6, 0x37, uint64_t{65536} << 14, uint64_t{65536} << 14, uint64_t{65536} << 14},
           Row{"GenuineIntel", 6, 0x4C, uint64_t{65536} << 14, uint64_t{65536} << 14, uint64_t{65536} << 14},
       }) {
    Machine machine(row.vendor, row.family, row.model, {{0, 0, 0}});
    machine.set(kUnit, kUnit14);
    for (const uint32_t address : {kPackage, kDram, kPsys}) machine.set(address, 65536);
    const MeterProbe probe = machine.probe();
    CHECK_EQUAL(names(probe), "package-0 package-0/dram psys ");
    const auto readings = poll(*probe.meter, 1);
    const std::array<uint64_t, 3> expected = {row.package_uj, row.dram_uj, row.psys_uj};
    for (size_t i = 0; i < 3; i++) {
      CHECK_EQUAL(readings[i].energy_uj, expected[i]);
      // The range is 2^32 units: 2^16 times what 2^16 units are.
      CHECK_EQUAL(probe.meter->domains()[i].limits.modulus_uj, expected[i] << 16);
    }
  }
}

TEST(msr_knows_every_unit_that_the_register_can_name) {
  for (uint64_t exponent = 0; exponent < 32; exponent++) {
    Machine machine("AuthenticAMD", 25, 17, {{0, 0, 0}});
    machine.set(kAmdUnit, exponent << 8 | 0xFFFFE000000000FF);
    machine.set(kAmdPackage, 0xFFFFFFFF);
    const MeterProbe probe = machine.probe();
    const uint64_t range = (uint64_t{1'000'000} << 32) >> exponent;
    CHECK_EQUAL(probe.meter->domains()[0].limits.modulus_uj, range);
    const auto readings = poll(*probe.meter, 1);
    CHECK_EQUAL(readings[0].energy_uj,
                static_cast<uint64_t>(static_cast<unsigned __int128>(0xFFFFFFFF) * 1'000'000 >> exponent));
    CHECK(readings[0].energy_uj < range);
  }
}

TEST(msr_adds_one_range_for_each_wrap_and_loses_no_fraction) {
  Machine machine("AuthenticAMD", 25, 17, {{0, 0, 0}});
  machine.set(kAmdUnit, kUnit16);
  machine.set(kAmdPackage, 1);
  const MeterProbe probe = machine.probe();
  const DomainInfo& domain = probe.meter->domains()[0];
  CHECK_EQUAL(domain.limits.modulus_uj, 65'536'000'000u);
  Accumulator package(domain.limits);
  package.feed(poll(*probe.meter, 0)[0]);
  // At 600 W, in steps that are no whole microjoules; the upper half of the register is noise.
  constexpr uint64_t kStep = 30 * 600 * 65536 + 7;
  uint64_t units = 0;
  for (int step = 1; step <= 10'000; step++) {
    units += kStep;
    machine.set(kAmdPackage, ((1 + units) & 0xFFFFFFFF) | uint64_t{0xDEAD} << 32);
    // Every third read fails, so a wrap may fall into a gap.
    if (step % 3 == 0) machine.hardware.registers.erase({0, kAmdPackage});
    package.feed(poll(*probe.meter, 30 * step)[0]);
  }
  const auto uj = [](uint64_t n) { return static_cast<uint64_t>(static_cast<unsigned __int128>(n) * 1'000'000 >> 16); };
  CHECK_EQUAL(package.energy_uj(), uj(1 + units) - uj(1));
  CHECK_EQUAL(package.covered_ns(), uint64_t{300'000} * kNsPerSecond);
  CHECK_EQUAL(package.health().wraps.get(), (1 + units) >> 32);
  CHECK(package.health().wraps.get() > 2000u);
}

TEST(msr_trusts_no_gap_in_which_a_second_wrap_could_hide) {
  Machine machine("AuthenticAMD", 25, 17, {{0, 0, 0}});
  machine.set(kAmdUnit, kUnit16);
  machine.set(kAmdPackage, 1);
  const MeterProbe probe = machine.probe();
  Accumulator package(probe.meter->domains()[0].limits);
  // It turns once in 65.5 s at 1000 W; silence is trusted for less.
  CHECK_EQUAL(package.safe_ns(), 60 * kNsPerSecond);
  package.feed(poll(*probe.meter, 1)[0]);
  machine.set(kAmdPackage, 65536);
  package.feed(poll(*probe.meter, 67)[0]);
  CHECK_EQUAL(package.energy_uj(), 0u);
  CHECK_EQUAL(package.health().gaps.get(), 1u);
}

TEST(msr_reads_adjacent_amd_registers_each_by_its_number) {
  Machine machine("AuthenticAMD", 25, 17);
  machine.set(kAmdUnit, kUnit16);
  machine.set(kAmdPackage, 10 * 65536, 0);
  machine.set(kAmdPackage, 20 * 65536, 1);
  for (int cpu = 0; cpu < 8; cpu++)
    machine.hardware.registers[{cpu, kAmdCore}] = static_cast<uint64_t>(1 + cpu % 4) << 16;
  const MeterProbe probe = machine.probe();
  CHECK_EQUAL(names(probe), "package-0 package-1 package-0/core-0 package-0/core-1 package-1/core-0 package-1/core-1 ");
  const std::vector<uint64_t> joules = {10, 20, 1, 2, 3, 4};
  const auto readings = poll(*probe.meter, 1);
  for (size_t i = 0; i < joules.size(); i++) CHECK_EQUAL(readings[i].energy_uj, joules[i] * 1'000'000);
  CHECK(probe.meter->domains()[2].kind == DomainKind::kCore);
  // No register of Intel's is asked for.
  machine.set(kDram, 65536);
  CHECK_EQUAL(machine.probe().meter->domains().size(), 6u);
}

TEST(msr_knows_which_families_have_registers) {
  for (const auto& [vendor, family] : {std::pair{"AuthenticAMD", 0x15},
                                       {"HygonGenuine", 0x17},
                                       {"GenuineIntel", 5},
                                       {"GenuineIntel", 15},
                                       {"CentaurHauls", 7},
                                       {"", 6}}) {
    Machine machine(vendor, family, 0x9E);
    for (const uint32_t address : {kUnit, kPackage, kAmdUnit, kAmdPackage}) machine.set(address, kUnit14);
    const MeterProbe probe = machine.probe();
    CHECK(probe.outcome == Outcome::kAbsent);
    CHECK_EQUAL(probe.path, machine.scratch.path("cpuinfo"));
    CHECK_EQUAL(machine.hardware.msr_reads, 0);
  }
  Machine hygon("HygonGenuine", 0x18, 0);
  hygon.set(kAmdUnit, kUnit16);
  hygon.set(kAmdPackage, 65536);
  CHECK_EQUAL(names(hygon.probe()), "package-0 package-1 ");
}

TEST(msr_reads_each_die_on_intel_and_each_package_on_amd) {
  const std::vector<test::FakeCpu> cpus = {{0, 0, 0}, {0, 0, 1}, {0, 1, 2}, {0, 1, 3}};
  Machine intel("GenuineIntel", 6, 0x55, cpus);
  intel.set(kUnit, kUnit14);
  for (const uint32_t address : {kPackage, kPsys}) intel.set(address, 16384);
  CHECK_EQUAL(names(intel.probe()), "package-0-die-0 psys package-0-die-1 ");
  Machine amd("AuthenticAMD", 23, 1, cpus);
  amd.set(kAmdUnit, kUnit16);
  amd.set(kAmdPackage, 65536);
  CHECK_EQUAL(names(amd.probe()), "package-0 ");
}

TEST(msr_goes_on_through_another_cpu_of_the_package) {
  Machine machine("GenuineIntel", 6, 0x8F);
  machine.set(kUnit, kUnit14);
  machine.set(kPackage, 16384);
  const MeterProbe probe = machine.probe();
  // Three of each package's four.
  CHECK_EQUAL(machine.hardware.open_count(), 6u);
  // From now on nothing can be opened any more.
  machine.hardware.msr_error = EACCES;
  machine.hardware.offline = {0, 4};
  machine.set(kPackage, 2 * 16384);
  const auto moved = poll(*probe.meter, 1);
  CHECK(moved[0].status == Status::kGood);
  CHECK_EQUAL(moved[0].energy_uj, 2'000'000u);
  machine.hardware.msr_reads = 0;
  poll(*probe.meter, 2);
  // Not by way of the CPU that is gone.
  CHECK_EQUAL(machine.hardware.msr_reads, 2);
  machine.hardware.offline = {0, 1, 4, 5};
  const auto lost = poll(*probe.meter, 3);
  CHECK(lost[0].status == Status::kFailed);
  CHECK(lost[1].status == Status::kGood);
  machine.hardware.offline = {5};
  CHECK(poll(*probe.meter, 4)[0].status == Status::kGood);
}

TEST(msr_takes_a_failed_read_for_a_gap) {
  Machine machine("GenuineIntel", 6, 0x8F, {{0, 0, 0}});
  machine.set(kUnit, kUnit14);
  machine.set(kPackage, 16384 * 100);
  const MeterProbe probe = machine.probe();
  Accumulator package(probe.meter->domains()[0].limits);
  package.feed(poll(*probe.meter, 1)[0]);
  machine.hardware.registers.erase({0, kPackage});
  const auto failed = poll(*probe.meter, 2);
  CHECK(failed[0].status == Status::kFailed);
  package.feed(failed[0]);
  CHECK_EQUAL(package.energy_uj(), 0u);
  machine.set(kPackage, 16384 * 400);
  package.feed(poll(*probe.meter, 3)[0]);
  CHECK_EQUAL(package.energy_uj(), 300'000'000u);
  CHECK_EQUAL(package.health().wraps.get(), 0u);
}

TEST(msr_opens_only_what_is_asked_for_and_closes_it) {
  Machine machine("AuthenticAMD", 25, 17);
  machine.set(kAmdUnit, kUnit16);
  machine.set(kAmdPackage, 65536);
  machine.set(kAmdCore, 65536);
  MeterContext context = machine.context();
  context.only = {"package-1"};
  {
    const MeterProbe probe = make_rapl_msr(context);
    CHECK_EQUAL(names(probe), "package-1 ");
    CHECK_EQUAL(machine.hardware.open_count(), 3u);
  }
  CHECK_EQUAL(machine.hardware.open_count(), 0u);
}

TEST(msr_says_why_it_cannot_measure) {
  Machine machine("GenuineIntel", 6, 0x8F);
  const auto probe = [&](int error) {
    machine.hardware.msr_error = error;
    return machine.probe();
  };
  // A virtual machine: no register, or all of them 0.
  const MeterProbe unreadable = probe(0);
  CHECK(unreadable.outcome == Outcome::kUnreadable);
  CHECK_EQUAL(unreadable.path, "/dev/cpu/0/msr");
  for (const uint32_t address : {kUnit, kPackage, kDram, kCores, kGraphics, kPsys}) machine.set(address, 0);
  CHECK(probe(0).outcome == Outcome::kUnreadable);
  CHECK_EQUAL(probe(0).notes.size(), 2u);
  CHECK(probe(EACCES).outcome == Outcome::kForbidden);
  CHECK(probe(EPERM).outcome == Outcome::kForbidden);
  CHECK_EQUAL(probe(EPERM).path, "/dev/cpu/0/msr");
  CHECK(probe(ENOENT).outcome == Outcome::kAbsent);
  CHECK(probe(ENXIO).outcome == Outcome::kAbsent);
  CHECK(probe(EMFILE).outcome == Outcome::kUnreadable);
  machine.scratch.write("devices/system/cpu/online", "0-7;\n");
  CHECK_EQUAL(probe(0).path, machine.scratch.path("devices/system/cpu"));
  CHECK_EQUAL(machine.hardware.open_count(), 0u);
}

TEST(msr_tells_of_noise_in_the_counters) {
  Machine machine("GenuineIntel", 6, 0x6A, {{0, 0, 0}});
  machine.set(kUnit, kUnit14);
  machine.set(kPackage, 16384);
  machine.set(0xBC, 0x2);
  CHECK(machine.probe().notes.empty());
  machine.set(0xBC, 0x1);
  CHECK_EQUAL(machine.probe().notes.size(), 1u);
}

}  // namespace
}  // namespace wattle
