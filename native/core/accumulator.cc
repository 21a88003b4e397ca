#include "core/accumulator.h"

#include <algorithm>
#include <limits>

namespace wattle {
namespace {

// Power times time in microjoules: W x ns / 1000.
constexpr int64_t kNsWattsPerMicrojoule = 1000;

int64_t shortest_wrap_ns(const CounterLimits& limits) {
  if (limits.modulus_uj == 0 || limits.max_watts == 0) return kNoBoundNs;
  const auto ns = static_cast<unsigned __int128>(limits.modulus_uj) * kNsWattsPerMicrojoule / limits.max_watts;
  return static_cast<int64_t>(std::min<unsigned __int128>(ns, kNoBoundNs));
}

}  // namespace

int64_t trusted_gap_ns(const CounterLimits& limits) noexcept {
  return std::min(shortest_wrap_ns(limits), limits.max_gap_ns > 0 ? limits.max_gap_ns : kNoBoundNs);
}

Accumulator::Accumulator(const CounterLimits& limits) noexcept : limits_(limits), safe_ns_(trusted_gap_ns(limits)) {}

void Accumulator::rebase(int64_t now_ns) noexcept {
  started_ = false;
  not_before_ns_ = now_ns;
}

void Accumulator::take(const Reading& reading) noexcept {
  started_ = true;
  last_uj_ = reading.energy_uj;
  read_at_ns_ = reading.at_ns;
  changed_at_ns_ = reading.at_ns;
  standing_ns_ = 0;
}

bool Accumulator::possible(uint64_t delta_uj, int64_t elapsed_ns) const noexcept {
  if (limits_.max_watts == 0) return true;
  // Both sides in W x ns: a division of 128 bits would be the dearest part of a tick's arithmetic.
  const auto bound = (static_cast<unsigned __int128>(elapsed_ns) + limits_.update_ns) * limits_.max_watts;
  return static_cast<unsigned __int128>(delta_uj) * kNsWattsPerMicrojoule <= bound;
}

void Accumulator::feed(const Reading& reading) noexcept {
  const bool impossible_value = limits_.modulus_uj != 0 && reading.energy_uj > limits_.modulus_uj;
  if (reading.status == Reading::Status::kFailed || impossible_value) {
    // The next good reading decides whether this was a gap. A slow meter shows the same failure at several ticks.
    if (reading.at_ns == 0 || reading.at_ns != failed_at_ns_) health_.failed_reads.add();
    failed_at_ns_ = reading.at_ns;
    return;
  }
  if (reading.at_ns < not_before_ns_) return;
  if (!started_) return take(reading);
  if (reading.status == Reading::Status::kRestarted) {
    // A slow meter shows the reading that says so until it has a newer one.
    if (reading.at_ns <= read_at_ns_) return;
    health_.gaps.add();
    return take(reading);
  }

  const int64_t elapsed_ns = reading.at_ns - read_at_ns_;
  if (elapsed_ns <= 0) return;
  if (elapsed_ns > safe_ns_) {
    health_.gaps.add();
    return take(reading);
  }

  const bool wrapped = reading.energy_uj < last_uj_;
  if (wrapped && limits_.modulus_uj == 0) {
    health_.resets.add();
    return take(reading);
  }
  const uint64_t delta_uj = (wrapped ? limits_.modulus_uj : 0) + reading.energy_uj - last_uj_;

  const bool may_freeze = limits_.frozen_after_ns > 0;
  if (delta_uj == 0 && may_freeze) {
    const bool was_frozen = standing_ns_ > limits_.frozen_after_ns;
    standing_ns_ += elapsed_ns;
    read_at_ns_ = reading.at_ns;
    if (!was_frozen && standing_ns_ > limits_.frozen_after_ns) health_.freezes.add();
    return;
  }

  // A counter that thaws may show at once all that its hardware counted meanwhile.
  const int64_t unchanged_ns = reading.at_ns - changed_at_ns_;
  if (unchanged_ns > safe_ns_) {
    health_.gaps.add();
    return take(reading);
  }
  if (!possible(delta_uj, unchanged_ns)) {
    health_.resets.add();
    return take(reading);
  }

  const bool frozen = may_freeze && standing_ns_ > limits_.frozen_after_ns;
  energy_uj_ += delta_uj;
  covered_ns_ += static_cast<uint64_t>(elapsed_ns + (frozen ? 0 : standing_ns_));
  if (wrapped) health_.wraps.add();
  take(reading);
}

}  // namespace wattle
