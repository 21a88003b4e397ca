// At what rate the machine can hold the sampling thread: slower while it cannot, and back step by step.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/clock.h"

namespace wattle {

// The rate is judged over stretches of a second. One is held where few deadlines were missed, and where the thread left
// half of its processor to others: a realtime thread misses none however long its ticks take, and starves them instead.
// Half, because at 10 kHz the kernel's timer alone may take a quarter.
class Pace {
 public:
  explicit Pace(int64_t period_ns) noexcept : asked_ns_(period_ns), period_ns_(period_ns) {}

  // A new thread: `cpu_ns` is the time that it has burnt so far.
  void begin(int64_t now_ns, int64_t cpu_ns) noexcept {
    *this = Pace(asked_ns_);
    start_stretch(now_ns, cpu_ns);
  }

  // The period in force.
  int64_t period_ns() const noexcept { return period_ns_; }

  // Counts a regular tick. True where the stretch is over and judge() is to be called.
  bool tick(uint64_t missed, int64_t now_ns) noexcept {
    ticks_++;
    missed_ += missed;
    return now_ns - began_ns_ >= kStretchNs && ticks_ >= kStretchTicks;
  }

  // True where the rate fell.
  bool judge(int64_t now_ns, int64_t cpu_ns) noexcept {
    const bool in_time = missed_ * kMissedOneIn <= ticks_ + missed_;
    const bool modest = (cpu_ns - cpu_ns_) * kCpuOneIn <= now_ns - began_ns_;
    start_stretch(now_ns, cpu_ns);
    if (in_time && modest) {
      if (now_ns >= retry_at_ns_) go_on(now_ns);
      return false;
    }
    if (period_ns_ * 2 > kSlowestNs) return false;
    // Only what was tried in vain makes the next try later: a fall through several rates is one event.
    retry_after_ns_ = trying_ ? std::min(retry_after_ns_ * 2, kLongestRetryNs) : kRetryNs;
    trying_ = false;
    retry_at_ns_ = now_ns + retry_after_ns_;
    period_ns_ *= 2;
    return true;
  }

 private:
  static constexpr int64_t kStretchNs = kNsPerSecond;
  static constexpr uint64_t kStretchTicks = 20;
  // More deadlines missed than this share: the machine cannot hold the rate.
  static constexpr uint64_t kMissedOneIn = 10;
  // More of a processor than this share: nor can it.
  static constexpr int64_t kCpuOneIn = 2;
  // Never slower than the default rate of 10 Hz, which every machine holds.
  static constexpr int64_t kSlowestNs = kNsPerSecond / 10;
  // The former rate is tried again after this long; after each try in vain twice as long, up to the second bound. A
  // rate that was held for this long is held.
  static constexpr int64_t kRetryNs = 10 * kNsPerSecond;
  static constexpr int64_t kLongestRetryNs = 600 * kNsPerSecond;

  void start_stretch(int64_t now_ns, int64_t cpu_ns) noexcept {
    ticks_ = 0;
    missed_ = 0;
    began_ns_ = now_ns;
    cpu_ns_ = cpu_ns;
  }

  // What was tried is held; the next rate is tried.
  void go_on(int64_t now_ns) noexcept {
    if (trying_) retry_after_ns_ = kRetryNs;
    trying_ = period_ns_ > asked_ns_;
    if (!trying_) return;
    period_ns_ = std::max(period_ns_ / 2, asked_ns_);
    retry_at_ns_ = now_ns + kRetryNs;
  }

  int64_t asked_ns_;
  int64_t period_ns_;
  uint64_t ticks_ = 0;
  uint64_t missed_ = 0;
  int64_t began_ns_ = 0;
  int64_t cpu_ns_ = 0;
  int64_t retry_at_ns_ = 0;
  int64_t retry_after_ns_ = kRetryNs;
  // The rate in force is on trial.
  bool trying_ = false;
};

}  // namespace wattle
