// One pass over CPU slots and meters into the ring.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "core/accumulator.h"
#include "core/cpu_slots.h"
#include "core/meter.h"
#include "core/ring.h"

namespace wattle {

struct SamplerDomain {
  DomainInfo info;
  // Index of the containing domain among all domains of the sampler; -1: none.
  int parent = -1;
};

class Sampler {
 public:
  // The slots are shared with meters that estimate from CPU time.
  Sampler(std::vector<std::unique_ptr<Meter>> meters, std::shared_ptr<CpuSlots> slots);

  // Domains of all meters in order.
  std::span<const SamplerDomain> domains() const noexcept { return domains_; }
  const DomainHealth& health(uint32_t domain) const noexcept { return accumulators_[domain].health(); }
  CpuSlots& slots() noexcept { return *slots_; }

  // Where ticks go. The memory outlives the sampler; call once, before the first tick.
  void attach(const RingShape& shape, std::byte* memory);

  // Meters open their sources afresh and the time until the first tick is a gap. Never while tick() may run.
  void reset() noexcept;

  // Sampling thread: no allocation, no lock.
  void tick(bool forced) noexcept;

 private:
  std::vector<std::unique_ptr<Meter>> meters_;
  std::shared_ptr<CpuSlots> slots_;
  std::vector<SamplerDomain> domains_;
  std::deque<Accumulator> accumulators_;
  std::vector<Reading> readings_;
  std::vector<DomainTotals> totals_;
  std::unique_ptr<RingWriter> ring_;
};

}  // namespace wattle
