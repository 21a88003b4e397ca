// An NVML library for tests: what a driver would answer, computed from CLOCK_MONOTONIC and the file `scenario` that
// lies beside the library. The same instant gives the same answer in every process.
#include <dlfcn.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>

#include "core/clock.h"
#include "meters/nvml_api.h"
#include "scenario.h"

namespace {

using namespace emulated;
using namespace wattle::nvml;
using wattle::kNsPerSecond;

// As an H100 behaves: powers are refreshed ten times a second; the instantaneous one sees the last 25 ms of each tenth.
constexpr int64_t kPowerUpdateNs = kNsPerSecond / 10;
constexpr int64_t kInstantWindowNs = 25'000'000;
constexpr int64_t kAverageWindowNs = kNsPerSecond;
constexpr uint64_t kBackwardsMj = 4'000'000;
constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr uint32_t kNoInstance = 0xffffffff;

// What a handle points to. Handles are never freed, and tell of which initialisation they are.
struct Slot {
  std::string gpu;
  std::string instance;  // empty: the GPU itself
  uint64_t epoch = 0;
};

std::mutex mutex;
std::deque<Slot> slots;
int users = 0;
uint64_t epoch_at_init = 0;
std::shared_ptr<const Scenario> current;
struct stat current_file {};

std::string scenario_path() {
  Dl_info info{};
  dladdr(reinterpret_cast<void*>(&scenario_path), &info);
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + "scenario";
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// The scenario as it is now; null where there is none that can be understood.
std::shared_ptr<const Scenario> scenario() {
  static const std::string path = scenario_path();
  const std::lock_guard lock(mutex);
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return nullptr;
  if (current && same_file(file, current_file)) return current;
  std::ifstream stream(path);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  auto fresh = std::make_shared<Scenario>();
  std::string error;
  if (!parse(text, *fresh, error)) {
    fprintf(stderr, "emulated NVML: %s: not understood: %s\n", path.c_str(), error.c_str());
    return nullptr;
  }
  current_file = file;
  return current = fresh;
}

template <typename Items>
auto find(Items& items, const std::string& uuid) {
  return std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.uuid == uuid; });
}

// A GPU, or an instance of it, for the length of one call.
struct Target {
  int code = kUnknown;
  std::shared_ptr<const Scenario> scenario;
  const Gpu* gpu = nullptr;
  const Instance* instance = nullptr;
  int64_t elapsed_ns = 0;
};

Target resolve(Handle handle) {
  Target target;
  target.scenario = scenario();
  if (!target.scenario) return target;
  target.code = kUninitialized;
  Slot slot;
  {
    const std::lock_guard lock(mutex);
    if (users == 0 || epoch_at_init != target.scenario->epoch) return target;
    target.code = kInvalidArgument;
    const auto known = std::find_if(slots.begin(), slots.end(), [&](const Slot& s) { return &s == handle; });
    if (known == slots.end() || known->epoch != epoch_at_init) return target;
    slot = *known;
  }
  const auto gpu = find(target.scenario->gpus, slot.gpu);
  if (gpu == target.scenario->gpus.end()) {
    target.code = kGpuIsLost;
    return target;
  }
  if (gpu->hang_ns > 0) {
    const timespec wait{gpu->hang_ns / kNsPerSecond, gpu->hang_ns % kNsPerSecond};
    nanosleep(&wait, nullptr);
  }
  target.gpu = &*gpu;
  target.code = gpu->lost;
  if (!slot.instance.empty()) {
    const auto part = find(gpu->instances, slot.instance);
    if (part == gpu->instances.end()) target.code = kNotFound;
    target.instance = part == gpu->instances.end() ? nullptr : &*part;
  }
  target.elapsed_ns = std::max<int64_t>(wattle::monotonic_ns() - target.scenario->start_ns, 0);
  return target;
}

Handle handle_to(const std::string& gpu, const std::string& instance) {
  const std::lock_guard lock(mutex);
  for (Slot& slot : slots)
    if (slot.gpu == gpu && slot.instance == instance && slot.epoch == epoch_at_init) return &slot;
  slots.push_back({gpu, instance, epoch_at_init});
  return &slots.back();
}

double joules(const Gpu& gpu, int64_t elapsed_ns) {
  return gpu.waveform.joules(static_cast<double>(elapsed_ns) / kNsPerSecond);
}

uint64_t counter_mj(const Gpu& gpu, int64_t elapsed_ns, int64_t start_ns) {
  const auto since_start = [&](int64_t at_ns) { return std::max<int64_t>(at_ns - start_ns, 0); };
  if (gpu.stalled_at_ns >= 0) elapsed_ns = std::min(elapsed_ns, since_start(gpu.stalled_at_ns));
  const int64_t shown_ns = elapsed_ns - elapsed_ns % gpu.counter_ns;
  const int64_t reset_ns = gpu.reset_at_ns >= 0 ? since_start(gpu.reset_at_ns) : 0;
  const double counted = joules(gpu, std::max(shown_ns, reset_ns)) - joules(gpu, reset_ns);
  const uint64_t millijoules = (gpu.reset_at_ns >= 0 ? 0 : gpu.initial_mj) + static_cast<uint64_t>(counted * 1000);
  const bool backwards = gpu.backwards_at_ns >= 0 && shown_ns >= since_start(gpu.backwards_at_ns);
  return millijoules - (backwards ? std::min(millijoules, kBackwardsMj) : 0);
}

// Mean power of the last `window_ns` before the latest refresh.
uint32_t power_mw(const Gpu& gpu, int64_t elapsed_ns, int64_t window_ns) {
  const int64_t end_ns = elapsed_ns - elapsed_ns % kPowerUpdateNs;
  const int64_t begin_ns = std::max<int64_t>(end_ns - window_ns, 0);
  if (gpu.garbage) return 0xffffffff;
  if (end_ns <= begin_ns) return static_cast<uint32_t>(joules(gpu, 1'000'000) * 1e6);
  const double seconds = static_cast<double>(end_ns - begin_ns) / kNsPerSecond;
  return static_cast<uint32_t>((joules(gpu, end_ns) - joules(gpu, begin_ns)) / seconds * 1000);
}

int list_processes(Handle handle, uint32_t* count, Process* processes) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  const auto& pids = target.gpu->processes;
  const uint32_t room = *count;
  *count = static_cast<uint32_t>(pids.size());
  if (room < pids.size()) return kInsufficientSize;
  for (size_t i = 0; i < pids.size(); i++) processes[i] = {pids[i], kMebibyte, kNoInstance, kNoInstance};
  return kSuccess;
}

int copy_text(const std::string& text, char* out, uint32_t size) {
  if (text.size() + 1 > size) return kInsufficientSize;
  memcpy(out, text.c_str(), text.size() + 1);
  return kSuccess;
}

}  // namespace

extern "C" {
#define NVML_CALL __attribute__((visibility("default"))) int

NVML_CALL nvmlInit_v2() {
  const auto now = scenario();
  if (!now) return kUnknown;
  if (now->init_code != kSuccess) return now->init_code;
  const std::lock_guard lock(mutex);
  // Like the real one it only begins anew once everyone has left.
  if (users++ == 0) epoch_at_init = now->epoch;
  return kSuccess;
}

NVML_CALL nvmlShutdown() {
  const std::lock_guard lock(mutex);
  if (users == 0) return kUninitialized;
  users--;
  return kSuccess;
}

NVML_CALL nvmlDeviceGetCount_v2(uint32_t* count) {
  const auto now = scenario();
  if (!now) return kUnknown;
  *count = static_cast<uint32_t>(now->gpus.size());
  return kSuccess;
}

NVML_CALL nvmlDeviceGetHandleByIndex_v2(uint32_t index, Handle* handle) {
  const auto now = scenario();
  if (!now) return kUnknown;
  if (index >= now->gpus.size()) return kInvalidArgument;
  *handle = handle_to(now->gpus[index].uuid, "");
  return now->gpus[index].lost;
}

NVML_CALL nvmlDeviceGetHandleByUUID(const char* uuid, Handle* handle) {
  const auto now = scenario();
  if (!now) return kUnknown;
  const auto gpu = find(now->gpus, uuid);
  if (gpu == now->gpus.end()) return kNotFound;
  *handle = handle_to(uuid, "");
  return gpu->lost;
}

NVML_CALL nvmlDeviceGetUUID(Handle handle, char* out, uint32_t size) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  return copy_text(target.instance != nullptr ? target.instance->uuid : target.gpu->uuid, out, size);
}

NVML_CALL nvmlDeviceGetName(Handle handle, char* out, uint32_t size) {
  const Target target = resolve(handle);
  return target.code == kSuccess ? copy_text(target.gpu->name, out, size) : target.code;
}

NVML_CALL nvmlDeviceGetPciInfo_v3(Handle handle, PciInfo* info) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  *info = {};
  return copy_text(target.gpu->bus_id, info->bus_id.data(), info->bus_id.size());
}

NVML_CALL nvmlDeviceGetTotalEnergyConsumption(Handle handle, unsigned long long* millijoules) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  if (target.gpu->counter_ns == 0) return kNotSupported;
  *millijoules = counter_mj(*target.gpu, target.elapsed_ns, target.scenario->start_ns);
  return kSuccess;
}

NVML_CALL nvmlDeviceGetPowerUsage(Handle handle, uint32_t* milliwatts) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  *milliwatts = power_mw(*target.gpu, target.elapsed_ns, target.gpu->average ? kAverageWindowNs : kInstantWindowNs);
  return kSuccess;
}

NVML_CALL nvmlDeviceGetFieldValues(Handle handle, int count, FieldValue* fields) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  for (int i = 0; i < count; i++) {
    const bool instant = fields[i].field == kFieldPowerInstant && target.gpu->instant;
    const bool average = fields[i].field == kFieldPowerAverage && target.gpu->average;
    fields[i].code = instant || average ? kSuccess : kNotSupported;
    fields[i].type = kUint;
    fields[i].timestamp_us = wattle::realtime_ns() / 1000;
    fields[i].value.uint32 = power_mw(*target.gpu, target.elapsed_ns, instant ? kInstantWindowNs : kAverageWindowNs);
  }
  return kSuccess;
}

NVML_CALL nvmlDeviceGetPowerManagementLimitConstraints(Handle handle, uint32_t* low, uint32_t* high) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  *low = 100'000;
  *high = target.gpu->limit_w * 1000;
  return kSuccess;
}

NVML_CALL nvmlDeviceGetEnforcedPowerLimit(Handle handle, uint32_t* milliwatts) {
  const Target target = resolve(handle);
  if (target.code == kSuccess) *milliwatts = target.gpu->limit_w * 1000;
  return target.code;
}

NVML_CALL nvmlDeviceGetUtilizationRates(Handle handle, Utilization* out) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  if (target.gpu->mig) return kNotSupported;
  *out = {target.gpu->busy_percent, 0};
  return kSuccess;
}

NVML_CALL nvmlDeviceGetMemoryInfo(Handle handle, Memory* out) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  const uint64_t total = target.instance != nullptr ? target.instance->memory_mib : target.gpu->memory_mib;
  const uint64_t used = target.instance != nullptr ? target.instance->used_mib : target.gpu->used_mib;
  *out = {total * kMebibyte, (total - used) * kMebibyte, used * kMebibyte};
  return kSuccess;
}

NVML_CALL nvmlDeviceGetComputeRunningProcesses_v2(Handle handle, uint32_t* count, Process* processes) {
  return list_processes(handle, count, processes);
}

NVML_CALL nvmlDeviceGetMigMode(Handle handle, uint32_t* on, uint32_t* pending) {
  const Target target = resolve(handle);
  if (target.code == kSuccess) *on = *pending = target.gpu->mig ? 1 : 0;
  return target.code;
}

NVML_CALL nvmlDeviceGetMaxMigDeviceCount(Handle handle, uint32_t* count) {
  const Target target = resolve(handle);
  *count = 7;
  return target.code;
}

NVML_CALL nvmlDeviceGetMigDeviceHandleByIndex(Handle handle, uint32_t index, Handle* out) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  if (index >= target.gpu->instances.size()) return kNotFound;
  *out = handle_to(target.gpu->uuid, target.gpu->instances[index].uuid);
  return kSuccess;
}

NVML_CALL nvmlDeviceGetGpuInstanceId(Handle handle, uint32_t* id) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  if (target.instance == nullptr) return kNotSupported;
  *id = target.instance->gpu_instance;
  return kSuccess;
}

NVML_CALL nvmlDeviceGetComputeInstanceId(Handle handle, uint32_t* id) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  if (target.instance == nullptr) return kNotSupported;
  *id = target.instance->compute_instance;
  return kSuccess;
}

NVML_CALL nvmlDeviceGetAttributes_v2(Handle handle, Attributes* out) {
  const Target target = resolve(handle);
  if (target.code != kSuccess) return target.code;
  if (target.instance == nullptr) return kNotSupported;
  *out = {};
  out->compute_instance_slices = out->gpu_instance_slices = target.instance->slices;
  out->memory_mib = target.instance->memory_mib;
  return kSuccess;
}

#undef NVML_CALL
}
