// The two clocks of a tick, in nanoseconds.
#pragma once

#include <time.h>

#include <cstdint>

namespace wattle {

inline constexpr int64_t kNsPerSecond = 1'000'000'000;

inline int64_t read_clock_ns(clockid_t id) noexcept {
  timespec now{};
  clock_gettime(id, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

// The clock that intervals are measured on: it never steps.
inline int64_t monotonic_ns() noexcept { return read_clock_ns(CLOCK_MONOTONIC); }

// Wall-clock time since 1970; may step, so it only labels a tick.
inline int64_t realtime_ns() noexcept { return read_clock_ns(CLOCK_REALTIME); }

}  // namespace wattle
