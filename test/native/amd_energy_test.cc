#include "check.h"
#include "core/accumulator.h"
#include "core/clock.h"
#include "fake_processor.h"
#include "meters/meters.h"

namespace wattle {
namespace {

using Outcome = MeterProbe::Outcome;
using Status = Reading::Status;
using test::Scratch;

const std::string kDevice = "class/hwmon/hwmon3/";

void sensor(const Scratch& scratch, int channel, const std::string& label, const std::string& energy) {
  const std::string path = kDevice + "energy" + std::to_string(channel);
  scratch.write(path + "_label", label + "\n");
  scratch.write(path + "_input", energy);
}

// Two sockets of two cores; the driver numbers cores by their first threads, then come the memory nodes.
void rome(const Scratch& scratch) {
  write_model(scratch, "AuthenticAMD", 23, 49);
  write_cpus(scratch, test::kTwoPackages);
  scratch.write("class/hwmon/hwmon0/name", "k10temp\n");
  scratch.write("class/hwmon/hwmon3/name", "amd_energy\n");
  for (int core = 0; core < 4; core++)
    sensor(scratch, 1 + core, "Ecore00" + std::to_string(core), std::to_string(core) + "\n");
  sensor(scratch, 5, "Esocket0", "100\n");
  sensor(scratch, 6, "Esocket1", "200\n");
  scratch.write("devices/system/node/node0/cpulist", "0-1,4-5\n");
  scratch.write("devices/system/node/node1/cpulist", "2-3,6-7\n");
}

MeterProbe probe(const Scratch& scratch, std::vector<std::string> only = {}) {
  return make_amd_energy({.sysfs = scratch.root(), .procfs = scratch.root(), .only = std::move(only)});
}

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

TEST(amd_energy_names_sockets_and_cores_by_the_topology) {
  Scratch scratch;
  rome(scratch);
  const MeterProbe found = probe(scratch);
  CHECK(found.outcome == Outcome::kAvailable);
  CHECK_EQUAL(found.path, scratch.path("class/hwmon/hwmon3"));
  CHECK_EQUAL(names(found), "package-0 package-1 package-0/core-0 package-0/core-1 package-1/core-0 package-1/core-1 ");
  const std::vector<uint64_t> expected = {100, 200, 0, 1, 2, 3};
  const auto readings = poll(*found.meter, 1);
  for (size_t i = 0; i < expected.size(); i++) {
    CHECK(readings[i].status == Status::kGood);
    CHECK_EQUAL(readings[i].energy_uj, expected[i]);
  }
  CHECK(found.meter->domains()[1].kind == DomainKind::kPackage);
  CHECK(found.meter->domains()[2].kind == DomainKind::kCore);
  CHECK_EQUAL(names(probe(scratch, {"package-1"})), "package-1 ");
}

TEST(amd_energy_counts_a_socket_once_that_has_several_memory_nodes) {
  Scratch scratch;
  rome(scratch);
  sensor(scratch, 7, "Esocket2", "100\n");
  sensor(scratch, 8, "Esocket3", "200\n");
  scratch.write("devices/system/node/node0/cpulist", "0,4\n");
  scratch.write("devices/system/node/node1/cpulist", "1,5\n");
  scratch.write("devices/system/node/node2/cpulist", "2,6\n");
  scratch.write("devices/system/node/node3/cpulist", "3,7\n");
  const MeterProbe found = probe(scratch, {"package-0", "package-1"});
  CHECK_EQUAL(names(found), "package-0 package-1 ");
  CHECK_EQUAL(poll(*found.meter, 1)[1].energy_uj, 100u);
}

TEST(amd_energy_leaves_out_what_it_cannot_place) {
  Scratch scratch;
  rome(scratch);
  for (const char* label : {"", "Ecore", "Ecore-1", "Ecore0x1", "Ecore99999", "Ecore99999999999999999999", "Ecore001 ",
                            "Esocket", "Esocket9", "Efan1", "energy"})
    sensor(scratch, 7, label, "1\n"), CHECK_EQUAL(probe(scratch).meter->domains().size(), 6u);
  CHECK_EQUAL(probe(scratch).notes.size(), 1u);
  // A memory node without CPUs.
  scratch.write("devices/system/node/node9/cpulist", "\n");
  sensor(scratch, 7, "Esocket9", "1\n");
  CHECK_EQUAL(probe(scratch).meter->domains().size(), 6u);
  // Threads numbered side by side: two of the driver's cores are one.
  write_cpus(scratch, {{0, 0, 0}, {0, 0, 0}, {1, 0, 0}, {1, 0, 0}});
  CHECK_EQUAL(names(probe(scratch)), "package-0 package-1 package-0/core-0 package-1/core-0 ");
}

TEST(amd_energy_takes_no_number_from_garbage_and_books_a_gap) {
  Scratch scratch;
  rome(scratch);
  const MeterProbe found = probe(scratch, {"package-0"});
  Accumulator package(found.meter->domains()[0].limits);
  package.feed(poll(*found.meter, 1)[0]);
  int64_t second = 1;
  for (const char* text : {"", "\n", "-5\n", "12 34\n", "1e9\n", "18446744073709551616\n"}) {
    scratch.write(kDevice + "energy5_input", text);
    const auto readings = poll(*found.meter, ++second);
    CHECK(readings[0].status == Status::kFailed);
    package.feed(readings[0]);
  }
  CHECK_EQUAL(package.energy_uj(), 0u);
  scratch.write(kDevice + "energy5_input", "700000100\n");
  package.feed(poll(*found.meter, ++second)[0]);
  CHECK_EQUAL(package.energy_uj(), 700'000'000u);
  // The driver was loaded anew, or its arithmetic overflowed: a decrease is no wrap.
  scratch.write(kDevice + "energy5_input", "5\n");
  package.feed(poll(*found.meter, ++second)[0]);
  scratch.write(kDevice + "energy5_input", "1000005\n");
  package.feed(poll(*found.meter, ++second)[0]);
  CHECK_EQUAL(package.energy_uj(), 701'000'000u);
  CHECK_EQUAL(package.health().resets.get(), 1u);
}

TEST(amd_energy_finds_a_driver_again_that_was_away) {
  Scratch scratch;
  rome(scratch);
  const MeterProbe found = probe(scratch, {"package-0"});
  scratch.write(kDevice + "energy5_input", "");
  scratch.remove("class/hwmon/hwmon3");
  CHECK(poll(*found.meter, 2)[0].status == Status::kFailed);
  rome(scratch);
  CHECK_EQUAL(poll(*found.meter, 4)[0].energy_uj, 100u);
}

TEST(amd_energy_says_why_it_cannot_measure) {
  Scratch scratch;
  CHECK(probe(scratch).outcome == Outcome::kAbsent);
  CHECK_EQUAL(probe(scratch).path, scratch.path("class/hwmon"));
  rome(scratch);
  for (int channel = 1; channel <= 6; channel++)
    scratch.write(kDevice + "energy" + std::to_string(channel) + "_input", "");
  CHECK(probe(scratch).outcome == Outcome::kUnreadable);
  scratch.write("class/hwmon/hwmon3/name", "amd_energy2\n");
  CHECK(probe(scratch).outcome == Outcome::kAbsent);
}

}  // namespace
}  // namespace wattle
