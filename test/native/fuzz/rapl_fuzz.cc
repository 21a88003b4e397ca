#include <vector>

#include "core/clock.h"
#include "fake_hardware.h"
#include "fake_processor.h"
#include "fuzz.h"
#include "meters/meters.h"
#include "meters/processor.h"

namespace wattle {
namespace {

// Probes what was written, and polls it twice where there is a meter.
void read(MeterMaker maker, const test::Scratch& scratch, test::FakeHardware* hardware) {
  const MeterProbe probe = maker({.sysfs = scratch.root(), .procfs = scratch.root(), .hardware = hardware});
  fuzz::promise((probe.meter != nullptr) == (probe.outcome == MeterProbe::Outcome::kAvailable));
  if (probe.meter == nullptr) return;
  std::vector<Reading> readings(probe.meter->domains().size());
  for (int64_t second = 1; second <= 2; second++) probe.meter->poll({.mono_ns = second * kNsPerSecond}, readings);
}

}  // namespace

FUZZ(cpuinfo, input) { parse_processor_model(input); }

// Lines: the PMU's number, its CPUs, the number, scale and unit of an event.
FUZZ(rapl_perf, input) {
  static const test::Scratch scratch(fuzz::fast_folder());
  static test::FakeHardware hardware;
  if (hardware.perf.empty()) {
    write_cpus(scratch, test::kTwoPackages);
    for (int cpu = 0; cpu < 8; cpu++) hardware.perf[{27, 2, cpu}] = 1'000'000;
  }
  const std::string pmu = "bus/event_source/devices/power/";
  for (const char* file : {"type", "cpumask", "events/energy-pkg", "events/energy-pkg.scale", "events/energy-pkg.unit"})
    scratch.write(pmu + file, fuzz::take_line(input) + "\n");
  read(make_rapl_perf, scratch, &hardware);
}

// Lines: the name of a sensor, its counter, and what follows: the CPUs of a memory node.
FUZZ(amd_energy, input) {
  static const test::Scratch scratch(fuzz::fast_folder());
  static bool written = false;
  if (!written) {
    write_model(scratch, "AuthenticAMD", 23, 49);
    write_cpus(scratch, test::kTwoPackages);
    scratch.write("class/hwmon/hwmon3/name", "amd_energy\n");
    written = true;
  }
  for (const char* file :
       {"class/hwmon/hwmon3/energy1_label", "class/hwmon/hwmon3/energy1_input", "devices/system/node/node0/cpulist"})
    scratch.write(file, fuzz::take_line(input) + "\n");
  read(make_amd_energy, scratch, nullptr);
}

}  // namespace wattle
