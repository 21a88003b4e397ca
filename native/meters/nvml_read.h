// Checked reads through NVML: what a library answers is taken only where it can be true.
#pragma once

#include <cstdint>
#include <string>

#include "core/gpu_status.h"
#include "meters/nvml_api.h"

namespace wattle::nvml {

// A value, or why there is none.
template <typename T>
struct Answer {
  int code = kUnknown;
  T value{};
  bool good() const noexcept { return code == kSuccess; }
};

// The driver or this GPU will never tell: no failure, a missing feature.
bool unsupported(int code) noexcept;
// The library has to be opened anew: the driver was unloaded or exchanged.
bool driver_gone(int code) noexcept;
// The handle leads nowhere any more.
bool gpu_gone(int code) noexcept;

// Printable ASCII of a bounded length; nothing else gets into names and logs.
Answer<std::string> uuid(const Api& api, Handle handle);
std::string name(const Api& api, Handle handle);
std::string bus_id(const Api& api, Handle handle);
// The most that the GPU can be told to draw; 0: not told.
double max_limit_watts(const Api& api, Handle handle) noexcept;

Answer<uint64_t> energy_uj(const Api& api, Handle handle) noexcept;
Answer<double> usage_watts(const Api& api, Handle handle) noexcept;
struct Powers {
  Answer<double> instant;
  Answer<double> average;
};
// Both in one call.
Powers powers(const Api& api, Handle handle) noexcept;

// Utilisation, memory, limit and processes: a few calls, some of milliseconds.
void read_status(const Api& api, Handle handle, GpuStatus& status);
// Whether MIG is on, and which instances there are: calls of up to 100 ms.
void read_instances(const Api& api, Handle handle, GpuStatus& status);

}  // namespace wattle::nvml
