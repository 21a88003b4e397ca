// A meter outside this process: sampler/sources reads it, checks what it says, and reports it here.
#include <algorithm>
#include <cmath>
#include <span>

#include "core/clock.h"
#include "core/mailbox.h"
#include "core/power_integrator.h"
#include "meters/meters.h"

namespace wattle {
namespace {

// More energy than any counter holds exactly as a double in microjoules.
constexpr double kMostJoules = 9e9;

class Reported final : public Meter {
 public:
  Reported(DomainInfo domain, int64_t max_hold_ns)
      : domain_(std::move(domain)), max_hold_ns_(max_hold_ns), power_(max_hold_ns) {}

  std::span<const DomainInfo> domains() const noexcept override { return {&domain_, 1}; }

  void poll(const Tick&, std::span<Reading> out) noexcept override {
    Told told;
    if (latest_.get(told)) {
      last_ = told.reading;
      if (last_.status != Reading::Status::kFailed && last_.at_ns != known_at_ns_) {
        // Several may have come since the last poll, and the one that told of a gap be among those that were missed.
        gap_ = told.is_power && known_at_ns_ != 0 && last_.at_ns - known_at_ns_ > max_hold_ns_;
        known_at_ns_ = last_.at_ns;
      }
      if (gap_ && last_.status == Reading::Status::kGood) last_.status = Reading::Status::kRestarted;
    }
    for (Reading& reading : out) reading = last_;
  }

  // What was reported stays: whoever starts the sampler anew goes on with the same source.
  void reset() noexcept override {}

  bool report(size_t, const Report& report) noexcept override {
    const bool is_power = report.kind == Report::Kind::kWatts;
    Reading reading = is_power ? power_.feed(report.value, report.at_ns) : energy(report);
    // A failure is shown until the next report, and counts once.
    if (reading.status == Reading::Status::kFailed) reading.at_ns = report.at_ns;
    latest_.put({reading, is_power});
    return true;
  }

 private:
  struct Told {
    Reading reading;
    bool is_power = false;
  };

  static Reading energy(const Report& report) noexcept {
    if (!std::isfinite(report.value) || report.value < 0 || report.value > kMostJoules) return {};
    return {Reading::Status::kGood, static_cast<uint64_t>(report.value * 1e6), report.at_ns};
  }

  const DomainInfo domain_;
  const int64_t max_hold_ns_;
  Mailbox<Told> latest_;
  // The reporting thread's.
  PowerIntegrator power_;
  // The sampling thread's.
  Reading last_{.at_ns = kNotYetNs};
  int64_t known_at_ns_ = 0;
  bool gap_ = false;
};

DomainKind kind_of(const std::string& name) {
  if (name == "package") return DomainKind::kPackage;
  if (name == "gpu") return DomainKind::kGpu;
  return DomainKind::kNode;
}

}  // namespace

// Settings: `name` and `domainKind` (node, package or gpu) of its one domain, `maxWatts`, `maxHoldMs`: for how long
// a power reading stands when none follows, and `maxCounterHoldMs`: the longest step of an energy counter that is
// booked.
MeterProbe make_reported(const MeterContext& context) {
  const MeterSettings& settings = context.settings;
  const auto hold_ns = static_cast<int64_t>(settings.number("maxHoldMs", 10'000) * 1e6);
  const auto counter_hold_ns = static_cast<int64_t>(settings.number("maxCounterHoldMs", 300'000) * 1e6);
  DomainInfo domain;
  domain.name = settings.text("name", "node");
  domain.kind = kind_of(settings.text("domainKind", "node"));
  domain.limits.max_watts = static_cast<uint32_t>(settings.number("maxWatts", 0));
  domain.limits.update_ns = kNsPerSecond;
  domain.limits.max_gap_ns = std::max(hold_ns, counter_hold_ns);
  return {MeterProbe::Outcome::kAvailable, domain.name, std::make_unique<Reported>(std::move(domain), hold_ns), {}};
}

}  // namespace wattle
