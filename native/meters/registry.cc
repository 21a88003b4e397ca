// Names of meters, as the configuration and TypeScript write them.
#include <array>
#include <utility>

#include "meters/meters.h"

namespace wattle {
namespace {

constexpr std::array kMeters = {
    std::pair<std::string_view, MeterMaker>{"rapl-perf", make_rapl_perf},
    std::pair<std::string_view, MeterMaker>{"rapl-powercap", make_rapl_powercap},
    std::pair<std::string_view, MeterMaker>{"rapl-msr", make_rapl_msr},
    std::pair<std::string_view, MeterMaker>{"amd-energy", make_amd_energy},
    std::pair<std::string_view, MeterMaker>{"nvml", make_nvml},
    std::pair<std::string_view, MeterMaker>{"pm-counters", make_pm_counters},
    std::pair<std::string_view, MeterMaker>{"ipmi", make_ipmi},
    std::pair<std::string_view, MeterMaker>{"reported", make_reported},
    std::pair<std::string_view, MeterMaker>{"model", make_model},
};

}  // namespace

MeterMaker find_meter(std::string_view name) noexcept {
  for (const auto& [known, maker] : kMeters)
    if (known == name) return maker;
  return nullptr;
}

}  // namespace wattle
