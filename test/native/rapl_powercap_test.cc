#include <array>
#include <vector>

#include "check.h"
#include "core/clock.h"
#include "meters/meters.h"
#include "scratch.h"

namespace wattle {
namespace {

using Outcome = MeterProbe::Outcome;
using Status = Reading::Status;

void zone(const test::Scratch& scratch, const std::string& id, const std::string& name, const std::string& energy,
          const std::string& range = "262143328850\n") {
  scratch.write("class/powercap/" + id + "/name", name + "\n");
  scratch.write("class/powercap/" + id + "/energy_uj", energy);
  scratch.write("class/powercap/" + id + "/max_energy_range_uj", range);
}

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

TEST(powercap_finds_a_two_socket_server_once) {
  test::Scratch scratch;
  for (const std::string tree : {"intel-rapl", "intel-rapl-mmio"}) {
    zone(scratch, tree + ":0", "package-0", "1\n");
    zone(scratch, tree + ":0:0", "dram", "2\n");
    zone(scratch, tree + ":1", "package-1", "3\n");
    zone(scratch, tree + ":1:0", "dram", "4\n");
  }
  scratch.write("class/powercap/intel-rapl/enabled", "1\n");
  const MeterProbe probe = make_rapl_powercap({.sysfs = scratch.root()});
  CHECK(probe.outcome == Outcome::kAvailable);
  CHECK_EQUAL(names(*probe.meter), "package-0 package-0/dram package-1 package-1/dram ");
  const auto readings = poll(*probe.meter, 1);
  for (uint64_t i = 0; i < 4; i++) {
    CHECK(readings[i].status == Status::kGood);
    CHECK_EQUAL(readings[i].energy_uj, i + 1);
  }
}

TEST(powercap_names_parts_after_their_package) {
  test::Scratch scratch;
  zone(scratch, "intel-rapl:0", "package-0", "1\n");
  zone(scratch, "intel-rapl:0:0", "core", "1\n");
  zone(scratch, "intel-rapl:0:1", "uncore", "1\n");
  zone(scratch, "intel-rapl:0:2", "dram", "1\n");
  zone(scratch, "intel-rapl:1", "psys", "1\n");
  const MeterProbe probe = make_rapl_powercap({.sysfs = scratch.root()});
  CHECK_EQUAL(names(*probe.meter), "package-0 package-0/core package-0/uncore package-0/dram psys ");
}

TEST(powercap_takes_memory_mapped_zones_where_there_are_no_others) {
  test::Scratch scratch;
  zone(scratch, "intel-rapl-mmio:0", "package-0", "1\n");
  CHECK_EQUAL(names(*make_rapl_powercap({.sysfs = scratch.root()}).meter), "package-0 ");
}

TEST(powercap_numbers_zones_as_numbers) {
  test::Scratch scratch;
  for (int i = 0; i < 11; i++)
    zone(scratch, "intel-rapl:" + std::to_string(i), "package-" + std::to_string(i), std::to_string(i) + "\n");
  const MeterProbe probe = make_rapl_powercap({.sysfs = scratch.root()});
  CHECK_EQUAL(probe.meter->domains()[2].name, "package-2");
  CHECK_EQUAL(probe.meter->domains()[10].name, "package-10");
}

TEST(powercap_ignores_foreign_entries) {
  test::Scratch scratch;
  for (const char* id : {"intel-rapl", "intel-rapl:", "intel-rapl:x", "intel-rapl:0:", "intel-rapl:0:0:0", "dtpm:0",
                         "intel-rapl:99999999999999999999"})
    zone(scratch, id, "package-0", "1\n");
  zone(scratch, "intel-rapl:7", "unheard-of", "1\n");
  CHECK(make_rapl_powercap({.sysfs = scratch.root()}).outcome == Outcome::kAbsent);
}

TEST(powercap_says_why_it_cannot_measure) {
  test::Scratch scratch;
  const MeterProbe absent = make_rapl_powercap({.sysfs = scratch.root()});
  CHECK(absent.outcome == Outcome::kAbsent);
  CHECK_EQUAL(absent.path, scratch.path("class/powercap"));
  zone(scratch, "intel-rapl:0", "package-0", "");
  const MeterProbe unreadable = make_rapl_powercap({.sysfs = scratch.root()});
  CHECK(unreadable.outcome == Outcome::kUnreadable);
  CHECK_EQUAL(unreadable.path, scratch.path("class/powercap/intel-rapl:0/energy_uj"));
}

TEST(powercap_reads_no_number_from_garbage) {
  test::Scratch scratch;
  zone(scratch, "intel-rapl:0", "package-0", "100\n");
  const MeterProbe probe = make_rapl_powercap({.sysfs = scratch.root()});
  int64_t second = 0;
  for (const char* text : {"", "\n", "12 34\n", "-5\n", "1e9\n", "18446744073709551616\n", "0x12\n",
                           "123456789012345678901234567890123456789012345678901234567890\n"}) {
    scratch.write("class/powercap/intel-rapl:0/energy_uj", text);
    CHECK(poll(*probe.meter, second += 10)[0].status == Status::kFailed);
  }
  scratch.write("class/powercap/intel-rapl:0/energy_uj", "200\n");
  CHECK_EQUAL(poll(*probe.meter, second + 10)[0].energy_uj, 200u);
}

TEST(powercap_finds_a_zone_again_that_had_vanished) {
  test::Scratch scratch;
  zone(scratch, "intel-rapl:0", "package-0", "100\n");
  zone(scratch, "intel-rapl:1", "package-1", "100\n");
  const MeterProbe probe = make_rapl_powercap({.sysfs = scratch.root()});
  CHECK(poll(*probe.meter, 1)[0].status == Status::kGood);
  scratch.write("class/powercap/intel-rapl:0/energy_uj", "");
  scratch.remove("class/powercap/intel-rapl:0");
  const auto gone = poll(*probe.meter, 3);
  CHECK(gone[0].status == Status::kFailed);
  CHECK(gone[1].status == Status::kGood);
  CHECK(poll(*probe.meter, 5)[0].status == Status::kFailed);
  zone(scratch, "intel-rapl:0", "package-0", "300\n");
  // Looked for once per second, not at every tick.
  CHECK(poll(*probe.meter, 5)[0].status == Status::kFailed);
  CHECK_EQUAL(poll(*probe.meter, 7)[0].energy_uj, 300u);
}

TEST(powercap_knows_the_counters_range) {
  test::Scratch scratch;
  zone(scratch, "intel-rapl:0", "package-0", "1\n");
  zone(scratch, "intel-rapl:1", "package-1", "1\n", "4000000000\n");
  zone(scratch, "intel-rapl:2", "package-2", "1\n", "garbage\n");
  const MeterProbe probe = make_rapl_powercap({.sysfs = scratch.root()});
  // The largest value is 2^32 - 1 units of 61 uJ: a full turn is one unit more.
  CHECK_EQUAL(probe.meter->domains()[0].limits.modulus_uj, 262143328850u + 61);
  CHECK_EQUAL(probe.meter->domains()[1].limits.modulus_uj, 4000000000u);
  CHECK_EQUAL(probe.meter->domains()[2].limits.modulus_uj, 0u);
}

}  // namespace
}  // namespace wattle
