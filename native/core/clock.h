// The clocks of a tick, in nanoseconds.
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

// A sleep that is shorter than this changes no counter that matters.
inline constexpr int64_t kSuspendNs = kNsPerSecond / 20;

// One reading of every clock that a tick needs. Tests make up their own, so that hours and sleeps take no time.
struct Instant {
  int64_t mono_ns = 0;
  int64_t real_ns = 0;
  // As the monotonic clock, but runs on while the host sleeps.
  int64_t boot_ns = 0;

  // How long the host has slept since it booted. The clocks are read one after the other, so this wavers by as much as
  // the thread was held up between them.
  int64_t slept_ns() const noexcept { return boot_ns - mono_ns; }

  // `read`, again where the host seems to have slept since `last`: a thread that was held up between two clocks sees
  // the same, but not time after time.
  template <typename Read>
  static Instant after(const Instant& last, Read read) noexcept {
    Instant instant = read();
    for (int again = 0; again < 3 && instant.slept_ns() - last.slept_ns() > kSuspendNs; again++) instant = read();
    return instant;
  }

  static Instant now() noexcept { return {monotonic_ns(), realtime_ns(), read_clock_ns(CLOCK_BOOTTIME)}; }
};

}  // namespace wattle
