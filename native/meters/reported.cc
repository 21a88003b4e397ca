// A meter outside this process: sampler/sources reads it, checks what it says, and reports it here.
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
  Reported(DomainInfo domain, int64_t max_hold_ns) : domain_(std::move(domain)), power_(max_hold_ns) {}

  std::span<const DomainInfo> domains() const noexcept override { return {&domain_, 1}; }

  void poll(const Tick&, std::span<Reading> out) noexcept override {
    latest_.get(last_);
    for (Reading& reading : out) reading = last_;
  }

  // What was reported stays: whoever starts the sampler anew goes on with the same source.
  void reset() noexcept override {}

  bool report(size_t, const Report& report) noexcept override {
    latest_.put(report.kind == Report::Kind::kWatts ? power_.feed(report.value, report.at_ns) : energy(report));
    return true;
  }

 private:
  static Reading energy(const Report& report) noexcept {
    if (!std::isfinite(report.value) || report.value < 0 || report.value > kMostJoules) return {};
    return {Reading::Status::kGood, static_cast<uint64_t>(report.value * 1e6), report.at_ns};
  }

  const DomainInfo domain_;
  Mailbox<Reading> latest_;
  // The reporting thread's.
  PowerIntegrator power_;
  // The sampling thread's.
  Reading last_;
};

DomainKind kind_of(const std::string& name) {
  if (name == "package") return DomainKind::kPackage;
  if (name == "gpu") return DomainKind::kGpu;
  return DomainKind::kNode;
}

}  // namespace

// Settings: `name` and `domainKind` (node, package or gpu) of its one domain, `maxWatts`, and `maxHoldMs`: for how long
// a power reading stands when none follows.
MeterProbe make_reported(const MeterContext& context) {
  const MeterSettings& settings = context.settings;
  const auto hold_ns = static_cast<int64_t>(settings.number("maxHoldMs", 10'000) * 1e6);
  DomainInfo domain;
  domain.name = settings.text("name", "node");
  domain.kind = kind_of(settings.text("domainKind", "node"));
  domain.limits.max_watts = static_cast<uint32_t>(settings.number("maxWatts", 0));
  domain.limits.update_ns = kNsPerSecond;
  domain.limits.max_gap_ns = hold_ns;
  return {MeterProbe::Outcome::kAvailable, domain.name, std::make_unique<Reported>(std::move(domain), hold_ns), {}};
}

}  // namespace wattle
