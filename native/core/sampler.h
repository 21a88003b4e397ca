// One pass over CPU slots and meters into the ring.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "core/accumulator.h"
#include "core/clock.h"
#include "core/courier.h"
#include "core/cpu_slots.h"
#include "core/meter.h"
#include "core/ring.h"
#include "core/tally.h"

namespace wattle {

struct PacedMeter {
  std::unique_ptr<Meter> meter;
  int64_t period_ns = 0;
};

class Sampler {
 public:
  // The slots are shared with meters that estimate from CPU time; they are read every `cpu_period_ns`.
  Sampler(std::vector<PacedMeter> meters, std::shared_ptr<CpuSlots> slots, int64_t cpu_period_ns);

  // Domains of all meters in order.
  std::span<const DomainInfo> domains() const noexcept { return domains_; }
  const DomainHealth& health(uint32_t domain) const noexcept { return accumulators_[domain].health(); }
  CpuSlots& slots() noexcept { return *slots_; }
  // Times the host slept: nothing is booked for such a time.
  uint64_t suspends() const noexcept { return suspends_.get(); }
  // CPU time of the threads that meters have of their own.
  int64_t couriers_cpu_ns() const noexcept;

  // A value from outside for a domain; false where its meter takes none.
  bool report(uint32_t domain, const Report& report) noexcept;
  std::vector<GpuStatus> gpus() const;

  // Where ticks go. The memory outlives the sampler; call once, before the first tick.
  void attach(const RingShape& shape, std::byte* memory);

  // What was read so far is forgotten, so the time until the first tick is a gap; meters that may block get their
  // threads. 0, or an error number. Never while tick() may run.
  int start(const Instant& now) noexcept;
  // Ends the meters' threads. Never while tick() may run.
  void stop() noexcept;

  // Sampling thread: no allocation, no lock. `period_ns`: time until the next regular tick.
  void tick(const Instant& now, bool forced, int64_t period_ns) noexcept;

 private:
  struct Lane {
    std::unique_ptr<Meter> meter;
    // The meter, where it is one that has a thread of its own.
    Courier* courier = nullptr;
    int64_t period_ns = 0;
    int64_t due_ns = 0;
    size_t first = 0;
    size_t count = 0;
  };

  void notice_suspend(const Instant& now) noexcept;
  void poll(Lane& lane, const Tick& tick) noexcept;

  std::vector<Lane> lanes_;
  std::shared_ptr<CpuSlots> slots_;
  const int64_t cpu_period_ns_;
  int64_t cpu_due_ns_ = 0;
  // CLOCK_BOOTTIME - CLOCK_MONOTONIC: how long the host has slept since it booted.
  int64_t slept_ns_ = 0;
  Tally suspends_;
  std::vector<DomainInfo> domains_;
  std::deque<Accumulator> accumulators_;
  std::vector<Reading> readings_;
  std::vector<DomainTotals> totals_;
  std::unique_ptr<RingWriter> ring_;
};

}  // namespace wattle
