// The small interface that every meter shares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/cpu_reading.h"

namespace wattle {

enum class DomainKind : uint8_t { kPackage, kCore, kUncore, kDram, kPsys, kGpu, kNode };
enum class Quality : uint8_t { kMeasured, kCalibrated, kEstimated };

// What is physically possible for a counter; the accumulator judges every reading by it.
struct CounterLimits {
  // The counter goes from modulus - 1 to 0; 0: it never wraps, so a decrease is a reset.
  uint64_t modulus_uj = 0;
  // More power than the domain can ever draw; 0: no bound is known.
  uint32_t max_watts = 0;
  // A value may be this much older than its read: the counter's update period, and the delay of who updates it.
  int64_t update_ns = 0;
  // A counter that stands still for longer is frozen; 0: standing still is normal for this domain.
  int64_t frozen_after_ns = 0;
};

struct DomainInfo {
  std::string name;
  DomainKind kind = DomainKind::kPackage;
  Quality quality = Quality::kMeasured;
  // Index, within the same meter, of the domain whose energy contains this one's; -1: none does.
  int parent = -1;
  CounterLimits limits;
};

// One pass of the sampler: the instant that all its readings belong to.
struct Tick {
  int64_t mono_ns = 0;
  int64_t real_ns = 0;
  bool forced = false;
  std::span<const CpuReading> cpu;
};

struct Reading {
  enum class Status : uint8_t {
    kFailed,     // no value: a gap, never a zero
    kGood,       // energy_uj is the counter's value at at_ns
    kRestarted,  // energy_uj is good, but what passed since the last reading is unknown
  };
  Status status = Status::kFailed;
  uint64_t energy_uj = 0;
  // CLOCK_MONOTONIC of the value; a meter slower than the sampler repeats its last value with its old time.
  int64_t at_ns = 0;
};

class Meter {
 public:
  virtual ~Meter() = default;
  virtual std::span<const DomainInfo> domains() const noexcept = 0;
  // Fills one reading per domain, in the order of domains(). Runs on the sampling thread: no allocation, no lock.
  virtual void poll(const Tick& tick, std::span<Reading> out) noexcept = 0;
  // Forgets what was read so far and opens its sources afresh. Never called while poll may run.
  virtual void reset() noexcept = 0;
};

}  // namespace wattle
