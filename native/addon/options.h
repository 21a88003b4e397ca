// What TypeScript passes to the constructor, checked and turned into C++.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/sampler.h"
#include "meters/meters.h"

namespace wattle {

struct MeterOptions {
  std::string kind;
  double idle_watts = 0;
  double watts_per_core = 0;
  double gpu_watts = 0;
  CpuFormat cpu_format = CpuFormat::kPushed;
  std::string cpu_path;
  bool absent_is_idle = false;
};

struct Options {
  double rate_hz = 0;
  uint32_t ring_records = 0;
  uint32_t cpu_slots = 0;
  std::string sysfs;
  std::vector<MeterOptions> meters;
};

// Nothing where a value is missing or of the wrong type: sampler.ts has validated them before, so that is a bug there.
std::optional<Options> parse_options(const Napi::Value& value);
std::optional<CpuFormat> parse_cpu_format(const Napi::Value& value);

const char* name_of(DomainKind kind);
const char* name_of(Quality quality);
const char* name_of(MeterProbe::Outcome outcome);

}  // namespace wattle
