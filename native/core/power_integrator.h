// Energy from a meter that only shows power.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/meter.h"

namespace wattle {

// Trapezoids between successive power readings. A span longer than `max_hold_ns` is not integrated: the power in
// between is unknown, so the reading says kRestarted and the accumulator books a gap.
class PowerIntegrator {
 public:
  explicit PowerIntegrator(int64_t max_hold_ns) noexcept : max_hold_ns_(max_hold_ns) {}

  void reset() noexcept { started_ = false; }

  // The energy so far. A reading that is not later than the last repeats it; no power, or a power below 0, is kFailed.
  Reading feed(double watts, int64_t at_ns) noexcept {
    if (!std::isfinite(watts) || watts < 0) return {};
    if (started_ && at_ns <= at_ns_) return reading(Reading::Status::kGood);
    const bool gap = !started_ || at_ns - at_ns_ > max_hold_ns_;
    // 1 W x 1 ns = 1e-3 uJ.
    if (!gap) energy_uj_ += (watts_ + watts) / 2 * static_cast<double>(at_ns - at_ns_) / 1e3;
    started_ = true;
    watts_ = watts;
    at_ns_ = at_ns;
    return reading(gap ? Reading::Status::kRestarted : Reading::Status::kGood);
  }

 private:
  Reading reading(Reading::Status status) const noexcept { return {status, static_cast<uint64_t>(energy_uj_), at_ns_}; }

  const int64_t max_hold_ns_;
  bool started_ = false;
  double watts_ = 0;
  int64_t at_ns_ = 0;
  double energy_uj_ = 0;
};

}  // namespace wattle
