// Turns the readings of one wrapping, failing, freezing counter into energy and coverage that only ever grow.
#pragma once

#include <cstdint>
#include <limits>

#include "core/meter.h"
#include "core/tally.h"

namespace wattle {

// What went wrong with a domain's counter so far, for people who ask why coverage is below 1.
struct DomainHealth {
  Tally failed_reads;
  Tally wraps;
  Tally resets;
  Tally gaps;
  Tally freezes;
};

inline constexpr int64_t kNoBoundNs = std::numeric_limits<int64_t>::max();

// The longest time between two readings whose difference is trusted: in more, the counter could wrap twice, or the
// meter says that it could have begun anew. kNoBoundNs: every difference is.
int64_t trusted_gap_ns(const CounterLimits& limits) noexcept;

// Laws (docs/physics.md): a failed read is a gap; a wrap adds exactly one modulus; a step that power limits rule out is
// a reset, and if the counter comes back to its old value it was a dip, of which nothing is booked; after a gap in
// which a second wrap could hide nothing is booked; a frozen counter loses its coverage.
class Accumulator {
 public:
  explicit Accumulator(const CounterLimits& limits) noexcept;

  void feed(const Reading& reading) noexcept;
  // Forgets the last reading: the time until the next one is a gap. Readings of before `now_ns` that are still on
  // their way are passed over.
  void rebase(int64_t now_ns) noexcept;

  uint64_t energy_uj() const noexcept { return energy_uj_; }
  uint64_t covered_ns() const noexcept { return covered_ns_; }
  // Up to when the energy is known: the time of the last reading that was booked. 0 before the first.
  int64_t known_at_ns() const noexcept { return changed_at_ns_; }
  const DomainHealth& health() const noexcept { return health_; }

  int64_t safe_ns() const noexcept { return safe_ns_; }

 private:
  void take(const Reading& reading) noexcept;
  // The reading disagrees with the last one.
  void doubt(const Reading& reading) noexcept;
  // How much of a step the value from before a reset allows: no more in all than the counter has moved since then,
  // should the reset have been a dip.
  uint64_t believed(uint64_t delta_uj, const Reading& reading) noexcept;
  bool possible(uint64_t delta_uj, int64_t elapsed_ns) const noexcept;

  const CounterLimits limits_;
  const int64_t safe_ns_;

  bool started_ = false;
  int64_t not_before_ns_ = 0;
  int64_t failed_at_ns_ = 0;
  uint64_t last_uj_ = 0;
  int64_t read_at_ns_ = 0;
  // Equal to read_at_ns_ unless the counter stands still.
  int64_t changed_at_ns_ = 0;
  // Time in which the counter stood still: covered as soon as it moves, unless it turns out to have been frozen.
  int64_t standing_ns_ = 0;

  // From before a reset that may have been a dip; and the energy that was booked by then.
  bool doubted_ = false;
  uint64_t doubted_uj_ = 0;
  int64_t doubted_at_ns_ = 0;
  uint64_t doubted_energy_uj_ = 0;

  uint64_t energy_uj_ = 0;
  uint64_t covered_ns_ = 0;
  DomainHealth health_;
};

}  // namespace wattle
