#include "core/sampler.h"

#include <utility>

namespace wattle {
namespace {

// Whether what is due every `period_ns` is due at a regular tick at `now_ns`, and when it is next. Within half a tick
// counts as due: ticks are late by varying times, and a late one must not make its successor skip.
bool take_due(int64_t& due_ns, int64_t period_ns, int64_t now_ns, int64_t tick_period_ns) noexcept {
  if (now_ns + tick_period_ns / 2 < due_ns) return false;
  due_ns += period_ns;
  if (due_ns <= now_ns) due_ns = now_ns + period_ns;
  return true;
}

}  // namespace

Sampler::Sampler(std::vector<PacedMeter> meters, std::shared_ptr<CpuSlots> slots, int64_t cpu_period_ns)
    : slots_(std::move(slots)), cpu_period_ns_(cpu_period_ns) {
  for (PacedMeter& paced : meters) {
    Lane lane{std::move(paced.meter), nullptr, paced.period_ns, 0, domains_.size(), 0};
    if (lane.meter->may_block()) {
      auto courier = std::make_unique<Courier>(std::move(lane.meter), paced.period_ns);
      lane.courier = courier.get();
      lane.meter = std::move(courier);
    }
    for (const DomainInfo& info : lane.meter->domains()) {
      domains_.push_back(info);
      accumulators_.emplace_back(info.limits);
    }
    lane.count = domains_.size() - lane.first;
    lanes_.push_back(std::move(lane));
  }
  readings_.resize(domains_.size());
  totals_.resize(domains_.size());
}

void Sampler::attach(const RingShape& shape, std::byte* memory) { ring_ = std::make_unique<RingWriter>(shape, memory); }

int64_t Sampler::couriers_cpu_ns() const noexcept {
  int64_t total = 0;
  for (const Lane& lane : lanes_)
    if (lane.courier != nullptr) total += lane.courier->cpu_ns();
  return total;
}

bool Sampler::report(uint32_t domain, const Report& report) noexcept {
  for (Lane& lane : lanes_)
    if (domain >= lane.first && domain < lane.first + lane.count)
      return lane.meter->report(domain - lane.first, report);
  return false;
}

std::vector<GpuStatus> Sampler::gpus() const {
  std::vector<GpuStatus> all;
  for (const Lane& lane : lanes_)
    for (GpuStatus& gpu : lane.meter->gpus()) all.push_back(std::move(gpu));
  return all;
}

int Sampler::start(const Instant& now) noexcept {
  slots_->reap();
  slept_ns_ = now.slept_ns();
  cpu_due_ns_ = now.mono_ns;
  for (Accumulator& accumulator : accumulators_) accumulator.rebase(now.mono_ns);
  for (Lane& lane : lanes_) {
    lane.meter->reset();
    lane.due_ns = now.mono_ns;
    const int error = lane.courier != nullptr ? lane.courier->start() : 0;
    if (error != 0) {
      stop();
      return error;
    }
  }
  return 0;
}

void Sampler::stop() noexcept {
  for (Lane& lane : lanes_)
    if (lane.courier != nullptr) lane.courier->ask_to_stop();
  const int64_t until_ns = monotonic_ns() + Courier::kPatienceNs;
  for (Lane& lane : lanes_)
    if (lane.courier != nullptr) lane.courier->stop(until_ns);
}

void Sampler::notice_suspend(const Instant& now) noexcept {
  const int64_t slept = now.slept_ns();
  if (slept - slept_ns_ > kSuspendNs) {
    suspends_.add();
    for (Accumulator& accumulator : accumulators_) accumulator.rebase(now.mono_ns);
  }
  // Also after a short one, so that many short ones do not add up to one.
  slept_ns_ = slept;
}

void Sampler::poll(Lane& lane, const Tick& tick) noexcept {
  const auto readings = std::span(readings_).subspan(lane.first, lane.count);
  lane.meter->poll(tick, readings);
  for (size_t i = 0; i < lane.count; i++) {
    Accumulator& accumulator = accumulators_[lane.first + i];
    accumulator.feed(readings[i]);
    totals_[lane.first + i] = {accumulator.energy_uj(), accumulator.covered_ns(), accumulator.known_at_ns()};
  }
}

void Sampler::tick(const Instant& now, bool forced, int64_t period_ns) noexcept {
  Tick tick{now.mono_ns, now.real_ns, forced, forced, {}};
  notice_suspend(now);
  // A forced tick reads everything but leaves the rhythm as it is.
  if (!forced) tick.cpu_read = take_due(cpu_due_ns_, cpu_period_ns_, tick.mono_ns, period_ns);
  tick.cpu = tick.cpu_read ? slots_->read(tick.mono_ns) : slots_->last();
  for (Lane& lane : lanes_) {
    // What a courier brings is looked at in every tick: that costs no system call.
    if (forced || lane.courier != nullptr || take_due(lane.due_ns, lane.period_ns, tick.mono_ns, period_ns))
      poll(lane, tick);
    if (forced && lane.courier != nullptr) lane.courier->nudge();
  }
  ring_->write(tick, totals_);
}

}  // namespace wattle
