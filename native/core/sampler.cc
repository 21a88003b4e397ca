#include "core/sampler.h"

#include <utility>

#include "core/clock.h"

namespace wattle {

Sampler::Sampler(std::vector<std::unique_ptr<Meter>> meters, std::shared_ptr<CpuSlots> slots)
    : meters_(std::move(meters)), slots_(std::move(slots)) {
  for (const auto& meter : meters_) {
    const int first = static_cast<int>(domains_.size());
    for (const DomainInfo& info : meter->domains()) {
      domains_.push_back({info, info.parent < 0 ? -1 : first + info.parent});
      accumulators_.emplace_back(info.limits);
    }
  }
  readings_.resize(domains_.size());
  totals_.resize(domains_.size());
}

void Sampler::attach(const RingShape& shape, std::byte* memory) { ring_ = std::make_unique<RingWriter>(shape, memory); }

void Sampler::reset() noexcept {
  slots_->reap();
  for (const auto& meter : meters_) meter->reset();
  for (Accumulator& accumulator : accumulators_) accumulator.rebase();
}

void Sampler::tick(bool forced) noexcept {
  Tick tick{monotonic_ns(), realtime_ns(), forced, {}};
  tick.cpu = slots_->read(tick.mono_ns);

  size_t first = 0;
  for (const auto& meter : meters_) {
    const size_t count = meter->domains().size();
    meter->poll(tick, std::span(readings_).subspan(first, count));
    first += count;
  }
  for (size_t domain = 0; domain < readings_.size(); domain++) {
    accumulators_[domain].feed(readings_[domain]);
    totals_[domain] = {accumulators_[domain].energy_uj(), accumulators_[domain].covered_ns()};
  }
  ring_->write(tick, totals_);
}

}  // namespace wattle
