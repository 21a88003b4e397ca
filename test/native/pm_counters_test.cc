#include "meters/pm_counters.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/accumulator.h"
#include "meters/meters.h"
#include "scratch.h"

namespace wattle {
namespace {

using Outcome = MeterProbe::Outcome;
using Status = Reading::Status;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kScanNs = 100 * kMs;
constexpr int64_t kEpochNs = 1'784'929'200 * kNsPerSecond;

// The blade's controller: scans the node ten times per second, on a clock of its own.
struct Blade {
  // Node power 800 W +- 600 W, five turns per minute; the other domains take fixed shares of it.
  static double node_joules(double s) { return 800 * s + 600 / kTurn * (1 - std::cos(kTurn * s)); }
  static constexpr double kTurn = 2 * 3.14159265358979323846 / 12;
  static constexpr std::array<double, 3> kShares = {1.0, 0.25, 0.01};

  int64_t now_ns = 0;
  // What its clock is ahead of 1970 + now.
  int64_t clock_ns = 0;
  // It scans no more from here on, or not yet up to there.
  int64_t hangs_from_ns = INT64_MAX;
  int64_t hangs_until_ns = INT64_MIN;
  // Its counters began at this time, with this much on them.
  int64_t started_ns = 0;
  double base_joules = 1000;
  bool stamps = true;
  // Its clock stands still while it counts on.
  bool stamp_stands = false;
  bool freshness_runs_on = false;
  // Called before each file is read.
  std::function<void(size_t file)> before_read = [](size_t) {};
  std::vector<bool> missing = std::vector<bool>(5);

  int64_t scan_ns() const {
    int64_t seen_ns = now_ns;
    if (seen_ns >= hangs_from_ns && seen_ns < hangs_until_ns) seen_ns = hangs_from_ns;
    return seen_ns / kScanNs * kScanNs;
  }

  std::string text(size_t file) const {
    const int64_t at_ns = scan_ns();
    char line[64];
    if (file == PmFiles::kFreshness) {
      std::snprintf(line, sizeof line, "%lld\n",
                    static_cast<long long>((at_ns - (freshness_runs_on ? 0 : started_ns)) / kScanNs));
    } else if (file == PmFiles::kStartup) {
      std::snprintf(line, sizeof line, "%lld\n", static_cast<long long>((kEpochNs + started_ns) / 1000));
    } else {
      const size_t domain = file - PmFiles::kFirstDomain;
      // Each sensor has its moment within the scan, here before the next one begins.
      const int64_t sensor_ns = at_ns - static_cast<int64_t>(domain) * 4 * kMs;
      const double joules =
          (node_joules(static_cast<double>(sensor_ns) / 1e9) - node_joules(static_cast<double>(started_ns) / 1e9)) *
              kShares[domain] +
          base_joules;
      const auto whole = static_cast<unsigned long long>(std::max(joules, 0.0));
      const auto stamp_us = static_cast<long long>((kEpochNs + clock_ns + (stamp_stands ? 0 : sensor_ns)) / 1000);
      if (stamps) {
        std::snprintf(line, sizeof line, "%llu J %lld us\n", whole, stamp_us);
      } else {
        std::snprintf(line, sizeof line, "%llu J\n", whole);
      }
    }
    return line;
  }
};

class BladeFiles final : public PmFiles {
 public:
  explicit BladeFiles(Blade& blade) : blade_(blade) {}
  std::optional<std::string_view> read(size_t file, std::span<char> buffer, int64_t) noexcept override {
    blade_.before_read(file);
    if (blade_.missing[file]) return std::nullopt;
    const std::string text = blade_.text(file);
    const size_t length = std::min(text.size(), buffer.size());
    std::memcpy(buffer.data(), text.data(), length);
    return std::string_view(buffer.data(), length);
  }

 private:
  Blade& blade_;
};

// A meter on a blade, and what is booked from it.
struct Bench {
  Blade blade;
  std::unique_ptr<Meter> meter;
  std::deque<Accumulator> books;
  std::vector<Reading> readings;
  int64_t first_ns = 0;

  Bench() {
    std::vector<DomainInfo> domains;
    for (const char* name : {"node", "package", "dram"})
      domains.push_back(
          {name, DomainKind::kNode, Quality::kMeasured, {0, 20'000, kScanNs * 2, 2 * kNsPerSecond, 0}, {}});
    meter = pm_counters_meter(std::move(domains), std::make_unique<BladeFiles>(blade));
    for (const DomainInfo& info : meter->domains()) books.emplace_back(info.limits);
    readings.resize(books.size());
  }

  void poll_at(int64_t now_ns) {
    blade.now_ns = now_ns;
    Tick tick;
    tick.mono_ns = now_ns;
    meter->poll(tick, readings);
    for (size_t i = 0; i < books.size(); i++) {
      // No value is of the future.
      CHECK(readings[i].at_ns <= now_ns);
      // What a Courier does.
      if (readings[i].status == Status::kFailed) readings[i].at_ns = now_ns;
      books[i].feed(readings[i]);
    }
  }
  void run(int64_t from_ns, int64_t to_ns, int64_t period_ns = 70 * kMs) {
    for (int64_t now_ns = from_ns; now_ns <= to_ns; now_ns += period_ns) poll_at(now_ns);
  }
  double joules(size_t domain = 0) const { return static_cast<double>(books[domain].energy_uj()) / 1e6; }
  double covered_s(size_t domain = 0) const { return static_cast<double>(books[domain].covered_ns()) / 1e9; }
};

constexpr int64_t seconds(int64_t s) { return s * kNsPerSecond; }

bool near(double found, double expected, double within) {
  if (std::fabs(found - expected) <= within) return true;
  std::fprintf(stderr, "found %.6f, expected %.6f within %.6f\n", found, expected, within);
  return false;
}

double truth(double from_s, double to_s, size_t domain = 0) {
  return (Blade::node_joules(to_s) - Blade::node_joules(from_s)) * Blade::kShares[domain];
}

TEST(pm_counters_book_the_energy_to_a_joule) {
  Bench bench;
  bench.run(seconds(10), seconds(130));
  for (size_t domain = 0; domain < 3; domain++) {
    // From the first scan that was seen to the last: the counter shows whole joules at either end.
    const double end_s = static_cast<double>(bench.books[domain].known_at_ns()) / 1e9;
    CHECK(near(bench.covered_s(domain), end_s - 10, 0.02));
    // The first stamp is only known to be of the time of its read or before: here the scan and the first read coincide.
    CHECK(
        near(bench.joules(domain), truth(10 - 0.004 * static_cast<double>(domain), end_s, domain), 1.0 + 1400 * 0.005));
    CHECK_EQUAL(bench.books[domain].health().resets.get(), 0u);
    CHECK_EQUAL(bench.books[domain].health().failed_reads.get(), 0u);
  }
  CHECK(bench.meter->may_block());
}

TEST(pm_counters_give_a_value_the_time_of_its_scan) {
  Bench bench;
  // Reads that drift through the scan period: after one turn the smallest difference is known.
  bench.run(seconds(10), seconds(20));
  int64_t furthest_ns = 0;
  for (int64_t now_ns = seconds(20) + 50 * kMs; now_ns < seconds(40); now_ns += 70 * kMs) {
    bench.poll_at(now_ns);
    furthest_ns = std::max(furthest_ns, std::abs(bench.readings[0].at_ns - bench.blade.scan_ns()));
  }
  CHECK(furthest_ns <= 15 * kMs);
}

TEST(pm_counters_repeat_a_scan_with_its_old_time) {
  Bench bench;
  bench.poll_at(seconds(10) + 10 * kMs);
  const Reading first = bench.readings[0];
  for (int i = 1; i < 9; i++) {
    bench.poll_at(seconds(10) + (10 + i * 10) * kMs);
    CHECK_EQUAL(bench.readings[0].at_ns, first.at_ns);
    CHECK_EQUAL(bench.readings[0].energy_uj, first.energy_uj);
  }
  bench.poll_at(seconds(10) + 105 * kMs);
  CHECK(bench.readings[0].at_ns > first.at_ns);
}

TEST(pm_counters_survive_a_clock_that_is_set) {
  for (const int64_t step_ns : {seconds(3600), -seconds(3600), 50 * kMs, -50 * kMs, seconds(1), -seconds(1)}) {
    Bench bench;
    bench.run(seconds(10), seconds(40));
    bench.blade.clock_ns = step_ns;
    bench.run(seconds(40) + 20 * kMs, seconds(70));
    const double end_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
    // Energy is the counter's; time is off by no more than one scan.
    CHECK(near(bench.joules(), truth(10, end_s), 1.0));
    CHECK(near(bench.covered_s(), end_s - 10, 0.11));
    CHECK_EQUAL(bench.books[0].health().resets.get(), 0u);
    CHECK_EQUAL(bench.books[0].health().gaps.get(), 0u);
  }
}

TEST(pm_counters_survive_a_clock_that_jumps_all_the_time) {
  std::mt19937 random(7);
  Bench bench;
  for (int64_t now_ns = seconds(10); now_ns < seconds(70); now_ns += 70 * kMs) {
    if (random() % 5 == 0) bench.blade.clock_ns = static_cast<int64_t>(random() % 4000) * kMs - seconds(2);
    bench.poll_at(now_ns);
  }
  const double end_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
  CHECK(near(bench.joules(), truth(10, end_s), 1.0));
  CHECK(near(bench.covered_s(), end_s - 10, 0.11));
}

TEST(pm_counters_without_useful_stamps_go_by_the_reads) {
  for (const bool stamp_stands : {true, false}) {
    Bench bench;
    bench.blade.stamps = stamp_stands;
    bench.blade.stamp_stands = stamp_stands;
    bench.run(seconds(10), seconds(70));
    const double end_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
    CHECK(near(bench.joules(), truth(10, end_s), 1.0));
    CHECK(near(bench.covered_s(), end_s - 10, 0.11));
  }
}

TEST(pm_counters_read_again_when_a_scan_comes_between) {
  Bench bench;
  bench.run(seconds(10), seconds(12));
  int scans = 1;
  bench.blade.before_read = [&](size_t file) {
    if (file == PmFiles::kFirstDomain + 1 && scans > 0) {
      bench.blade.now_ns += kScanNs;
      scans--;
    }
  };
  bench.poll_at(seconds(13));
  CHECK(bench.readings[0].status == Status::kGood);
  // All domains are of the same scan, the one that came between.
  const double scan_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
  for (size_t domain = 0; domain < 3; domain++) {
    const double joules =
        Blade::node_joules(scan_s - 0.004 * static_cast<double>(domain)) * Blade::kShares[domain] + 1000;
    CHECK_EQUAL(bench.readings[domain].energy_uj, static_cast<uint64_t>(joules) * 1'000'000);
  }
  // One that is torn each time is given up.
  scans = 100;
  bench.poll_at(seconds(14));
  for (const Reading& reading : bench.readings) CHECK(reading.status == Status::kFailed);
  CHECK_EQUAL(scans, 97);
  scans = 0;
  bench.run(seconds(15), seconds(30));
  const double end_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
  CHECK(near(bench.joules(), truth(10, end_s), 1.0));
  CHECK(near(bench.covered_s(), end_s - 10, 0.11));
}

TEST(pm_counters_of_a_hanging_controller_lose_their_coverage) {
  Bench bench;
  bench.run(seconds(10), seconds(20));
  bench.blade.hangs_from_ns = seconds(20);
  bench.blade.hangs_until_ns = seconds(50);
  bench.run(seconds(20) + 10 * kMs, seconds(49));
  CHECK(near(bench.covered_s(), 10, 0.11));
  CHECK(near(bench.joules(), truth(10, 20), 1.0));
  CHECK_EQUAL(bench.books[0].health().freezes.get(), 1u);
  bench.run(seconds(50), seconds(60));
  // It counted on meanwhile: the energy is there, the time it came in is not known.
  const double end_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
  CHECK(near(bench.joules(), truth(10, end_s), 1.0));
  CHECK(bench.covered_s() <= end_s - 10 - 28);
  CHECK(near(bench.covered_s(), end_s - 10 - 29, 1.1));
}

TEST(pm_counters_of_a_hanging_controller_that_lost_energy_invent_none) {
  Bench bench;
  bench.run(seconds(10), seconds(20));
  bench.blade.hangs_from_ns = seconds(20);
  bench.blade.hangs_until_ns = seconds(50);
  bench.run(seconds(20) + 10 * kMs, seconds(49));
  // All but a little.
  bench.blade.base_joules -= truth(20, 50) - 20;
  bench.run(seconds(50), seconds(60));
  const double end_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
  CHECK(near(bench.joules(), truth(10, 20) + 20 + truth(50, end_s), 2.0));
  CHECK(near(bench.covered_s(), end_s - 50 + 10, 1.1));
}

TEST(pm_counters_of_a_restarted_controller_book_nothing_for_the_step) {
  // The counters begin anew below and above where they were; and either sign of it may be all there is.
  for (const double base : {0.0, 5'000'000.0, 25'500.0}) {
    for (const bool startup_tells : {true, false}) {
      Bench bench;
      bench.blade.missing[PmFiles::kStartup] = !startup_tells;
      bench.blade.freshness_runs_on = startup_tells;
      bench.run(seconds(10), seconds(30));
      const double before = bench.joules();
      const double before_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
      bench.blade.started_ns = seconds(30);
      bench.blade.base_joules = base;
      bench.run(seconds(31), seconds(60));
      CHECK(near(before, truth(10, before_s), 1.0));
      const double end_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
      CHECK(near(bench.joules(), before + truth(31, end_s), 1.0));
      CHECK(near(bench.covered_s(), end_s - 31 + before_s - 10, 0.21));
      CHECK_EQUAL(bench.books[0].health().gaps.get(), 1u);
    }
  }
}

// Without the restart the step would be small enough to be believed.
TEST(pm_counters_tell_every_domain_of_a_restart) {
  Bench bench;
  bench.run(seconds(10), seconds(20));
  const double before = bench.joules(1);
  bench.blade.missing[PmFiles::kFirstDomain + 1] = true;
  bench.blade.started_ns = seconds(20);
  bench.blade.base_joules = bench.blade.base_joules + truth(0, 20, 1) + 500;
  bench.run(seconds(21), seconds(22));
  CHECK(bench.readings[0].status == Status::kGood);
  CHECK(bench.readings[1].status == Status::kFailed);
  bench.blade.missing[PmFiles::kFirstDomain + 1] = false;
  bench.poll_at(seconds(22) + 50 * kMs);
  CHECK(bench.readings[1].status == Status::kRestarted);
  CHECK_EQUAL(bench.joules(1), before);
}

TEST(pm_counters_fail_where_a_file_fails) {
  Bench bench;
  bench.run(seconds(10), seconds(20));
  bench.blade.missing[PmFiles::kFirstDomain] = true;
  bench.run(seconds(20) + 10 * kMs, seconds(30));
  CHECK(bench.readings[0].status == Status::kFailed);
  CHECK(bench.readings[1].status == Status::kGood);
  CHECK(near(bench.covered_s(0), 10, 0.11));
  bench.blade.missing[PmFiles::kFirstDomain] = false;
  bench.blade.missing[PmFiles::kFreshness] = true;
  bench.poll_at(seconds(31));
  for (const Reading& reading : bench.readings) CHECK(reading.status == Status::kFailed);
  bench.blade.missing[PmFiles::kFreshness] = false;
  bench.blade.missing[PmFiles::kStartup] = true;
  bench.run(seconds(32), seconds(40));
  // The counter ran on: nothing is lost.
  const double end_s = static_cast<double>(bench.blade.scan_ns()) / 1e9;
  CHECK(near(bench.joules(), truth(10, end_s), 1.0));
  CHECK(near(bench.covered_s(), end_s - 10, 0.11));
}

TEST(pm_counters_forget_at_a_reset) {
  Bench bench;
  bench.run(seconds(10), seconds(12));
  bench.meter->reset();
  bench.blade.started_ns = seconds(12);
  bench.poll_at(seconds(13));
  CHECK(bench.readings[0].status == Status::kGood);
  CHECK_EQUAL(bench.readings[0].at_ns, seconds(13));
}

TEST(scan_clock_stays_between_two_reads) {
  std::mt19937_64 random(3);
  ScanClock clock;
  int64_t since_ns = std::numeric_limits<int64_t>::min();
  int64_t read_ns = 0;
  for (int i = 0; i < 100'000; i++) {
    read_ns += static_cast<int64_t>(random() % seconds(3)) + 1;
    const auto stamp_ns = static_cast<int64_t>(random() >> (1 + random() % 60));
    const int64_t at_ns = clock.time_of(stamp_ns, since_ns, read_ns);
    CHECK(at_ns > since_ns && at_ns <= read_ns);
    since_ns = read_ns;
  }
}

TEST(pm_value_is_exactly_a_line) {
  const auto stamped = parse_pm_value("921658274 J 1784929200361701 us\n");
  CHECK(stamped.has_value());
  CHECK_EQUAL(stamped->joules, 921658274u);
  CHECK(stamped->stamp_us == 1784929200361701u);
  const auto bare = parse_pm_value("17 J\n");
  CHECK(bare && bare->joules == 17 && !bare->stamp_us);
  CHECK(parse_pm_value("17 J").has_value());
  for (const char* text : {"",
                           "\n",
                           "17",
                           "17\n",
                           "J",
                           " 17 J\n",
                           "17J\n",
                           "17 W\n",
                           "17 J \n",
                           "17 J 5\n",
                           "17 J 5 u",
                           "17 J 5 us \n",
                           "17 J 5 us\n\n",
                           "17 J x us\n",
                           "17 J -5 us\n",
                           "-17 J\n",
                           "1.5 J\n",
                           "1e3 J\n",
                           "0x17 J\n",
                           "17 J\n18 J\n",
                           "18446744073709551615 J\n",
                           "18446744073709551616 J\n",
                           "17 J 18446744073709551615 us\n",
                           "17 J  5 us\n"}) {
    if (parse_pm_value(text)) std::fprintf(stderr, "taken: %s\n", text);
    CHECK(!parse_pm_value(text).has_value());
  }
  CHECK(!parse_pm_value(std::string_view("17 J\0\n", 6)).has_value());
}

// Whatever a file holds, what is taken from it prints as what was there.
TEST(pm_value_holds_against_mutated_lines) {
  std::mt19937 random(2);
  const std::string valid = "921658274 J 1784929200361701 us\n";
  const std::string letters = "0123456789 Jus\n-.\0x";
  int accepted = 0;
  for (int i = 0; i < 100'000; i++) {
    std::string text = valid;
    for (uint32_t changes = random() % 4; changes > 0 && !text.empty(); changes--) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(at, random() % 4);
          break;
        case 1:
          text.insert(at, random() % 3 + 1, letters[random() % letters.size()]);
          break;
        case 2:
          text[at] = static_cast<char>(random() & 0xFF);
          break;
        default:
          text[at] = letters[random() % letters.size()];
      }
    }
    // Its own allocation without a final zero, so that the address sanitizer sees a read beyond its end.
    const std::vector<char> exact(text.begin(), text.end());
    const auto value = parse_pm_value({exact.data(), exact.size()});
    if (!value) continue;
    accepted++;
    std::string digits;
    for (const char c : text)
      if (c >= '0' && c <= '9') digits += c;
    std::string again = std::to_string(value->joules);
    if (value->stamp_us) again += std::to_string(*value->stamp_us);
    // Leading zeros apart.
    CHECK(digits.size() >= again.size());
    if (digits.size() == again.size()) CHECK_EQUAL(digits, again);
    CHECK(value->joules <= UINT64_MAX / 1'000'000);
    CHECK(!value->stamp_us || *value->stamp_us <= INT64_MAX / 1'000);
  }
  CHECK(accepted > 10'000 && accepted < 90'000);
}

void folder(const test::Scratch& scratch) {
  const std::string root = "cray/pm_counters/";
  scratch.write(root + "freshness", "47760686\n");
  scratch.write(root + "startup", "1780055122858757\n");
  scratch.write(root + "generation", "3\n");
  scratch.write(root + "power", "966 W 1784929200280410 us\n");
  scratch.write(root + "energy", "4709337659 J 1784929200280410 us\n");
  scratch.write(root + "cpu_energy", "17 J 1784929200280410 us\n");
  scratch.write(root + "memory_energy", "18 J 1784929200280410 us\n");
  scratch.write(root + "accel0_energy", "19 J 1784929200361701 us\n");
  scratch.write(root + "accel1_energy", "0 J 1784929200361701 us\n");
  scratch.write(root + "accel2_energy", "20 J 1784929200366215 us\n");
}

TEST(pm_counters_find_what_the_node_has) {
  test::Scratch scratch;
  folder(scratch);
  MeterProbe probe = make_pm_counters({.sysfs = scratch.root()});
  CHECK(probe.outcome == Outcome::kAvailable);
  CHECK_EQUAL(probe.path, scratch.path("cray/pm_counters"));
  std::string names;
  for (const DomainInfo& domain : probe.meter->domains()) names += domain.name + " ";
  CHECK_EQUAL(names, "node package dram gpu-accel0 gpu-accel2 ");
  std::vector<Reading> readings(5);
  Tick tick;
  tick.mono_ns = seconds(5);
  probe.meter->poll(tick, readings);
  const std::array<uint64_t, 5> joules = {4709337659, 17, 18, 19, 20};
  for (size_t i = 0; i < 5; i++) {
    CHECK(readings[i].status == Status::kGood);
    CHECK_EQUAL(readings[i].energy_uj, joules[i] * 1'000'000);
    CHECK_EQUAL(probe.meter->domains()[i].limits.modulus_uj, 0u);
  }
  probe = make_pm_counters({.sysfs = scratch.root(), .only = {"gpu-accel2"}});
  CHECK_EQUAL(probe.meter->domains().size(), 1u);
  probe.meter->poll(tick, {readings.data(), 1});
  CHECK_EQUAL(readings[0].energy_uj, 20'000'000u);
}

// A power cap that changes raises `generation`; the counters run on.
TEST(pm_counters_run_on_when_the_power_cap_changes) {
  test::Scratch scratch;
  folder(scratch);
  const MeterProbe probe = make_pm_counters({.sysfs = scratch.root(), .only = {"node"}});
  Reading reading;
  Tick tick;
  tick.mono_ns = seconds(5);
  probe.meter->poll(tick, {&reading, 1});
  scratch.write("cray/pm_counters/generation", "4\n");
  scratch.write("cray/pm_counters/freshness", "47760687\n");
  scratch.write("cray/pm_counters/energy", "4709337759 J 1784929200380410 us\n");
  tick.mono_ns += kScanNs;
  probe.meter->poll(tick, {&reading, 1});
  CHECK(reading.status == Status::kGood);
  CHECK_EQUAL(reading.energy_uj, 4709337759'000'000u);
}

TEST(pm_counters_find_a_folder_again_that_had_vanished) {
  test::Scratch scratch;
  folder(scratch);
  const MeterProbe probe = make_pm_counters({.sysfs = scratch.root(), .only = {"node"}});
  Reading reading;
  const auto poll_at = [&](int64_t second) {
    Tick tick;
    tick.mono_ns = seconds(second);
    probe.meter->poll(tick, {&reading, 1});
    return reading.status;
  };
  CHECK(poll_at(1) == Status::kGood);
  scratch.write("cray/pm_counters/freshness", "");
  scratch.remove("cray/pm_counters");
  CHECK(poll_at(3) == Status::kFailed);
  CHECK(poll_at(5) == Status::kFailed);
  folder(scratch);
  CHECK(poll_at(7) == Status::kGood);
}

TEST(pm_counters_say_why_they_cannot_measure) {
  test::Scratch scratch;
  const auto probe = [&] { return make_pm_counters({.sysfs = scratch.root()}); };
  CHECK(probe().outcome == Outcome::kAbsent);
  CHECK_EQUAL(probe().path, scratch.path("cray/pm_counters"));
  scratch.write("cray/pm_counters/freshness", "garbage\n");
  CHECK(probe().outcome == Outcome::kUnreadable);
  CHECK_EQUAL(probe().path, scratch.path("cray/pm_counters/freshness"));
  scratch.write("cray/pm_counters/freshness", "1\n");
  CHECK(probe().outcome == Outcome::kAbsent);
  scratch.write("cray/pm_counters/energy", "1 W 5 us\n");
  CHECK(probe().outcome == Outcome::kUnreadable);
  CHECK_EQUAL(probe().path, scratch.path("cray/pm_counters/energy"));
  scratch.write("cray/pm_counters/energy", "1 J 5 us\n");
  CHECK(probe().outcome == Outcome::kAvailable);
}

}  // namespace
}  // namespace wattle
