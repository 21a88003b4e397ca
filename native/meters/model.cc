// Energy = idle power x time + power per busy core x CPU time. Always an estimate, and marked as one.
#include <cmath>
#include <optional>
#include <vector>

#include "core/clock.h"
#include "meters/meters.h"

namespace wattle {
namespace {

// CPU time that comes to light after a longer silence is nobody's.
constexpr int64_t kMaxGapNs = 60 * kNsPerSecond;

constexpr const char* kPackageName = "package";
constexpr const char* kGpuName = "gpu";

uint64_t microjoules(double watts, int64_t ns) { return static_cast<uint64_t>(watts * static_cast<double>(ns) / 1e3); }

struct Profile {
  double idle_watts = 0;
  double watts_per_core = 0;  // per core kept busy
  double gpu_watts = 0;       // constant; 0: no gpu domain
  uint32_t cpu_slot = 0;      // slot whose CPU time it integrates
  // An absent CPU-time file means that nothing runs there, rather than that nothing is known.
  bool absent_is_idle = false;
};

class Model final : public Meter {
 public:
  Model(const Profile& profile, const MeterContext& context)
      : profile_(profile), has_package_(context.wants(kPackageName)) {
    const auto add = [&](const char* name, DomainKind kind) {
      domains_.push_back({name, kind, Quality::kEstimated, {.max_gap_ns = kMaxGapNs}, {}});
    };
    if (has_package_) add(kPackageName, DomainKind::kPackage);
    if (profile.gpu_watts > 0 && context.wants(kGpuName)) add(kGpuName, DomainKind::kGpu);
  }

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }

  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    if (!started_at_ns_) started_at_ns_ = tick.mono_ns;
    const int64_t elapsed_ns = tick.mono_ns - *started_at_ns_;
    // Between two reads of the CPU time there is nothing to estimate from: the last reading stands, with its time.
    if (has_package_) out[0] = tick.cpu_read ? last_ = package(tick, elapsed_ns) : last_;
    const Reading gpu{Reading::Status::kGood, microjoules(profile_.gpu_watts, elapsed_ns), tick.mono_ns};
    for (Reading& reading : out.subspan(has_package_ ? 1 : 0)) reading = gpu;
  }

  void reset() noexcept override {
    started_at_ns_.reset();
    last_cpu_ns_.reset();
    cpu_ns_ = 0;
    last_ = {.at_ns = kNotYetNs};
  }

 private:
  Reading package(const Tick& tick, int64_t elapsed_ns) noexcept {
    const std::optional<int64_t> now_ns = cpu_time(tick);
    if (!now_ns) return {.at_ns = tick.mono_ns};
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

  const Profile profile_;
  const bool has_package_;
  std::vector<DomainInfo> domains_;
  std::optional<int64_t> started_at_ns_;
  std::optional<int64_t> last_cpu_ns_;
  int64_t cpu_ns_ = 0;
  Reading last_{.at_ns = kNotYetNs};
};

}  // namespace

MeterProbe make_model(const MeterContext& context) {
  using Outcome = MeterProbe::Outcome;
  const MeterSettings& settings = context.settings;
  const std::string path = settings.text("cpuPath");
  const auto format = cpu_format(settings.text("cpuFormat"));
  if (!format) return {Outcome::kAbsent, path, nullptr, {}};
  Profile profile{settings.number("idleWatts"), settings.number("wattsPerCore"), settings.number("gpuWatts"), 0,
                  settings.flag("absentIsIdle")};
  if (context.slots != nullptr) {
    const int32_t slot = context.slots->watch(*format, path);
    if (slot < 0) return {Outcome::kUnreadable, path, nullptr, {}};
    profile.cpu_slot = static_cast<uint32_t>(slot);
  }
  return {Outcome::kAvailable, path, std::make_unique<Model>(profile, context), {}};
}

}  // namespace wattle
