#include "meters/nvml.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "core/accumulator.h"
#include "core/clock.h"

namespace wattle {
namespace {

using namespace nvml;
using Outcome = MeterProbe::Outcome;
using Status = Reading::Status;

constexpr int64_t kMs = kNsPerSecond / 1000;
constexpr uint32_t kNone = 0xffffffff;

struct FakeInstance {
  std::string uuid;
  uint32_t gpu_instance = 0, compute_instance = 0, slices = 0;
};

struct FakeGpu {
  std::string uuid;
  std::string name = "NVIDIA H100 80GB HBM3";
  uint64_t energy_mj = 1'000'000;
  uint32_t usage_mw = 100'000;
  Value instant{.uint32 = 100'000}, average{.uint32 = 100'000};
  int type = kUint;
  // Answers of the calls, by what they ask for.
  int energy_code = 0, fields_code = 0, instant_code = 0, average_code = 0, usage_code = 0, handle_code = 0;
  Utilization utilization{50, 20};
  int utilization_code = 0;
  uint32_t limit_mw = 700'000;
  std::vector<uint32_t> compute, graphics;
  bool mig = false;
  std::vector<FakeInstance> instances;
};

// An emulated driver: what the functions below answer. Functions of C have no other way to their state.
struct Driver {
  int64_t now_ns = 1000 * kNsPerSecond;
  // What each energy read burns.
  int64_t cpu_ns = 0;
  int64_t energy_burns_ns = 0;
  // How long the next energy read takes.
  int64_t energy_takes_ns = 0;
  std::vector<FakeGpu> gpus;
  int init_code = 0;
  // Every call but init and shutdown.
  int code = 0;
  int inits = 0, shutdowns = 0, opens = 0, closes = 0;
  uint32_t count = kNone;
  std::map<std::string, int> calls;
  std::set<std::string> lacks;
  NvmlLibrary::State state = NvmlLibrary::State::kOpen;
};

Driver* driver = nullptr;

FakeGpu& gpu(Handle handle) { return driver->gpus[reinterpret_cast<uintptr_t>(handle) / 100 - 1]; }
FakeInstance* instance(Handle handle) {
  const uintptr_t number = reinterpret_cast<uintptr_t>(handle) % 100;
  return number == 0 ? nullptr : &gpu(handle).instances[number - 1];
}
Handle handle_of(size_t index, size_t part = 0) { return reinterpret_cast<Handle>((index + 1) * 100 + part); }

int called(const char* name, int code = 0) {
  driver->calls[name]++;
  return driver->code != 0 ? driver->code : code;
}

int copy(const std::string& text, char* out, uint32_t size) {
  // Without an end where it does not fit, as a broken library might.
  memcpy(out, text.c_str(), std::min<size_t>(text.size() + 1, size));
  return 0;
}

int list(const std::vector<uint32_t>& pids, uint32_t* count, Process* out) {
  const uint32_t room = *count;
  *count = static_cast<uint32_t>(pids.size());
  if (room < pids.size()) return kInsufficientSize;
  for (size_t i = 0; i < pids.size(); i++) out[i] = {pids[i], 1 << 20, kNone, kNone};
  return 0;
}

Api fake_api() {
  Api api;
  api.init = [] {
    driver->inits++;
    return driver->init_code;
  };
  api.shutdown = [] {
    driver->shutdowns++;
    return 0;
  };
  api.count = [](uint32_t* count) {
    *count = driver->count == kNone ? static_cast<uint32_t>(driver->gpus.size()) : driver->count;
    return called("count");
  };
  api.handle_by_index = [](uint32_t index, Handle* out) {
    if (index >= driver->gpus.size()) return static_cast<int>(kInvalidArgument);
    *out = handle_of(index);
    return called("by_index", driver->gpus[index].handle_code);
  };
  api.handle_by_uuid = [](const char* uuid, Handle* out) {
    for (size_t i = 0; i < driver->gpus.size(); i++) {
      if (driver->gpus[i].uuid != uuid) continue;
      *out = handle_of(i);
      return called("by_uuid", driver->gpus[i].handle_code);
    }
    return called("by_uuid", kNotFound);
  };
  api.uuid = [](Handle handle, char* out, uint32_t size) {
    const FakeInstance* part = instance(handle);
    copy(part != nullptr ? part->uuid : gpu(handle).uuid, out, size);
    return called("uuid");
  };
  api.name = [](Handle handle, char* out, uint32_t size) { return copy(gpu(handle).name, out, size); };
  api.pci_info = [](Handle, PciInfo* info) {
    strcpy(info->bus_id.data(), "00000000:3B:00.0");
    return 0;
  };
  api.total_energy = [](Handle handle, unsigned long long* out) {
    *out = gpu(handle).energy_mj;
    driver->now_ns += std::exchange(driver->energy_takes_ns, 0);
    driver->cpu_ns += driver->energy_burns_ns;
    return called("energy", gpu(handle).energy_code);
  };
  api.power_usage = [](Handle handle, uint32_t* out) {
    *out = gpu(handle).usage_mw;
    return called("usage", gpu(handle).usage_code);
  };
  api.field_values = [](Handle handle, int count, FieldValue* fields) {
    const FakeGpu& one = gpu(handle);
    for (int i = 0; i < count; i++) {
      const bool instant = fields[i].field == kFieldPowerInstant;
      fields[i].type = one.type;
      fields[i].code = instant ? one.instant_code : one.average_code;
      fields[i].value = instant ? one.instant : one.average;
    }
    return called("fields", one.fields_code);
  };
  api.power_limit_range = [](Handle handle, uint32_t* low, uint32_t* high) {
    *low = 200'000;
    *high = gpu(handle).limit_mw;
    return called("limits");
  };
  api.enforced_power_limit = [](Handle, uint32_t* out) {
    *out = 650'000;
    return called("limit");
  };
  api.utilization = [](Handle handle, Utilization* out) {
    *out = gpu(handle).utilization;
    return called("utilization", gpu(handle).utilization_code);
  };
  api.memory = [](Handle handle, Memory* out) {
    *out = instance(handle) != nullptr ? Memory{10 << 20, 7 << 20, 3 << 20}
                                       : Memory{80ull << 30, 60ull << 30, 20ull << 30};
    return called("memory");
  };
  api.compute_processes = [](Handle handle, uint32_t* count, Process* out) {
    return called("compute", list(gpu(handle).compute, count, out));
  };
  api.graphics_processes = [](Handle handle, uint32_t* count, Process* out) {
    return called("graphics", list(gpu(handle).graphics, count, out));
  };
  api.mig_mode = [](Handle handle, uint32_t* on, uint32_t* pending) {
    *on = *pending = gpu(handle).mig ? 1 : 0;
    return called("mig_mode");
  };
  api.max_mig_devices = [](Handle, uint32_t* out) {
    *out = 7;
    return called("max_mig");
  };
  api.mig_device = [](Handle handle, uint32_t index, Handle* out) {
    if (index >= gpu(handle).instances.size()) return static_cast<int>(kNotFound);
    *out = reinterpret_cast<Handle>(reinterpret_cast<uintptr_t>(handle) + index + 1);
    return called("mig_device");
  };
  api.gpu_instance_id = [](Handle handle, uint32_t* out) {
    *out = instance(handle)->gpu_instance;
    return called("gpu_instance");
  };
  api.compute_instance_id = [](Handle handle, uint32_t* out) {
    *out = instance(handle)->compute_instance;
    return called("compute_instance");
  };
  api.attributes = [](Handle handle, Attributes* out) {
    out->compute_instance_slices = instance(handle)->slices;
    out->memory_mib = 9856;
    return called("attributes");
  };
  // Symbols that an older library does not have.
  for (const std::string& name : driver->lacks) {
    if (name == "energy") api.total_energy = nullptr;
    if (name == "fields") api.field_values = nullptr;
    if (name == "usage") api.power_usage = nullptr;
    if (name == "rest") {
      api.name = nullptr;
      api.pci_info = nullptr;
      api.power_limit_range = nullptr;
      api.enforced_power_limit = nullptr;
      api.utilization = nullptr;
      api.memory = nullptr;
      api.compute_processes = api.graphics_processes = api.mps_processes = nullptr;
      api.mig_mode = nullptr;
    }
  }
  return api;
}

class FakeLibrary final : public NvmlLibrary {
 public:
  State open(Api& api) override {
    driver->opens++;
    if (driver->state == State::kOpen) api = fake_api();
    return driver->state;
  }
  void close() noexcept override { driver->closes++; }
  std::string path() const override { return "libfake.so"; }
  std::string error() const override { return "cannot open"; }
};

int64_t fake_now() noexcept { return driver->now_ns; }
int64_t fake_cpu() noexcept { return driver->cpu_ns; }

// One emulated driver and the meter on it.
class Bench {
 public:
  explicit Bench(std::vector<FakeGpu> gpus) {
    state_.gpus = std::move(gpus);
    driver = &state_;
  }
  ~Bench() {
    probe_ = {};
    driver = nullptr;
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  const MeterProbe& make(std::vector<std::string> only = {}) {
    probe_ = make_nvml_from(std::make_unique<FakeLibrary>(), {fake_now, fake_cpu}, {.only = std::move(only)});
    if (probe_.meter) probe_.meter->reset();
    return probe_;
  }

  Meter& meter() { return *probe_.meter; }
  MeterProbe& probe() { return probe_; }

  std::vector<Reading> poll(int64_t after_ns = 100 * kMs, bool forced = false) {
    driver->now_ns += after_ns;
    std::vector<Reading> readings(meter().domains().size());
    meter().poll({.mono_ns = driver->now_ns, .forced = forced}, readings);
    return readings;
  }

  std::string names() {
    std::string all;
    for (const DomainInfo& domain : meter().domains()) all += domain.name + " ";
    return all;
  }

 private:
  Driver state_;
  MeterProbe probe_;
};

FakeGpu hopper(const std::string& uuid = "GPU-aaaa") {
  FakeGpu one;
  one.uuid = uuid;
  return one;
}

TEST(nvml_names_gpus_by_uuid_with_two_second_opinions_each) {
  Bench bench({hopper("GPU-aaaa"), hopper("GPU-bbbb")});
  const MeterProbe& probe = bench.make();
  CHECK(probe.outcome == Outcome::kAvailable);
  CHECK_EQUAL(bench.names(), "gpu-aaaa gpu-aaaa/instant gpu-aaaa/average gpu-bbbb gpu-bbbb/instant gpu-bbbb/average ");
  CHECK(probe.meter->may_block());
  CHECK(probe.notes.empty());
  for (const DomainInfo& domain : probe.meter->domains()) {
    CHECK(domain.kind == DomainKind::kGpu);
    CHECK(domain.quality == Quality::kMeasured);
    CHECK_EQUAL(domain.limits.modulus_uj, 0u);
    const size_t slash = domain.name.find('/');
    CHECK_EQUAL(domain.witness_of, slash == std::string::npos ? "" : domain.name.substr(0, slash));
  }
  CHECK_EQUAL(bench.meter().gpus()[1].uuid, "GPU-bbbb");
  CHECK_EQUAL(bench.meter().gpus()[1].bus_id, "00000000:3B:00.0");
}

TEST(nvml_reads_the_counter_and_integrates_both_powers) {
  Bench bench({hopper()});
  bench.make();
  CHECK(bench.poll()[0].status == Status::kRestarted);
  driver->gpus[0].energy_mj += 70'000;
  driver->gpus[0].instant.uint32 = 300'000;
  const auto readings = bench.poll();
  CHECK(readings[0].status == Status::kGood);
  CHECK_EQUAL(readings[0].energy_uj, 1'070'000'000u);
  CHECK_EQUAL(readings[0].at_ns, driver->now_ns);
  CHECK_EQUAL(readings[1].energy_uj, 20'000'000u);  // from 100 W to 300 W in 0.1 s
  CHECK_EQUAL(readings[2].energy_uj, 10'000'000u);
}

TEST(nvml_reads_a_dear_counter_seldom_and_at_events) {
  Bench bench({hopper("GPU-aaaa"), hopper("GPU-bbbb")});
  bench.make();
  driver->energy_burns_ns = 3 * kMs;
  const auto reads = [&] { return driver->calls["energy"]; };
  const int before = reads();
  // Two counters of 3 ms in a hundredth of a processor: once in 0.6 s.
  int64_t last_ns = 0;
  for (int i = 0; i < 60; i++) {
    const auto readings = bench.poll();
    CHECK(readings[0].at_ns >= last_ns && readings[0].at_ns > driver->now_ns - 600 * kMs);
    last_ns = readings[0].at_ns;
    // The powers are cheap.
    CHECK_EQUAL(readings[1].at_ns, driver->now_ns);
  }
  CHECK_EQUAL(reads() - before, 20);
  const auto at_event = bench.poll(10 * kMs, true);
  CHECK_EQUAL(reads() - before, 22);
  CHECK_EQUAL(at_event[0].at_ns, driver->now_ns);
  CHECK(at_event[0].status == Status::kGood);

  // However dear, every ten seconds.
  driver->energy_burns_ns = kNsPerSecond;
  bench.poll(kNsPerSecond);
  const int then = reads();
  bench.poll(9 * kNsPerSecond);
  CHECK_EQUAL(reads(), then);
  bench.poll(kNsPerSecond);
  CHECK_EQUAL(reads(), then + 2);

  driver->energy_burns_ns = 10'000;
  bench.poll(11 * kNsPerSecond);
  const int cheap = reads();
  for (int i = 0; i < 10; i++) bench.poll();
  CHECK_EQUAL(reads() - cheap, 20);
}

TEST(nvml_reads_dear_counters_at_a_burst_of_events_only_as_long_as_it_can_pay) {
  Bench bench({hopper("GPU-aaaa"), hopper("GPU-bbbb")});
  bench.make();
  driver->energy_burns_ns = 5 * kMs;
  bench.poll();
  const int before = driver->calls["energy"];
  const int64_t before_ns = driver->cpu_ns;
  // For a minute, 20 events per second.
  for (int i = 0; i < 1200; i++) bench.poll(50 * kMs, true);
  const int64_t burnt_ns = driver->cpu_ns - before_ns;
  CHECK(burnt_ns >= 600 * kMs && burnt_ns <= 720 * kMs);
  // The first ones were all served.
  CHECK(driver->calls["energy"] - before >= 120);
  // Paid back: the regular reads are as often as before.
  bench.poll(20 * kNsPerSecond);
  const int then = driver->calls["energy"];
  for (int i = 0; i < 100; i++) bench.poll();
  CHECK_EQUAL(driver->calls["energy"] - then, 20);
}

TEST(nvml_without_a_counter_integrates_power) {
  FakeGpu pascal = hopper("GPU-old");
  pascal.energy_code = kNotSupported;
  pascal.average_code = kNotSupported;
  FakeGpu older = pascal;
  older.uuid = "GPU-older";
  older.instant_code = kInvalidArgument;
  Bench bench({pascal, older});
  const MeterProbe& probe = bench.make();
  CHECK_EQUAL(bench.names(), "gpu-old gpu-old/average gpu-older ");
  CHECK_EQUAL(probe.notes.size(), 2u);
  bench.poll();
  driver->gpus[1].usage_mw = 200'000;
  const auto readings = bench.poll();
  CHECK_EQUAL(readings[0].energy_uj, 10'000'000u);
  CHECK_EQUAL(readings[2].energy_uj, 15'000'000u);
}

TEST(nvml_of_an_old_library_does_without_what_it_lacks) {
  Bench bench({hopper()});
  driver->lacks = {"fields", "rest"};
  bench.make();
  CHECK_EQUAL(bench.names(), "gpu-aaaa gpu-aaaa/average ");
  CHECK(bench.poll()[1].status != Status::kFailed);
  const GpuStatus status = bench.meter().gpus()[0];
  CHECK(status.busy_ratio < 0);
  CHECK_EQUAL(status.memory_bytes, 0u);

  driver->lacks = {"energy", "fields", "usage"};
  CHECK(bench.make().outcome == Outcome::kUnreadable);
  CHECK_EQUAL(bench.probe().notes.size(), 1u);
}

TEST(nvml_reads_only_the_domains_it_is_asked_for) {
  Bench bench({hopper("GPU-aaaa"), hopper("GPU-bbbb")});
  bench.make({"gpu-bbbb", "gpu-aaaa/instant"});
  CHECK_EQUAL(bench.names(), "gpu-aaaa/instant gpu-bbbb ");
  driver->calls.clear();
  driver->gpus[1].energy_mj = 5;
  CHECK_EQUAL(bench.poll()[1].energy_uj, 5000u);
  CHECK_EQUAL(driver->calls["energy"], 1);
  CHECK_EQUAL(driver->calls["fields"], 1);
}

TEST(nvml_says_why_it_cannot_measure) {
  Bench bench({});
  driver->state = NvmlLibrary::State::kAbsent;
  CHECK(bench.make().outcome == Outcome::kAbsent);
  CHECK_EQUAL(bench.probe().path, "libfake.so");
  CHECK_EQUAL(bench.probe().notes.at(0), "cannot open");
  driver->state = NvmlLibrary::State::kUnusable;
  CHECK(bench.make().outcome == Outcome::kUnreadable);
  driver->state = NvmlLibrary::State::kOpen;

  for (const auto& [code, outcome] : {std::pair{kDriverNotLoaded, Outcome::kAbsent},
                                      {kNoPermission, Outcome::kForbidden},
                                      {kVersionMismatch, Outcome::kUnreadable},
                                      {kUnknown, Outcome::kUnreadable}}) {
    driver->init_code = code;
    CHECK(bench.make().outcome == outcome);
    CHECK_EQUAL(bench.probe().notes.size(), 1u);
  }
  driver->init_code = 0;
  CHECK(bench.make().outcome == Outcome::kAbsent);  // no GPU
  CHECK_EQUAL(driver->shutdowns, 1);

  driver->gpus.push_back(hopper());
  driver->gpus[0].handle_code = kNoPermission;
  CHECK(bench.make().outcome == Outcome::kForbidden);
  CHECK_EQUAL(bench.probe().path, "/dev/nvidia0");
}

TEST(nvml_leaves_out_a_gpu_that_does_not_answer_and_one_that_is_no_gpu) {
  Bench bench({hopper("GPU-aaaa"), hopper("GPU-bbbb"), hopper("GPU-aaaa"), hopper("../../etc"), hopper("")});
  driver->gpus[1].handle_code = kGpuIsLost;
  driver->gpus[0].name = "H100\n\x1b[31m" + std::string(300, 'x');
  // And a number of GPUs that no machine has.
  driver->count = kNone - 1;
  const MeterProbe& probe = bench.make({"gpu-aaaa"});
  CHECK_EQUAL(bench.names(), "gpu-aaaa ");
  CHECK(probe.notes.size() >= 4);
  const std::string name = bench.meter().gpus()[0].name;
  CHECK_EQUAL(name.substr(0, 10), "H100??[31m");
  CHECK(name.size() <= 96);
}

TEST(nvml_takes_no_energy_from_garbage) {
  Bench bench({hopper()});
  bench.make();
  bench.poll();
  FakeGpu& one = driver->gpus[0];
  const auto failed = [&](size_t domain) { return bench.poll()[domain].status == Status::kFailed; };
  one.energy_mj = std::numeric_limits<uint64_t>::max();
  CHECK(failed(0));
  one.energy_mj = 2'000'000;
  CHECK(!failed(0));

  for (const uint32_t milliwatts : {std::numeric_limits<uint32_t>::max(), 2'000'001u}) {
    one.instant.uint32 = milliwatts;
    CHECK(failed(1));
  }
  one.type = kDouble;
  for (const double milliwatts : {-1.0, std::numeric_limits<double>::quiet_NaN(), 1e300}) {
    one.instant.real = milliwatts;
    CHECK(failed(1));
  }
  one.type = kLonglong;
  one.instant.int64 = -5;
  CHECK(failed(1));
  one.type = 77;
  CHECK(failed(1));
  // Whatever type a driver chooses for the same number.
  for (const int type : {kUint, kUlong, kUlonglong, kLonglong, kInt}) {
    one.type = type;
    one.instant.uint64 = one.average.uint64 = 250'000;
    CHECK(!failed(1));
  }
  one.instant_code = kTimeout;
  const auto readings = bench.poll();
  CHECK(readings[1].status == Status::kFailed);
  CHECK(readings[0].status == Status::kGood && readings[2].status == Status::kGood);
}

TEST(nvml_value_of_a_slow_call_has_no_time) {
  Bench bench({hopper()});
  bench.make();
  bench.poll();
  driver->energy_takes_ns = 2 * kNsPerSecond;
  const auto slow = bench.poll();
  CHECK(slow[0].status == Status::kFailed);
  CHECK(slow[1].status == Status::kGood);
  CHECK(bench.poll()[0].status == Status::kGood);
  driver->energy_takes_ns = 200 * kMs;
  const auto slower = bench.poll();
  CHECK_EQUAL(slower[0].at_ns, driver->now_ns - 100 * kMs);
}

TEST(nvml_counter_that_stalls_or_falls_invents_nothing) {
  Bench bench({hopper()});
  bench.make();
  Accumulator counter(bench.meter().domains()[0].limits);
  const auto run = [&](int polls, int64_t step_mj) {
    for (int i = 0; i < polls; i++) {
      driver->gpus[0].energy_mj = static_cast<uint64_t>(static_cast<int64_t>(driver->gpus[0].energy_mj) + step_mj);
      counter.feed(bench.poll()[0]);
    }
  };
  run(11, 50'000);
  CHECK_EQUAL(counter.energy_uj(), 500'000'000u);
  run(1, -700'000);  // the driver was loaded anew between two polls, or the counter runs backwards
  CHECK_EQUAL(counter.energy_uj(), 500'000'000u);
  CHECK_EQUAL(counter.health().resets.get(), 1u);
  run(30, 0);
  CHECK_EQUAL(counter.energy_uj(), 500'000'000u);
  CHECK_EQUAL(counter.health().freezes.get(), 1u);
  CHECK_EQUAL(counter.covered_ns(), 1'000'000'000u);
  // A jump that no GPU can draw.
  run(1, 40'000'000);
  CHECK_EQUAL(counter.energy_uj(), 500'000'000u);
  run(1, 50'000);
  CHECK_EQUAL(counter.energy_uj(), 550'000'000u);
}

TEST(nvml_looks_for_a_lost_gpu_and_says_that_its_past_is_unknown) {
  Bench bench({hopper("GPU-aaaa"), hopper("GPU-bbbb")});
  bench.make();
  bench.poll();
  driver->gpus[0].energy_code = kGpuIsLost;
  driver->gpus[0].handle_code = kGpuIsLost;
  auto readings = bench.poll();
  for (size_t i = 0; i < 3; i++) CHECK(readings[i].status == Status::kFailed);
  CHECK(readings[3].status == Status::kGood);
  CHECK(bench.meter().gpus()[0].lost);
  CHECK(!bench.meter().gpus()[1].lost);

  driver->calls.clear();
  for (int i = 0; i < 100; i++) bench.poll();
  CHECK(driver->calls["by_uuid"] >= 2 && driver->calls["by_uuid"] <= 3);
  CHECK_EQUAL(driver->inits, 1);

  // Back, with other numbers: the driver's index is not asked again.
  driver->gpus[0].energy_code = driver->gpus[0].handle_code = 0;
  driver->gpus[0].energy_mj += 100;
  std::swap(driver->gpus[0], driver->gpus[1]);
  readings = bench.poll(6 * kNsPerSecond);
  CHECK(readings[0].status == Status::kRestarted);
  CHECK_EQUAL(readings[0].energy_uj, 1'000'100'000u);
  CHECK(readings[1].status == Status::kRestarted);
  CHECK(!bench.meter().gpus()[0].lost);
  CHECK(bench.poll()[0].status == Status::kGood);
}

TEST(nvml_opens_the_library_anew_after_a_reload_of_the_driver) {
  for (const int code : {kUninitialized, kDriverNotLoaded, kVersionMismatch}) {
    Bench bench({hopper()});
    bench.make();
    bench.poll();
    driver->code = code;
    driver->init_code = kVersionMismatch;
    CHECK(bench.poll()[0].status == Status::kFailed);
    CHECK(bench.meter().gpus()[0].lost);
    CHECK_EQUAL(driver->shutdowns, 1);
    driver->calls.clear();
    for (int i = 0; i < 100; i++)
      for (const Reading& reading : bench.poll()) CHECK(reading.status == Status::kFailed);
    CHECK(driver->calls.empty());
    CHECK(driver->inits >= 3 && driver->inits <= 4);
    CHECK_EQUAL(driver->opens, driver->inits);

    driver->code = driver->init_code = 0;
    driver->gpus[0].energy_mj = 3;
    const auto readings = bench.poll(6 * kNsPerSecond);
    for (const Reading& reading : readings) CHECK(reading.status == Status::kRestarted);
    CHECK_EQUAL(readings[0].energy_uj, 3000u);
    CHECK(!bench.meter().gpus()[0].lost);
    CHECK(bench.poll()[0].status == Status::kGood);
  }
}

TEST(nvml_library_that_has_gone_is_looked_for) {
  Bench bench({hopper()});
  bench.make();
  driver->code = kDriverNotLoaded;
  driver->state = NvmlLibrary::State::kAbsent;
  for (int i = 0; i < 3; i++) CHECK(bench.poll(6 * kNsPerSecond)[0].status == Status::kFailed);
  CHECK_EQUAL(driver->inits, 1);
  driver->code = 0;
  driver->state = NvmlLibrary::State::kOpen;
  CHECK(bench.poll(6 * kNsPerSecond)[0].status == Status::kRestarted);
}

TEST(nvml_is_opened_once_and_closed_with_the_meter) {
  Bench bench({hopper()});
  bench.make();
  for (int i = 0; i < 50; i++) bench.poll();
  bench.meter().reset();
  CHECK(bench.poll()[0].status == Status::kRestarted);
  CHECK_EQUAL(driver->inits, 1);
  CHECK_EQUAL(driver->shutdowns, 0);
  bench.probe().meter.reset();
  CHECK_EQUAL(driver->shutdowns, 1);
}

TEST(nvml_tells_what_a_gpu_does_at_most_once_a_second) {
  FakeGpu one = hopper();
  one.compute = {30, 10};
  one.graphics = {10, 0, 20};
  Bench bench({one});
  bench.make();
  driver->calls.clear();
  for (int i = 0; i < 100; i++) bench.poll();
  CHECK(driver->calls["utilization"] >= 9 && driver->calls["utilization"] <= 11);
  CHECK_EQUAL(driver->calls["mig_mode"], 1);
  const GpuStatus status = bench.meter().gpus()[0];
  CHECK_EQUAL(status.busy_ratio, 0.5);
  CHECK(status.busy_known_seconds > 8.5 && status.busy_known_seconds < 10.5);
  CHECK_EQUAL(status.busy_seconds, status.busy_known_seconds / 2);
  CHECK_EQUAL(status.memory_bytes, 80ull << 30);
  CHECK_EQUAL(status.memory_used_bytes, 20ull << 30);
  CHECK_EQUAL(status.power_limit_watts, 650.0);
  CHECK(status.processes == std::vector<uint32_t>({10, 20, 30}));
}

TEST(nvml_utilisation_that_is_not_told_is_not_zero) {
  Bench bench({hopper()});
  driver->gpus[0].utilization_code = kNotSupported;
  bench.make();
  bench.poll(kNsPerSecond);
  CHECK(bench.meter().gpus()[0].busy_ratio < 0);
  driver->gpus[0].utilization_code = 0;
  driver->gpus[0].utilization.gpu = 1000;
  bench.poll(2 * kNsPerSecond);
  CHECK(bench.meter().gpus()[0].busy_ratio < 0);
  CHECK_EQUAL(bench.meter().gpus()[0].busy_known_seconds, 0.0);
  // What happened in a long silence is not known either.
  driver->gpus[0].utilization.gpu = 100;
  bench.poll(60 * kNsPerSecond);
  CHECK_EQUAL(bench.meter().gpus()[0].busy_ratio, 1.0);
  CHECK_EQUAL(bench.meter().gpus()[0].busy_known_seconds, 0.0);
}

TEST(nvml_lists_many_processes_and_no_more_than_it_can_hold) {
  Bench bench({hopper()});
  for (uint32_t pid = 1; pid <= 1000; pid++) driver->gpus[0].compute.push_back(pid);
  bench.make();
  CHECK_EQUAL(bench.meter().gpus()[0].processes.size(), 1000u);
  driver->gpus[0].compute.resize(100'000, 7);
  bench.poll(2 * kNsPerSecond);
  CHECK(bench.meter().gpus()[0].processes.empty());
}

TEST(nvml_lists_mig_instances_and_meters_the_gpu_as_a_whole) {
  FakeGpu one = hopper();
  one.mig = true;
  one.utilization_code = kNotSupported;
  one.instances = {{"MIG-1", 1, 0, 3}, {"MIG-2", 2, 0, 4}};
  Bench bench({one});
  const MeterProbe& probe = bench.make();
  CHECK_EQUAL(bench.names(), "gpu-aaaa gpu-aaaa/instant gpu-aaaa/average ");
  CHECK_EQUAL(probe.notes.size(), 1u);
  GpuStatus status = bench.meter().gpus()[0];
  CHECK(status.mig);
  CHECK_EQUAL(status.instances.size(), 2u);
  const GpuInstance second = status.instances.at(1);
  CHECK_EQUAL(second.uuid, "MIG-2");
  CHECK_EQUAL(second.gpu_instance, 2u);
  CHECK_EQUAL(second.slices, 4u);
  CHECK_EQUAL(second.memory_bytes, 10u << 20);
  CHECK_EQUAL(second.memory_used_bytes, 3u << 20);
  CHECK(second.busy_ratio < 0);

  driver->gpus[0].instances.pop_back();
  driver->calls.clear();
  for (int i = 0; i < 250; i++) bench.poll();
  CHECK(driver->calls["mig_mode"] >= 2 && driver->calls["mig_mode"] <= 3);
  CHECK_EQUAL(bench.meter().gpus()[0].instances.size(), 1u);
}

TEST(nvml_absent_library_is_no_error) {
  MeterContext context;
  context.settings.set("library", "/nonexistent/libnvidia-ml.so.1");
  const MeterProbe probe = make_nvml(context);
  CHECK(probe.outcome == Outcome::kAbsent);
  CHECK_EQUAL(probe.path, "/nonexistent/libnvidia-ml.so.1");
  CHECK_EQUAL(probe.notes.size(), 1u);
  // A library, but of something else.
  context.settings.set("library", "libc.so.6");
  CHECK(make_nvml(context).outcome == Outcome::kUnreadable);
}

}  // namespace
}  // namespace wattle
