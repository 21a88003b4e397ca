// Proves that the sampling thread allocates nothing and locks nothing once it ticks. A program of its own, without
// sanitizers: it puts itself before the C library's functions and counts who calls them.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "check.h"
#include "core/clock.h"
#include "core/sampling_thread.h"
#include "fake_hardware.h"
#include "fake_processor.h"
#include "meters/meters.h"
#include "scratch.h"

namespace {

// Set by a thread for itself while nothing of it may allocate or lock.
thread_local bool must_be_quiet = false;
std::atomic<uint64_t> allocations{0};
std::atomic<uint64_t> locks{0};

void count(std::atomic<uint64_t>& calls) noexcept {
  if (must_be_quiet) calls++;
}

// The function of that name that ours hides. Looked up again in every call: a static variable would take a lock.
template <typename Function>
Function* hidden(const char* name) noexcept {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

// glibc's own, beneath the names that a program may replace.
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t size) {
  count(allocations);
  return __libc_malloc(size);
}
void* calloc(size_t number, size_t size) {
  count(allocations);
  return __libc_calloc(number, size);
}
void* realloc(void* old, size_t size) {
  count(allocations);
  return __libc_realloc(old, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count(allocations);
  return __libc_memalign(alignment, size);
}
void free(void* memory) {
  if (memory != nullptr) count(allocations);
  __libc_free(memory);
}

#define WATTLE_COUNT_LOCKS(name, type)      \
  int name(type* lock) noexcept {           \
    count(locks);                           \
    return hidden<int(type*)>(#name)(lock); \
  }
WATTLE_COUNT_LOCKS(pthread_mutex_lock, pthread_mutex_t)
WATTLE_COUNT_LOCKS(pthread_mutex_trylock, pthread_mutex_t)
WATTLE_COUNT_LOCKS(pthread_rwlock_rdlock, pthread_rwlock_t)
WATTLE_COUNT_LOCKS(pthread_rwlock_wrlock, pthread_rwlock_t)
#undef WATTLE_COUNT_LOCKS

}  // extern "C"

namespace wattle {
namespace {

constexpr uint64_t kTicks = 3000;
constexpr uint64_t kForcedTicks = 200;

// Stands last among the meters. From its second poll on the thread must be quiet, until it has ticked enough.
class Watcher final : public Meter {
 public:
  explicit Watcher(std::atomic<uint64_t>& ticks) : ticks_(ticks) {}
  std::span<const DomainInfo> domains() const noexcept override { return {}; }
  void poll(const Tick&, std::span<Reading>) noexcept override { must_be_quiet = ++ticks_ >= 2 && ticks_ < kTicks; }
  void reset() noexcept override {}

 private:
  std::atomic<uint64_t>& ticks_;
};

class Faulty final : public Meter {
 public:
  explicit Faulty(void (*fault)()) : fault_(fault) {}
  std::span<const DomainInfo> domains() const noexcept override { return {}; }
  void poll(const Tick&, std::span<Reading>) noexcept override { fault_(); }
  void reset() noexcept override {}

 private:
  void (*const fault_)();
};

// Polled by a thread of its own, which may allocate and lock as it likes.
class Blocking final : public Meter {
 public:
  std::span<const DomainInfo> domains() const noexcept override { return {&domain_, 1}; }
  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    const auto value = std::make_unique<std::atomic<uint64_t>>(7);
    out[0] = {Reading::Status::kGood, *value, tick.mono_ns};
  }
  void reset() noexcept override {}
  bool may_block() const noexcept override { return true; }

 private:
  const DomainInfo domain_{"node", DomainKind::kNode, Quality::kMeasured, {}, {}};
};

// A node's files and registers, with every interface that is read on the sampling thread.
struct Node {
  Node() {
    for (const auto& [id, name] : {std::pair{"intel-rapl:0", "package-0"}, std::pair{"intel-rapl:0:0", "dram"}}) {
      const std::string zone = std::string("class/powercap/") + id;
      scratch.write(zone + "/name", std::string(name) + "\n");
      scratch.write(zone + "/energy_uj", "1000\n");
      scratch.write(zone + "/max_energy_range_uj", "262143328850\n");
    }
    scratch.write("cpu.stat", "usage_usec 42\nuser_usec 1\n");
    write_model(scratch, "AuthenticAMD", 23, 49);
    write_cpus(scratch, test::kTwoPackages);
    const std::string pmu = "bus/event_source/devices/power/";
    scratch.write(pmu + "type", "27\n");
    scratch.write(pmu + "cpumask", "0,2\n");
    scratch.write(pmu + "events/energy-pkg", "event=0x02\n");
    scratch.write(pmu + "events/energy-pkg.scale", "2.3283064365386962890625e-10\n");
    scratch.write(pmu + "events/energy-pkg.unit", "Joules\n");
    scratch.write("class/hwmon/hwmon3/name", "amd_energy\n");
    scratch.write("class/hwmon/hwmon3/energy1_label", "Esocket0\n");
    scratch.write("class/hwmon/hwmon3/energy1_input", "1000\n");
    scratch.write("devices/system/node/node0/cpulist", "0-1,4-5\n");
    for (int cpu = 0; cpu < 8; cpu++) {
      hardware.perf[{27, 2, cpu}] = 0;
      // Unit, core and package.
      hardware.registers[{cpu, 0xC0010299}] = 0xA1003;
      hardware.registers[{cpu, 0xC001029A}] = 1;
      hardware.registers[{cpu, 0xC001029B}] = 1;
    }
  }
  test::Scratch scratch;
  test::FakeHardware hardware;
};

// Runs the sampling thread over the meters, forces ticks, changes slots and files beside it, and reports values.
void run(std::vector<std::unique_ptr<Meter>> meters, const Node& node, std::shared_ptr<CpuSlots> slots) {
  std::atomic<uint64_t> ticks{0};
  std::vector<PacedMeter> paced;
  for (auto& meter : meters) paced.push_back({std::move(meter), 1});
  paced.push_back({std::make_unique<Watcher>(ticks), 1});
  Sampler sampler(std::move(paced), slots, 1);
  const RingShape shape{64, static_cast<uint32_t>(sampler.domains().size()), slots->capacity()};
  std::vector<double> memory(shape.bytes() / sizeof(double));
  sampler.attach(shape, reinterpret_cast<std::byte*>(memory.data()));

  allocations = 0;
  locks = 0;
  SamplingThread thread(sampler, kNsPerSecond / 10'000);
  CHECK_EQUAL(thread.start(), 0);
  for (uint64_t i = 0; ticks < kTicks || thread.stats().forced_ticks.get() < kForcedTicks; i++) {
    const int32_t slot = slots->watch(CpuFormat::kCpuStat, node.scratch.path(i % 2 == 0 ? "cpu.stat" : "absent"));
    thread.force_tick();
    node.scratch.write("class/powercap/intel-rapl:0/energy_uj", i % 100 == 0 ? "torn" : std::to_string(i) + "\n");
    for (uint32_t domain = 0; domain < sampler.domains().size(); domain++)
      sampler.report(domain, {Report::Kind::kWatts, 100, monotonic_ns()});
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    if (slot >= 0) slots->unwatch(static_cast<uint32_t>(slot));
  }
  thread.stop();
}

void run_with(void (*fault)()) {
  const Node node;
  std::vector<std::unique_ptr<Meter>> meters;
  meters.push_back(std::make_unique<Faulty>(fault));
  run(std::move(meters), node, std::make_shared<CpuSlots>(4));
}

TEST(quiet_counts_a_meter_that_allocates) {
  run_with([] { std::make_unique<std::atomic<int>>(1)->load(); });
  CHECK(allocations > 0);
  CHECK_EQUAL(locks.load(), 0u);
}

TEST(quiet_counts_a_meter_that_locks) {
  static std::mutex mutex;
  run_with([] { const std::lock_guard held(mutex); });
  CHECK_EQUAL(allocations.load(), 0u);
  CHECK(locks > 0);
}

TEST(quiet_sampling_thread_neither_allocates_nor_locks) {
  Node node;
  auto slots = std::make_shared<CpuSlots>(8);
  MeterContext context{.sysfs = node.scratch.root(), .procfs = node.scratch.root(), .hardware = &node.hardware};
  context.slots = slots.get();
  context.settings.set("idleWatts", 50.0);
  context.settings.set("wattsPerCore", 5.0);
  context.settings.set("cpuFormat", std::string("proc-stat"));
  context.settings.set("cpuPath", std::string("/proc/stat"));
  std::vector<std::unique_ptr<Meter>> meters;
  for (const std::string name : {"rapl-perf", "rapl-powercap", "rapl-msr", "amd-energy", "model", "reported"}) {
    MeterProbe probe = find_meter(name)(context);
    CHECK_EQUAL(probe.meter ? "" : name + " finds nothing at " + probe.path, "");
    if (probe.meter == nullptr) return;
    CHECK(!probe.meter->may_block());
    meters.push_back(std::move(probe.meter));
  }
  meters.push_back(std::make_unique<Blocking>());
  run(std::move(meters), node, slots);
  CHECK_EQUAL(allocations.load(), 0u);
  CHECK_EQUAL(locks.load(), 0u);
}

}  // namespace
}  // namespace wattle
