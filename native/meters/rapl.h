// What all ways to RAPL counters have in common.
#pragma once

#include <cstdint>

#include "core/clock.h"
#include "core/meter.h"

namespace wattle {

// No socket, memory or machine behind one counter draws more, with room for turbo peaks and for years to come.
inline uint32_t rapl_max_watts(DomainKind kind) noexcept {
  switch (kind) {
    case DomainKind::kPsys:
      return 10'000;
    case DomainKind::kDram:
      return 500;
    default:
      return 1'000;
  }
}

// Cores and the uncore (a graphics unit) may sleep for hours; the others always draw something.
inline bool rapl_may_rest(DomainKind kind) noexcept { return kind == DomainKind::kCore || kind == DomainKind::kUncore; }

// After a longer silence nothing is booked, although most counters could not have wrapped twice yet: energy waits for a
// silent counter for as long as its next reading may count, and jobs that have ended wait with it.
inline constexpr int64_t kRaplMaxGapNs = 60 * kNsPerSecond;

inline CounterLimits rapl_limits(DomainKind kind, uint64_t modulus_uj, int64_t max_gap_ns = kRaplMaxGapNs) noexcept {
  // The counter is about 1 ms old at most; the rest is for a tick that is held up between clock and read.
  constexpr int64_t kUpdateNs = kNsPerSecond / 10;
  constexpr int64_t kFrozenAfterNs = kNsPerSecond;
  return {modulus_uj, rapl_max_watts(kind), kUpdateNs, rapl_may_rest(kind) ? 0 : kFrozenAfterNs, max_gap_ns};
}

}  // namespace wattle
