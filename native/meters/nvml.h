// The nvml meter with its library and clock given: what make_nvml is made of, and what tests replace.
#pragma once

#include <cstdint>
#include <memory>

#include "meters/meters.h"
#include "meters/nvml_library.h"

namespace wattle {

// The calling thread's clocks, in ns.
struct NvmlClocks {
  int64_t (*monotonic)() noexcept;
  int64_t (*cpu_time)() noexcept;
};

MeterProbe make_nvml_from(std::unique_ptr<NvmlLibrary> library, NvmlClocks clocks, const MeterContext& context);

}  // namespace wattle
