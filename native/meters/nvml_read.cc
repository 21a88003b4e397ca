#include "meters/nvml_read.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace wattle::nvml {
namespace {

// Longer than the library's own bound for UUIDs and names.
constexpr size_t kTextBytes = 96;
constexpr uint64_t kMostMillijoules = std::numeric_limits<uint64_t>::max() / 1000;
// 100 kW. What is possible for one GPU is for the caller to judge; 2^32 - 1 mW is what some drivers say for "none".
constexpr double kMostMilliwatts = 1e8;
// Bounds on what a broken library can make us keep. A GPU has at most 7 or 8 instances.
constexpr uint32_t kMaxInstances = 64;
constexpr uint32_t kMaxProcesses = 4096;
constexpr uint32_t kUsualProcesses = 128;
constexpr uint64_t kMebibyte = uint64_t{1} << 20;

std::string printable(const char* text, size_t bytes) {
  std::string kept(text, strnlen(text, bytes));
  for (char& c : kept)
    if (c < ' ' || c > '~') c = '?';
  return kept;
}

Answer<double> watts(double milliwatts) noexcept {
  if (!std::isfinite(milliwatts) || milliwatts < 0 || milliwatts > kMostMilliwatts) return {kNoData, 0};
  return {kSuccess, milliwatts / 1e3};
}

Answer<double> number(const FieldValue& field) noexcept {
  if (field.code != kSuccess) return {field.code, 0};
  switch (field.type) {
    case kDouble:
      return {kSuccess, field.value.real};
    case kUint:
      return {kSuccess, static_cast<double>(field.value.uint32)};
    case kUlong:
    case kUlonglong:
      return {kSuccess, static_cast<double>(field.value.uint64)};
    case kLonglong:
      return {kSuccess, static_cast<double>(field.value.int64)};
    case kInt:
      return {kSuccess, static_cast<double>(field.value.int32)};
    case kUshort:
      return {kSuccess, static_cast<double>(field.value.uint16)};
    default:
      return {kNoData, 0};
  }
}

Answer<double> power(const FieldValue& field) noexcept {
  const Answer<double> milliwatts = number(field);
  return milliwatts.good() ? watts(milliwatts.value) : milliwatts;
}

using ListProcesses = int (*)(Handle, uint32_t*, Process*);

void add_processes(ListProcesses list, Handle handle, std::vector<uint32_t>& pids) {
  if (list == nullptr) return;
  uint32_t room = kUsualProcesses;
  for (int attempt = 0; attempt < 2; attempt++) {
    // Half as much again as it is told: drivers of 535 wrote longer entries through the third version.
    std::vector<Process> found(room + room / 2);
    uint32_t count = room;
    const int code = list(handle, &count, found.data());
    if (code == kSuccess) {
      for (uint32_t i = 0; i < std::min(count, room); i++)
        if (found[i].pid != 0) pids.push_back(found[i].pid);
      return;
    }
    if (code != kInsufficientSize || count <= room) return;
    room = std::min(count, kMaxProcesses - kUsualProcesses) + kUsualProcesses;
  }
}

std::vector<uint32_t> processes(const Api& api, Handle handle) {
  std::vector<uint32_t> pids;
  for (const ListProcesses list : {api.compute_processes, api.graphics_processes, api.mps_processes})
    add_processes(list, handle, pids);
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

GpuInstance instance(const Api& api, Handle handle, std::string id) {
  GpuInstance found;
  found.uuid = std::move(id);
  if (api.gpu_instance_id != nullptr) api.gpu_instance_id(handle, &found.gpu_instance);
  if (api.compute_instance_id != nullptr) api.compute_instance_id(handle, &found.compute_instance);
  Attributes attributes;
  if (api.attributes != nullptr && api.attributes(handle, &attributes) == kSuccess) {
    found.slices = attributes.compute_instance_slices;
    if (attributes.memory_mib < std::numeric_limits<uint64_t>::max() / kMebibyte)
      found.memory_bytes = attributes.memory_mib * kMebibyte;
  }
  Memory memory;
  if (api.memory != nullptr && api.memory(handle, &memory) == kSuccess) {
    found.memory_bytes = memory.total;
    found.memory_used_bytes = memory.used;
  }
  return found;
}

}  // namespace

bool unsupported(int code) noexcept {
  // A driver that does not know a field calls it an invalid argument.
  return code == kNotSupported || code == kFunctionNotFound || code == kInvalidArgument;
}

bool driver_gone(int code) noexcept {
  return code == kUninitialized || code == kDriverNotLoaded || code == kVersionMismatch;
}

bool gpu_gone(int code) noexcept {
  return code == kGpuIsLost || code == kResetRequired || code == kNotFound || code == kInvalidArgument;
}

Answer<std::string> uuid(const Api& api, Handle handle) {
  std::array<char, kTextBytes> text{};
  const int code = api.uuid(handle, text.data(), kTextBytes);
  if (code != kSuccess) return {code, {}};
  std::string found = printable(text.data(), text.size());
  const auto known = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  };
  // It becomes part of domain names, of paths in the ledger and of file names: nothing but what UUIDs are made of.
  if (found.empty() || !std::all_of(found.begin(), found.end(), known)) return {kNoData, {}};
  return {kSuccess, std::move(found)};
}

std::string name(const Api& api, Handle handle) {
  std::array<char, kTextBytes> text{};
  if (api.name == nullptr || api.name(handle, text.data(), kTextBytes) != kSuccess) return {};
  return printable(text.data(), text.size());
}

std::string bus_id(const Api& api, Handle handle) {
  PciInfo info{};
  if (api.pci_info == nullptr || api.pci_info(handle, &info) != kSuccess) return {};
  return printable(info.bus_id.data(), info.bus_id.size());
}

double max_limit_watts(const Api& api, Handle handle) noexcept {
  uint32_t low_mw = 0, high_mw = 0;
  if (api.power_limit_range == nullptr || api.power_limit_range(handle, &low_mw, &high_mw) != kSuccess) return 0;
  return watts(high_mw).value;
}

Answer<uint64_t> energy_uj(const Api& api, Handle handle) noexcept {
  if (api.total_energy == nullptr) return {kFunctionNotFound, 0};
  unsigned long long millijoules = 0;
  const int code = api.total_energy(handle, &millijoules);
  if (code != kSuccess) return {code, 0};
  if (millijoules > kMostMillijoules) return {kNoData, 0};
  return {kSuccess, uint64_t{millijoules} * 1000};
}

Answer<double> usage_watts(const Api& api, Handle handle) noexcept {
  if (api.power_usage == nullptr) return {kFunctionNotFound, 0};
  uint32_t milliwatts = 0;
  const int code = api.power_usage(handle, &milliwatts);
  return code == kSuccess ? watts(milliwatts) : Answer<double>{code, 0};
}

Powers powers(const Api& api, Handle handle) noexcept {
  if (api.field_values == nullptr) return {{kFunctionNotFound, 0}, {kFunctionNotFound, 0}};
  std::array<FieldValue, 2> fields{};
  fields[0].field = kFieldPowerInstant;
  fields[1].field = kFieldPowerAverage;
  const int code = api.field_values(handle, static_cast<int>(fields.size()), fields.data());
  if (code != kSuccess) return {{code, 0}, {code, 0}};
  return {power(fields[0]), power(fields[1])};
}

void read_status(const Api& api, Handle handle, GpuStatus& status) {
  Utilization utilization;
  status.busy_ratio = -1;
  if (api.utilization != nullptr && api.utilization(handle, &utilization) == kSuccess && utilization.gpu <= 100)
    status.busy_ratio = utilization.gpu / 100.0;

  Memory memory;
  if (api.memory != nullptr && api.memory(handle, &memory) == kSuccess) {
    status.memory_bytes = memory.total;
    status.memory_used_bytes = memory.used;
  }
  uint32_t limit_mw = 0;
  if (api.enforced_power_limit != nullptr && api.enforced_power_limit(handle, &limit_mw) == kSuccess)
    status.power_limit_watts = watts(limit_mw).value;
  status.processes = processes(api, handle);
}

void read_instances(const Api& api, Handle handle, GpuStatus& status) {
  uint32_t on = 0, pending = 0;
  status.instances.clear();
  status.mig = api.mig_mode != nullptr && api.mig_mode(handle, &on, &pending) == kSuccess && on == 1;
  uint32_t most = 0;
  if (!status.mig || api.max_mig_devices == nullptr || api.mig_device == nullptr) return;
  if (api.max_mig_devices(handle, &most) != kSuccess) return;
  for (uint32_t i = 0; i < std::min(most, kMaxInstances); i++) {
    Handle part = nullptr;
    if (api.mig_device(handle, i, &part) != kSuccess) continue;
    Answer<std::string> id = uuid(api, part);
    if (id.good()) status.instances.push_back(instance(api, part, std::move(id.value)));
  }
}

}  // namespace wattle::nvml
