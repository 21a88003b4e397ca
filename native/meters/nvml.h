// The nvml meter with its library and clock given: what make_nvml is made of, and what tests replace.
#pragma once

#include <cstdint>
#include <memory>

#include "meters/meters.h"
#include "meters/nvml_library.h"

namespace wattle {

// CLOCK_MONOTONIC in ns.
using Clock = int64_t (*)() noexcept;

MeterProbe make_nvml_from(std::unique_ptr<NvmlLibrary> library, Clock clock, const MeterContext& context);

}  // namespace wattle
