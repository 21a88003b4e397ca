#include "meters/nvml_library.h"

#include <dlfcn.h>

#include <initializer_list>

namespace wattle {
namespace {

// The loader's own search comes first; the others are where containers and cluster images mount the driver's files.
constexpr const char* kUsual[] = {
    "libnvidia-ml.so.1",
    "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
};

template <typename Function>
void find(void* library, Function*& function, std::initializer_list<const char*> names) {
  function = nullptr;
  for (const char* name : names) {
    function = reinterpret_cast<Function*>(dlsym(library, name));
    if (function != nullptr) return;
  }
}

nvml::Api functions_of(void* library) {
  nvml::Api api;
  const auto bind = [library](auto& function, std::initializer_list<const char*> names) {
    find(library, function, names);
  };
  bind(api.init, {"nvmlInit_v2"});
  bind(api.shutdown, {"nvmlShutdown"});
  bind(api.count, {"nvmlDeviceGetCount_v2"});
  bind(api.handle_by_index, {"nvmlDeviceGetHandleByIndex_v2"});
  bind(api.handle_by_uuid, {"nvmlDeviceGetHandleByUUID"});
  bind(api.uuid, {"nvmlDeviceGetUUID"});
  bind(api.name, {"nvmlDeviceGetName"});
  bind(api.pci_info, {"nvmlDeviceGetPciInfo_v3"});
  bind(api.total_energy, {"nvmlDeviceGetTotalEnergyConsumption"});
  bind(api.power_usage, {"nvmlDeviceGetPowerUsage"});
  bind(api.field_values, {"nvmlDeviceGetFieldValues"});
  bind(api.power_limit_range, {"nvmlDeviceGetPowerManagementLimitConstraints"});
  bind(api.enforced_power_limit, {"nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetPowerManagementLimit"});
  bind(api.utilization, {"nvmlDeviceGetUtilizationRates"});
  bind(api.memory, {"nvmlDeviceGetMemoryInfo"});
  // The second version first: it has had one layout in every driver, while the third had a longer one in some of 535.
  bind(api.compute_processes, {"nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetComputeRunningProcesses_v3"});
  bind(api.graphics_processes,
       {"nvmlDeviceGetGraphicsRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses_v3"});
  bind(api.mps_processes, {"nvmlDeviceGetMPSComputeRunningProcesses_v2", "nvmlDeviceGetMPSComputeRunningProcesses_v3"});
  bind(api.mig_mode, {"nvmlDeviceGetMigMode"});
  bind(api.max_mig_devices, {"nvmlDeviceGetMaxMigDeviceCount"});
  bind(api.mig_device, {"nvmlDeviceGetMigDeviceHandleByIndex"});
  bind(api.gpu_instance_id, {"nvmlDeviceGetGpuInstanceId"});
  bind(api.compute_instance_id, {"nvmlDeviceGetComputeInstanceId"});
  bind(api.attributes, {"nvmlDeviceGetAttributes_v2"});
  return api;
}

bool complete(const nvml::Api& api) {
  return api.init != nullptr && api.shutdown != nullptr && api.count != nullptr && api.handle_by_index != nullptr &&
         api.handle_by_uuid != nullptr && api.uuid != nullptr;
}

}  // namespace

NvmlLibrary::State DynamicNvml::open(nvml::Api& api) {
  close();
  error_.clear();
  const auto attempt = [this](const char* path) {
    library_ = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library_ != nullptr) opened_ = path;
    // The first refusal says most: the loader has looked in all of its folders.
    else if (const char* why = dlerror(); why != nullptr && error_.empty())
      error_ = why;
    return library_ != nullptr;
  };
  if (!configured_.empty()) {
    attempt(configured_.c_str());
  } else {
    for (const char* path : kUsual)
      if (attempt(path)) break;
  }
  if (library_ == nullptr) return State::kAbsent;
  api = functions_of(library_);
  if (complete(api)) return State::kOpen;
  error_ = opened_ + " lacks functions that every NVML library has";
  close();
  return State::kUnusable;
}

void DynamicNvml::close() noexcept {
  if (library_ != nullptr) dlclose(library_);
  library_ = nullptr;
}

std::string DynamicNvml::path() const {
  if (!opened_.empty()) return opened_;
  return configured_.empty() ? kUsual[0] : configured_;
}

}  // namespace wattle
