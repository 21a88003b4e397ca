// What TypeScript passes to the addon, checked and turned into C++.
#pragma once

#include <napi.h>

#include <optional>
#include <string>
#include <vector>

#include "core/sampling_thread.h"
#include "meters/meters.h"

namespace wattle {

struct MeterOptions {
  // As find_meter() knows it.
  std::string maker;
  double rate_hz = 0;
  // What the meter is built from, without what only a sampler has.
  MeterContext context;
};

struct Options {
  double rate_hz = 0;
  double cpu_rate_hz = 0;
  uint32_t ring_records = 0;
  uint32_t cpu_slots = 0;
  std::vector<MeterOptions> meters;
};

// Nothing where a value is missing or of the wrong type: options.ts has validated them before, so that is a bug there.
std::optional<Options> parse_options(const Napi::Value& value);
// { maker, rateHz?, sysfs, procfs, only: string[], settings: { name: boolean | number | string } }
std::optional<MeterOptions> parse_meter(const Napi::Value& value);

const char* name_of(DomainKind kind);
const char* name_of(Quality quality);
const char* name_of(MeterProbe::Outcome outcome);
const char* name_of(Urgency urgency);

}  // namespace wattle
