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

// Of several in a row the first is kept, as what follows it is nonsense as long as nothing can be booked.
void Accumulator::doubt(const Reading& reading) noexcept {
  if (!doubted_ || energy_uj_ != doubted_energy_uj_) {
    doubted_ = true;
    doubted_uj_ = last_uj_;
    doubted_at_ns_ = changed_at_ns_;
    doubted_energy_uj_ = energy_uj_;
  }
  take(reading);
}

uint64_t Accumulator::believed(uint64_t delta_uj, const Reading& reading) noexcept {
  const int64_t elapsed_ns = reading.at_ns - doubted_at_ns_;
  // By now it could have wrapped past its old value.
  if (elapsed_ns > shortest_wrap_ns(limits_)) {
    doubted_ = false;
    return delta_uj;
  }
  const bool below = reading.energy_uj < doubted_uj_;
  if (below && limits_.modulus_uj == 0) return delta_uj;
  const uint64_t since_uj = (below ? limits_.modulus_uj : 0) + reading.energy_uj - doubted_uj_;
  if (!possible(since_uj, elapsed_ns)) return delta_uj;
  // It is back. A counter that truly began anew passes here too, once, and loses no more than this step.
  doubted_ = false;
  const uint64_t booked_uj = energy_uj_ - doubted_energy_uj_;
  return std::min(delta_uj, since_uj - std::min(since_uj, booked_uj));
}

bool Accumulator::possible(uint64_t delta_uj, int64_t elapsed_ns) const noexcept {
  if (limits_.max_watts == 0) return true;
  // Both sides in W x ns: a division of 128 bits would be the dearest part of a tick's arithmetic.
  const auto bound = (static_cast<unsigned __int128>(elapsed_ns) + limits_.update_ns) * limits_.max_watts;
  return static_cast<unsigned __int128>(delta_uj) * kNsWattsPerMicrojoule <= bound;
}

void Accumulator::feed(const Reading& reading) noexcept {
  if (reading.at_ns == kNotYetNs) return;
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
    doubted_ = false;
    return take(reading);
  }

  const int64_t elapsed_ns = reading.at_ns - read_at_ns_;
  if (elapsed_ns <= 0) return;
  if (elapsed_ns > safe_ns_) {
    health_.gaps.add();
    return limits_.modulus_uj == 0 && reading.energy_uj < last_uj_ ? doubt(reading) : take(reading);
  }

  const bool wrapped = reading.energy_uj < last_uj_;
  if (wrapped && limits_.modulus_uj == 0) {
    health_.resets.add();
    return doubt(reading);
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
    return doubt(reading);
  }

  const bool frozen = may_freeze && standing_ns_ > limits_.frozen_after_ns;
  energy_uj_ += doubted_ ? believed(delta_uj, reading) : delta_uj;
  covered_ns_ += static_cast<uint64_t>(elapsed_ns + (frozen ? 0 : standing_ns_));
  if (wrapped) health_.wraps.add();
  take(reading);
}

}  // namespace wattle
