// The small interface that every meter shares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/cpu_reading.h"
#include "core/gpu_status.h"

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
  // The longest time between two reads after which the difference is still trusted, where wrapping does not bound it
  // already; 0: no bound.
  int64_t max_gap_ns = 0;
};

struct DomainInfo {
  // Unique within the meter. `package-0`, `package-0/core`, `package-0/dram`, `psys`, `node`, `gpu-<UUID>`: meters that
  // read the same thing give it the same name. Which domain contains which is said in src/sampler/tree.ts.
  std::string name;
  DomainKind kind = DomainKind::kPackage;
  Quality quality = Quality::kMeasured;
  CounterLimits limits;
  // Name of the domain of the same meter whose energy this one gives a second opinion of; empty: it is none.
  std::string witness_of;
};

// One pass of the sampler: the instant that all its readings belong to.
struct Tick {
  int64_t mono_ns = 0;
  int64_t real_ns = 0;
  bool forced = false;
  // False at a tick between two reads of the CPU-time counters: `cpu` then shows the former read.
  bool cpu_read = true;
  std::span<const CpuReading> cpu{};
};

// The time of a reading that is none, as nothing was read yet: it counts neither as a value nor as a failure.
inline constexpr int64_t kNotYetNs = -1;

struct Reading {
  enum class Status : uint8_t {
    kFailed,     // no value: a gap, never a zero
    kGood,       // energy_uj is the counter's value at at_ns
    kRestarted,  // energy_uj is good, but what passed since the last reading is unknown
  };
  Status status = Status::kFailed;
  uint64_t energy_uj = 0;
  // CLOCK_MONOTONIC of the value; a meter slower than the sampler repeats its last value with its old time. A failure
  // may have a time too, so that the same one is not counted twice.
  int64_t at_ns = 0;
};

// A value from outside this process: power in watts, or cumulative energy in joules.
struct Report {
  enum class Kind : uint8_t { kWatts, kJoules };
  Kind kind = Kind::kWatts;
  double value = 0;
  int64_t at_ns = 0;
};

class Meter {
 public:
  virtual ~Meter() = default;
  virtual std::span<const DomainInfo> domains() const noexcept = 0;
  // Fills one reading per domain, in the order of domains(). No exception. On the sampling thread, or, where
  // may_block() is true, on a thread of the meter's own.
  virtual void poll(const Tick& tick, std::span<Reading> out) noexcept = 0;
  // Forgets what was read so far. Never called while poll may run. Descriptors that took a privilege to open stay open:
  // the privilege may be gone by now.
  virtual void reset() noexcept = 0;
  // True for a meter whose poll may take long, lock or allocate: it is polled by a Courier.
  virtual bool may_block() const noexcept { return false; }
  // True for a meter with a thread of its own that has something newer to tell at a job event than at its last regular
  // poll: a forced tick asks it at once, with tick.forced.
  virtual bool wants_events() const noexcept { return false; }
  // Takes a value for one of the domains, from any one thread. False for a meter that reads its values itself.
  virtual bool report(size_t /*domain*/, const Report& /*report*/) noexcept { return false; }
  // The GPUs that the meter reads, from any thread.
  virtual std::vector<GpuStatus> gpus() const { return {}; }
};

}  // namespace wattle
