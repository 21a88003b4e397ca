#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "core/accumulator.h"
#include "core/clock.h"
#include "fake_bmc.h"
#include "meters/dcmi.h"
#include "meters/meters.h"

namespace wattle {
namespace {

using Outcome = MeterProbe::Outcome;
using Status = Reading::Status;

// A meter on a fake controller, asked once per second of virtual time, and what is booked from it.
struct Bench {
  test::FakeBmc bmc;
  MeterProbe probe;
  std::unique_ptr<Accumulator> books;
  Reading last;

  void start(double hold_ms = 10'000) {
    MeterContext context;
    context.hardware = &bmc;
    context.settings.set("maxHoldMs", hold_ms);
    probe = make_ipmi(context);
    if (probe.meter) books = std::make_unique<Accumulator>(probe.meter->domains()[0].limits);
  }
  void poll_at(int64_t second) {
    bmc.now_ns = second * kNsPerSecond;
    Tick tick;
    tick.mono_ns = bmc.now_ns;
    probe.meter->poll(tick, {&last, 1});
    // What a Courier does.
    if (last.status == Status::kFailed) last.at_ns = tick.mono_ns;
    books->feed(last);
  }
  void run(int64_t from, int64_t to) {
    for (int64_t second = from; second <= to; second++) poll_at(second);
  }
  double joules() const { return static_cast<double>(books->energy_uj()) / 1e6; }
  double covered_s() const { return static_cast<double>(books->covered_ns()) / 1e9; }
};

// Whole watts that change by one watt per second, so that trapezoids over seconds are exact.
double ramp(int64_t now_ns) { return 200 + std::fabs(static_cast<double>(now_ns) / 1e9 - 50); }

double ramp_joules(int64_t from, int64_t to) {
  double joules = 0;
  for (int64_t second = from; second < to; second++)
    joules += (ramp(second * kNsPerSecond) + ramp((second + 1) * kNsPerSecond)) / 2;
  return joules;
}

TEST(ipmi_asks_for_system_power_and_integrates_it) {
  Bench bench;
  bench.bmc.watts = ramp;
  bench.start();
  CHECK(bench.probe.outcome == Outcome::kAvailable);
  CHECK(bench.probe.notes.empty());
  CHECK(bench.probe.meter->may_block());
  const DomainInfo& node = bench.probe.meter->domains()[0];
  CHECK_EQUAL(node.name, "node");
  CHECK(node.kind == DomainKind::kNode);
  CHECK(node.quality == Quality::kMeasured);
  CHECK(bench.bmc.last_request == (std::vector<uint8_t>{0x2C, 0x02, 0xDC, 0x01, 0x00, 0x00}));
  CHECK(bench.bmc.longest_timeout_ms <= 2000);
  bench.run(1, 100);
  CHECK_EQUAL(bench.joules(), ramp_joules(1, 100));
  CHECK_EQUAL(bench.covered_s(), 99);
}

TEST(ipmi_says_why_it_cannot_measure) {
  const auto probe = [](const auto& spoil) {
    Bench bench;
    spoil(bench.bmc);
    bench.start();
    const std::string note = bench.probe.notes.empty() ? "" : bench.probe.notes[0];
    const bool has_meter = bench.probe.meter != nullptr;
    CHECK(has_meter == (bench.probe.outcome == Outcome::kAvailable));
    bench.probe.meter.reset();
    CHECK_EQUAL(bench.bmc.open_descriptors, 0);
    return std::pair(bench.probe.outcome, note);
  };
  const auto answers = [&](std::vector<uint8_t> bytes) {
    return probe([&](test::FakeBmc& bmc) { bmc.spoil = [bytes](auto& answer) { answer = bytes; }; });
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(probe([](test::FakeBmc& bmc) { bmc.refuses_open = ENOENT; }).first == Outcome::kAbsent);
  CHECK(probe([](test::FakeBmc& bmc) { bmc.refuses_open = ENODEV; }).first == Outcome::kAbsent);
  CHECK(probe([](test::FakeBmc& bmc) { bmc.refuses_open = EACCES; }).first == Outcome::kForbidden);
  const auto silent = probe([](test::FakeBmc& bmc) { bmc.fails = ETIMEDOUT; });
  CHECK(silent.first == Outcome::kAvailable);
  CHECK(has(silent.second, "did not answer"));
  CHECK(answers({0xC0}).first == Outcome::kAvailable);
  const auto refused = answers({0xC1, 0xDC});
  CHECK(refused.first == Outcome::kUnreadable);
  CHECK(has(refused.second, "0xC1"));
  CHECK(has(refused.second, "no DCMI"));
  CHECK(has(answers({0xD4}).second, "0xD4"));
  CHECK(has(answers({}).second, "no DCMI power reading"));
  CHECK(has(answers({0x00, 0xDC, 0x2C, 0x01}).second, "no DCMI power reading"));
  CHECK(has(probe([](test::FakeBmc& bmc) { bmc.watts = [](int64_t) { return 0; }; }).second, "0 W"));
  CHECK(has(probe([](test::FakeBmc& bmc) { bmc.watts = [](int64_t) { return 65535; }; }).second, "65535 W"));
}

TEST(ipmi_survives_a_machine_without_hardware) { CHECK(make_ipmi({}).outcome == Outcome::kAbsent); }

TEST(ipmi_bridges_a_short_silence_and_leaves_a_gap_for_a_long_one) {
  Bench bench;
  bench.bmc.watts = ramp;
  bench.start();
  bench.run(1, 20);
  bench.bmc.fails = ETIMEDOUT;
  bench.run(21, 22);
  bench.bmc.fails = 0;
  bench.run(23, 30);
  // The power before and after is known, and 3 s are shorter than a reading stands.
  CHECK_EQUAL(bench.joules(), ramp_joules(1, 30));
  CHECK_EQUAL(bench.covered_s(), 29);

  bench.bmc.fails = ETIMEDOUT;
  bench.run(31, 60);
  bench.bmc.fails = 0;
  int64_t second = 61;
  do bench.poll_at(second++);
  while (bench.last.status == Status::kFailed && second < 120);
  CHECK(bench.last.status == Status::kRestarted);
  bench.run(second, 120);
  CHECK(bench.last.status == Status::kGood);
  // From 30 s until it was asked again nothing is known: not booked, and not covered.
  const auto missing_s = static_cast<int64_t>(119 - bench.covered_s());
  CHECK(missing_s > 30 && missing_s <= 60);
  CHECK_EQUAL(bench.joules(), ramp_joules(1, 30) + ramp_joules(30 + missing_s, 120));
}

TEST(ipmi_asks_a_silent_controller_less_and_less_often) {
  Bench bench;
  bench.start();
  bench.run(1, 10);
  bench.bmc.fails = ETIMEDOUT;
  bench.bmc.asks = 0;
  bench.run(11, 310);
  // At 2, 4, 8, 16, then every 30 s.
  CHECK(bench.bmc.asks >= 10 && bench.bmc.asks <= 15);
  bench.bmc.fails = 0;
  bench.bmc.asks = 0;
  bench.run(311, 400);
  CHECK(bench.last.status == Status::kGood);
  CHECK(bench.bmc.asks >= 59);
  CHECK_EQUAL(bench.bmc.opens, 1);
}

TEST(ipmi_opens_the_device_anew_once_the_driver_was_reloaded) {
  Bench bench;
  bench.start();
  bench.run(1, 10);
  bench.bmc.fails = ENODEV;
  bench.bmc.refuses_open = EACCES;
  bench.run(11, 20);
  // The old descriptor is kept where there is no new one.
  CHECK_EQUAL(bench.bmc.open_descriptors, 1);
  CHECK_EQUAL(bench.bmc.opens, 1);
  bench.bmc.refuses_open = 0;
  bench.run(21, 60);
  CHECK(bench.bmc.opens > 1);
  CHECK_EQUAL(bench.bmc.open_descriptors, 1);
  bench.bmc.fails = 0;
  bench.run(61, 120);
  CHECK(bench.last.status == Status::kGood);
}

TEST(ipmi_takes_no_power_from_a_spoilt_answer) {
  const std::vector<std::pair<const char*, std::function<void(std::vector<uint8_t>&)>>> ways = {
      {"nothing", [](auto& answer) { answer.clear(); }},
      {"cut short", [](auto& answer) { answer.resize(18); }},
      {"only a completion code", [](auto& answer) { answer.resize(1); }},
      {"another group", [](auto& answer) { answer[1] = 0x01; }},
      {"busy", [](auto& answer) { answer[0] = 0xC0; }},
      {"no watts", [](auto& answer) { answer[2] = answer[3] = 0; }},
      {"unknown watts", [](auto& answer) { answer[2] = answer[3] = 0xFF; }},
      {"impossible watts", [](auto& answer) { answer[3] = 0x7F; }},
      {"switched off", [](auto& answer) { answer[18] = 0; }},
  };
  for (const auto& [name, spoil] : ways) {
    Bench bench;
    bench.start();
    bench.run(1, 10);
    bench.bmc.spoil = spoil;
    bench.run(11, 60);
    if (bench.last.status != Status::kFailed) std::fprintf(stderr, "not refused: %s\n", name);
    CHECK(bench.last.status == Status::kFailed);
    CHECK_EQUAL(bench.joules(), 2700);
    CHECK_EQUAL(bench.covered_s(), 9);
    bench.bmc.spoil = [](auto&) {};
    bench.run(61, 200);
    CHECK(bench.last.status == Status::kGood);
    CHECK_EQUAL(bench.joules(), 300 * bench.covered_s());
  }
}

TEST(ipmi_measures_where_the_controller_never_says_that_it_does) {
  Bench bench;
  bench.bmc.active = false;
  bench.bmc.stamp = [](int64_t) { return 0; };
  bench.start();
  CHECK(bench.probe.outcome == Outcome::kAvailable);
  CHECK_EQUAL(bench.probe.notes.size(), 1u);
  bench.run(1, 101);
  CHECK_EQUAL(bench.joules(), 30'000);
  CHECK_EQUAL(bench.covered_s(), 100);
}

TEST(ipmi_sees_a_controller_that_repeats_an_old_value) {
  Bench bench;
  bench.start();
  bench.run(1, 20);
  bench.bmc.stamp = [](int64_t) { return 1'700'000'020; };
  bench.run(21, 100);
  CHECK(bench.last.status == Status::kFailed);
  // As long as a reading stands, no longer.
  CHECK_EQUAL(bench.covered_s(), 29);
  bench.bmc.stamp = test::FakeBmc().stamp;
  bench.run(101, 200);
  CHECK(bench.last.status == Status::kGood);
  CHECK_EQUAL(bench.covered_s(), 29 + 99);
  CHECK_EQUAL(bench.joules(), 300 * bench.covered_s());
}

TEST(ipmi_does_not_take_a_clock_that_is_set_for_one_that_runs) {
  Bench bench;
  bench.bmc.stamp = [](int64_t now_ns) { return now_ns < 20 * kNsPerSecond ? 0 : 1'700'000'000; };
  bench.start();
  bench.run(1, 101);
  CHECK(bench.last.status == Status::kGood);
  CHECK_EQUAL(bench.covered_s(), 100);
}

TEST(ipmi_may_be_told_that_values_are_renewed_once_a_minute) {
  Bench bench;
  bench.bmc.stamp = [](int64_t now_ns) { return static_cast<uint32_t>(now_ns / (60 * kNsPerSecond) * 60); };
  bench.start(90'000);
  bench.run(1, 601);
  CHECK_EQUAL(bench.covered_s(), 600);
}

TEST(ipmi_starts_anew_after_a_reset) {
  Bench bench;
  bench.start();
  bench.run(1, 10);
  bench.bmc.fails = ETIMEDOUT;
  bench.run(11, 30);
  bench.bmc.fails = 0;
  bench.probe.meter->reset();
  bench.poll_at(31);
  CHECK(bench.last.status == Status::kRestarted);
  bench.poll_at(32);
  CHECK(bench.last.status == Status::kGood);
  CHECK_EQUAL(bench.joules(), 3000);
  CHECK_EQUAL(bench.covered_s(), 10);
}

TEST(dcmi_reads_every_field) {
  const std::vector<uint8_t> answer = {0x00, 0xDC, 0x2C, 0x01, 0x90, 0x00, 0x58, 0x02, 0x0A, 0x01,
                                       0x78, 0x56, 0x34, 0x92, 0xE8, 0x03, 0x00, 0x80, 0x40};
  const auto power = parse_dcmi_power(answer);
  CHECK(power.has_value());
  CHECK_EQUAL(power->watts, 300);
  CHECK_EQUAL(power->least_watts, 144);
  CHECK_EQUAL(power->most_watts, 600);
  CHECK_EQUAL(power->mean_watts, 266);
  CHECK_EQUAL(power->stamp_s, 0x92345678u);
  CHECK_EQUAL(power->period_ms, 0x800003E8u);
  CHECK(power->active);
}

// Whatever arrives, the parser reads within it, and believes only a complete answer to this question.
TEST(dcmi_holds_against_mutated_answers) {
  std::mt19937 random(1);
  const std::vector<uint8_t> valid = test::FakeBmc().power_reading();
  int accepted = 0;
  for (int i = 0; i < 100'000; i++) {
    // Its own allocation, so that the address sanitizer sees a read beyond its end.
    std::vector<uint8_t> bytes(valid);
    for (uint32_t changes = random() % 4; changes > 0; changes--) bytes[random() % bytes.size()] = random() & 0xFF;
    if (random() % 4 == 0) bytes.resize(random() % 40);
    bytes.shrink_to_fit();
    const auto power = parse_dcmi_power(bytes);
    const bool complete = bytes.size() >= 19 && bytes[0] == 0 && bytes[1] == 0xDC;
    CHECK(power.has_value() == complete);
    if (power) CHECK_EQUAL(power->watts, bytes[2] + 256 * bytes[3]);
    accepted += power ? 1 : 0;
  }
  CHECK(accepted > 10'000 && accepted < 90'000);
}

}  // namespace
}  // namespace wattle
