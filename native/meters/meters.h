// Every meter's maker. One file per meter; a new meter adds its declaration here, its line to registry.cc and its file
// to sources.txt.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/cpu_slots.h"
#include "core/hardware.h"
#include "core/meter.h"

namespace wattle {

// What the caller configured for one meter; sampler/options.ts has checked it.
class MeterSettings {
 public:
  using Value = std::variant<bool, double, std::string>;

  void set(std::string name, Value value) { values_[std::move(name)] = std::move(value); }
  // The value, or `otherwise` where it is absent or of another type.
  double number(std::string_view name, double otherwise = 0) const { return get<double>(name, otherwise); }
  bool flag(std::string_view name) const { return get<bool>(name, false); }
  std::string text(std::string_view name, std::string otherwise = "") const { return get(name, std::move(otherwise)); }

 private:
  template <typename T>
  T get(std::string_view name, T otherwise) const {
    const auto found = values_.find(name);
    const T* value = found == values_.end() ? nullptr : std::get_if<T>(&found->second);
    return value == nullptr ? otherwise : *value;
  }

  std::map<std::string, Value, std::less<>> values_;
};

// What a maker builds from.
struct MeterContext {
  std::string sysfs = "/sys";
  std::string procfs = "/proc";
  // MeterSettings of this meter.
  MeterSettings settings{};
  Hardware* hardware = nullptr;
  // CPU-time counters that a meter may estimate from; null while probing.
  CpuSlots* slots = nullptr;
  // Which of the meter's domains to read; empty: all of them.
  std::vector<std::string> only{};

  bool wants(std::string_view domain) const {
    if (only.empty()) return true;
    for (const std::string& name : only)
      if (name == domain) return true;
    return false;
  }
};

// What a maker found. `meter` is null unless the interface is there and readable.
struct MeterProbe {
  enum class Outcome : uint8_t {
    kAvailable,
    kAbsent,      // no such interface: a module is missing, or the machine has none
    kForbidden,   // it is there, but this process may not read it
    kUnreadable,  // it is there, but what it gives is an error or no number
  };
  Outcome outcome = Outcome::kAbsent;
  // The path, or other name, that decided the outcome.
  std::string path;
  std::unique_ptr<Meter> meter;
  // What an administrator should know although the meter works: a quirk, a domain left out. One sentence each.
  std::vector<std::string> notes{};
};

using MeterMaker = MeterProbe (*)(const MeterContext&);

// The maker of a meter by its name, such as `rapl-perf`; null where there is none.
MeterMaker find_meter(std::string_view name) noexcept;

// Intel and AMD RAPL: perf events, the powercap tree, and registers.
MeterProbe make_rapl_perf(const MeterContext& context);
MeterProbe make_rapl_powercap(const MeterContext& context);
MeterProbe make_rapl_msr(const MeterContext& context);
// AMD's energy driver in <sysfs>/class/hwmon.
MeterProbe make_amd_energy(const MeterContext& context);
// NVIDIA GPUs. Setting `library`: what dlopen takes.
MeterProbe make_nvml(const MeterContext& context);
// Cray. Its folder is <sysfs>/cray/pm_counters.
MeterProbe make_pm_counters(const MeterContext& context);
// DCMI power readings of the management controller. Settings `device`, default /dev/ipmi0, and `maxHoldMs`.
MeterProbe make_ipmi(const MeterContext& context);
// A meter outside this process whose readings come through report(): redfish, wattmeter.
MeterProbe make_reported(const MeterContext& context);
// Estimated from CPU time. Settings idleWatts, wattsPerCore, gpuWatts, cpuFormat, cpuPath, absentIsIdle.
MeterProbe make_model(const MeterContext& context);

}  // namespace wattle
