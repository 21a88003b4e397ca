// Every meter's maker. One file per meter; a new meter adds its declaration here and its file to sources.txt.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/meter.h"

namespace wattle {

// What a maker found. `meter` is null unless the interface is there and readable.
struct MeterProbe {
  enum class Outcome : uint8_t {
    kAvailable,
    kAbsent,      // no such interface: a module is missing, or the machine has none
    kForbidden,   // it is there, but this process may not read it
    kUnreadable,  // it is there, but what it gives is an error or no number
  };
  Outcome outcome = Outcome::kAbsent;
  // The path that decided the outcome.
  std::string path;
  std::unique_ptr<Meter> meter;
};

// Intel and AMD RAPL through <sysfs>/class/powercap.
MeterProbe probe_rapl_powercap(const std::string& sysfs);

struct ModelProfile {
  double idle_watts = 0;
  double watts_per_core = 0;  // per core kept busy
  double gpu_watts = 0;       // constant; 0: no gpu domain
  uint32_t cpu_slot = 0;      // slot whose CPU time it integrates
  // An absent CPU-time file means that nothing runs there, rather than that nothing is known.
  bool absent_is_idle = false;
};

// Power estimated from CPU time and a declared profile, for machines without counters.
std::unique_ptr<Meter> make_model(const ModelProfile& profile);

}  // namespace wattle
