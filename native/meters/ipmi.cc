// The node's power from its management controller, by DCMI: docs/meters/ipmi.md.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/power_integrator.h"
#include "meters/dcmi.h"
#include "meters/meters.h"

namespace wattle {
namespace {

constexpr const char* kNodeName = "node";
constexpr const char* kDevice = "/dev/ipmi0";
// Less than a daemon waits for a poll under way when it stops.
constexpr int kAskMs = 1'500;
// A controller that does not answer is asked again after 2 s, then 4 s, up to 30 s: questions that it never answers
// pile up in the driver.
constexpr int64_t kFirstPauseNs = 2 * kNsPerSecond;
constexpr int64_t kLongestPauseNs = 30 * kNsPerSecond;
constexpr int64_t kHoldNs = 10 * kNsPerSecond;
// This program runs on the node, so it draws something; and no node draws more. 65535 is a common "unknown".
constexpr uint16_t kLeastWatts = 1;
constexpr uint16_t kMostWatts = 20'000;
// So often must the stamp have moved until its standing still means something: it moves once when the controller's
// clock is set.
constexpr uint32_t kTrustedMoves = 3;

// More than the answer, to see that one is longer than it should be.
using Answer = std::array<uint8_t, 64>;

// The length of the answer, or an error number below 0.
int64_t ask(Hardware& hardware, int descriptor, Answer& answer) noexcept {
  return hardware.ask_ipmi(descriptor, {kGroupExtension, kGetPowerReading, kPowerReadingBody}, answer, kAskMs);
}

std::optional<DcmiPower> power_of(const Answer& answer, int64_t length) noexcept {
  if (length < 0) return std::nullopt;
  return parse_dcmi_power(std::span(answer).first(std::min(static_cast<size_t>(length), answer.size())));
}

bool plausible(const DcmiPower& power) noexcept { return power.watts >= kLeastWatts && power.watts <= kMostWatts; }

class Ipmi final : public Meter {
 public:
  Ipmi(Hardware& hardware, std::string device, int descriptor, std::vector<DomainInfo> domains, int64_t hold_ns)
      : hardware_(hardware),
        device_(std::move(device)),
        descriptor_(descriptor),
        domains_(std::move(domains)),
        hold_ns_(hold_ns),
        energy_(hold_ns) {}
  ~Ipmi() override { hardware_.close(descriptor_); }
  Ipmi(const Ipmi&) = delete;
  Ipmi& operator=(const Ipmi&) = delete;

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }
  bool may_block() const noexcept override { return true; }

  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    const Reading reading = read(tick.mono_ns);
    for (Reading& one : out) one = reading;
  }

  void reset() noexcept override {
    energy_.reset();
    failures_ = 0;
    not_before_ns_.reset();
    stamp_ = {};
    was_active_ = false;
  }

 private:
  struct Stamp {
    bool seen = false;
    uint32_t seconds = 0;
    int64_t moved_ns = 0;
    uint32_t moves = 0;
  };

  Reading read(int64_t now_ns) noexcept {
    if (not_before_ns_ && now_ns < *not_before_ns_) return {};
    Answer answer;
    const int64_t length = ask(hardware_, descriptor_, answer);
    const auto power = power_of(answer, length);
    if (!power) {
      pause(now_ns);
      if (length == -ENODEV) reopen();
      return {};
    }
    failures_ = 0;
    not_before_ns_.reset();
    // Both learn from every answer.
    const bool stale = is_stale(power->stamp_s, now_ns);
    const bool switched_off = was_active_ && !power->active;
    was_active_ = was_active_ || power->active;
    if (stale || switched_off || !plausible(*power)) return {};
    return energy_.feed(power->watts, now_ns);
  }

  void pause(int64_t now_ns) noexcept {
    int64_t pause_ns = kFirstPauseNs;
    for (uint32_t i = 0; i < failures_ && pause_ns < kLongestPauseNs; i++) pause_ns *= 2;
    not_before_ns_ = now_ns + std::min(pause_ns, kLongestPauseNs);
    failures_++;
  }

  // The driver was loaded anew. The old descriptor goes only when there is a new one: opening may be forbidden by now.
  void reopen() noexcept {
    const int descriptor = hardware_.open_ipmi(device_);
    if (descriptor < 0) return;
    hardware_.close(std::exchange(descriptor_, descriptor));
  }

  bool is_stale(uint32_t stamp_s, int64_t now_ns) noexcept {
    if (!stamp_.seen || stamp_s != stamp_.seconds) {
      if (stamp_.seen) stamp_.moves++;
      stamp_.seen = true;
      stamp_.seconds = stamp_s;
      stamp_.moved_ns = now_ns;
    }
    return stamp_.moves >= kTrustedMoves && now_ns - stamp_.moved_ns > hold_ns_;
  }

  Hardware& hardware_;
  const std::string device_;
  int descriptor_;
  const std::vector<DomainInfo> domains_;
  const int64_t hold_ns_;
  PowerIntegrator energy_;
  uint32_t failures_ = 0;
  std::optional<int64_t> not_before_ns_;
  Stamp stamp_;
  bool was_active_ = false;
};

std::string refusal(uint8_t completion_code) {
  char text[96];
  const char* meaning = "";
  if (completion_code == 0xC1) meaning = ": it has no DCMI power reading";
  if (completion_code == 0xD4) meaning = ": it does not allow it from here";
  std::snprintf(text, sizeof text, "The controller refuses with completion code 0x%02X%s.", completion_code, meaning);
  return text;
}

// A controller that is busy, or slow to wake, answers later: that is no reason to do without it until the next start.
bool passing(const Answer& answer, int64_t length) {
  constexpr uint8_t kBusy = 0xC0;
  constexpr uint8_t kTimedOut = 0xC3;
  return length == -ETIMEDOUT || (length > 0 && (answer[0] == kBusy || answer[0] == kTimedOut));
}

std::string why_no_power(const Answer& answer, int64_t length) {
  if (length == -ETIMEDOUT) return "The controller did not answer within " + std::to_string(kAskMs) + " ms.";
  if (length < 0) return std::string("The driver failed: ") + std::strerror(static_cast<int>(-length)) + ".";
  if (length > 0 && answer[0] != 0) return refusal(answer[0]);
  return "The controller's answer is no DCMI power reading.";
}

}  // namespace

// Settings: `device`, and `maxHoldMs`: for how long a power reading stands when no newer one follows.
MeterProbe make_ipmi(const MeterContext& context) {
  using Outcome = MeterProbe::Outcome;
  const std::string device = context.settings.text("device", kDevice);
  const auto hold_ns = static_cast<int64_t>(context.settings.number("maxHoldMs", kHoldNs / 1e6) * 1e6);
  if (context.hardware == nullptr) return {Outcome::kAbsent, device, nullptr, {}};
  Hardware& hardware = *context.hardware;

  const int descriptor = hardware.open_ipmi(device);
  if (descriptor == -EACCES || descriptor == -EPERM) return {Outcome::kForbidden, device, nullptr, {}};
  if (descriptor < 0) return {Outcome::kAbsent, device, nullptr, {}};
  std::vector<DomainInfo> domains;
  if (context.wants(kNodeName))
    domains.push_back({kNodeName, DomainKind::kNode, Quality::kMeasured, {0, kMostWatts, 0, 0, hold_ns}, {}});
  // From here on the meter closes the descriptor.
  auto meter = std::make_unique<Ipmi>(hardware, device, descriptor, std::move(domains), hold_ns);

  Answer answer;
  const int64_t length = ask(hardware, descriptor, answer);
  const auto power = power_of(answer, length);
  if (!power && passing(answer, length))
    return {Outcome::kAvailable, device, std::move(meter), {why_no_power(answer, length)}};
  if (!power) return {Outcome::kUnreadable, device, nullptr, {why_no_power(answer, length)}};
  if (!plausible(*power))
    return {Outcome::kUnreadable,
            device,
            nullptr,
            {"The controller shows " + std::to_string(power->watts) + " W, which no running node draws."}};
  std::vector<std::string> notes;
  if (!power->active) notes.push_back("The controller says that it does not measure, yet shows a power.");
  return {Outcome::kAvailable, device, std::move(meter), std::move(notes)};
}

}  // namespace wattle
