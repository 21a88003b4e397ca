// Energy = idle power x time + power per busy core x CPU time. Always an estimate, and marked as one.
#include <cmath>
#include <optional>
#include <vector>

#include "meters/meters.h"

namespace wattle {
namespace {

uint64_t microjoules(double watts, int64_t ns) { return static_cast<uint64_t>(watts * static_cast<double>(ns) / 1e3); }

class Model final : public Meter {
 public:
  explicit Model(const ModelProfile& profile) : profile_(profile) {
    domains_.push_back({"package", DomainKind::kPackage, Quality::kEstimated, -1, {}});
    if (profile.gpu_watts > 0) domains_.push_back({"gpu", DomainKind::kGpu, Quality::kEstimated, -1, {}});
  }

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }

  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    if (!started_at_ns_) started_at_ns_ = tick.mono_ns;
    const int64_t elapsed_ns = tick.mono_ns - *started_at_ns_;
    out[0] = package(tick, elapsed_ns);
    if (out.size() > 1) out[1] = {Reading::Status::kGood, microjoules(profile_.gpu_watts, elapsed_ns), tick.mono_ns};
  }

  void reset() noexcept override {
    started_at_ns_.reset();
    last_cpu_ns_.reset();
    cpu_ns_ = 0;
  }

 private:
  Reading package(const Tick& tick, int64_t elapsed_ns) noexcept {
    const std::optional<int64_t> now_ns = cpu_time(tick);
    if (!now_ns) return {};
    // CPU time below the last one: the group was made anew, and how much the old one burnt to its end is unknown.
    const bool restarted = last_cpu_ns_ && *now_ns < *last_cpu_ns_;
    if (last_cpu_ns_ && !restarted) cpu_ns_ += *now_ns - *last_cpu_ns_;
    last_cpu_ns_ = now_ns;
    const uint64_t energy =
        microjoules(profile_.idle_watts, elapsed_ns) + microjoules(profile_.watts_per_core, cpu_ns_);
    return {restarted ? Reading::Status::kRestarted : Reading::Status::kGood, energy, tick.mono_ns};
  }

  std::optional<int64_t> cpu_time(const Tick& tick) const noexcept {
    if (profile_.cpu_slot >= tick.cpu.size()) return std::nullopt;
    const CpuReading& reading = tick.cpu[profile_.cpu_slot];
    if (reading.status == CpuReading::Status::kGood) return reading.ns;
    if (reading.status == CpuReading::Status::kAbsent && profile_.absent_is_idle) return 0;
    return std::nullopt;
  }

  const ModelProfile profile_;
  std::vector<DomainInfo> domains_;
  std::optional<int64_t> started_at_ns_;
  std::optional<int64_t> last_cpu_ns_;
  int64_t cpu_ns_ = 0;
};

}  // namespace

std::unique_ptr<Meter> make_model(const ModelProfile& profile) { return std::make_unique<Model>(profile); }

}  // namespace wattle
