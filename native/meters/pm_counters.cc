// Energy that a Cray blade's controller measures: docs/meters/pm-counters.md.
#include "meters/pm_counters.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

#include "core/file.h"
#include "core/text.h"
#include "meters/meters.h"

namespace wattle {
namespace {

constexpr uint64_t kMicrojoulesPerJoule = 1'000'000;
constexpr uint64_t kNsPerUs = 1'000;

// The longest line has 47 characters; the rest is room to see that something else follows.
constexpr size_t kLineBytes = 64;
// The controller scans ten times per second, and a read takes microseconds: more than one torn read in a row means
// that the files do not come from one place.
constexpr int kAttempts = 3;
// A file that has gone is looked for again this often.
constexpr int64_t kReopenNs = kNsPerSecond;
// Two scans: one may be missed, and whole joules come late by part of one.
constexpr int64_t kUpdateNs = kNsPerSecond / 5;
// A scan that no newer one follows for this long shows a controller that hangs.
constexpr int64_t kFrozenNs = 2 * kNsPerSecond;
// Where a whole joule may take seconds to come together.
constexpr int64_t kIdleFrozenNs = 10 * kNsPerSecond;
constexpr size_t kMaxAccelerators = 16;

bool take(std::string_view& text, std::string_view expected) noexcept {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

class PmCounters final : public Meter {
 public:
  PmCounters(std::vector<DomainInfo> domains, std::unique_ptr<PmFiles> files)
      : domains_(std::move(domains)), files_(std::move(files)), counters_(domains_.size()) {}

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }
  // Each file is a question to the controller.
  bool may_block() const noexcept override { return true; }

  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    for (int attempt = 0; attempt < kAttempts; attempt++) {
      const auto before = number(PmFiles::kFreshness, tick.mono_ns);
      if (!before) break;
      for (size_t i = 0; i < counters_.size(); i++) counters_[i].value = value(i, tick.mono_ns);
      const auto startup = number(PmFiles::kStartup, tick.mono_ns);
      const auto after = number(PmFiles::kFreshness, tick.mono_ns);
      if (after != before) continue;
      notice_restart(*before, startup);
      for (size_t i = 0; i < counters_.size(); i++) out[i] = judge(counters_[i], *before, tick.mono_ns);
      return;
    }
    for (Reading& reading : out) reading = {};
  }

  void reset() noexcept override {
    std::fill(counters_.begin(), counters_.end(), Counter{});
    freshness_.reset();
    startup_.reset();
    clock_.reset();
  }

 private:
  struct Counter {
    // What the read under way found.
    std::optional<PmValue> value;
    bool started = false;
    bool restarted = false;
    // What tells one scan from the next: its stamp, or the freshness where there is none.
    uint64_t scan = 0;
    Reading last;
    int64_t moved_ns = 0;
    int64_t checked_ns = std::numeric_limits<int64_t>::min();
  };

  std::optional<uint64_t> number(size_t file, int64_t now_ns) noexcept {
    std::array<char, kLineBytes> buffer;
    const auto text = files_->read(file, buffer, now_ns);
    return text ? parse_number(*text) : std::nullopt;
  }

  std::optional<PmValue> value(size_t domain, int64_t now_ns) noexcept {
    std::array<char, kLineBytes> buffer;
    const auto text = files_->read(PmFiles::kFirstDomain + domain, buffer, now_ns);
    return text ? parse_pm_value(*text) : std::nullopt;
  }

  // Another `startup`, or a freshness that falls: the controller began to count anew.
  void notice_restart(uint64_t freshness, std::optional<uint64_t> startup) noexcept {
    const bool restarted = (startup && startup_ && *startup != *startup_) || (freshness_ && freshness < *freshness_);
    // One that cannot be read just now says so with its next good reading.
    if (restarted)
      for (Counter& counter : counters_) counter.restarted = true;
    freshness_ = freshness;
    if (startup) startup_ = startup;
  }

  Reading judge(Counter& counter, uint64_t freshness, int64_t now_ns) noexcept {
    if (!counter.value) return {};
    const bool stamped = counter.value->stamp_us.value_or(0) != 0;
    const uint64_t scan = stamped ? *counter.value->stamp_us : freshness;
    const uint64_t energy_uj = counter.value->joules * kMicrojoulesPerJoule;
    if (!counter.started || counter.restarted || scan != counter.scan) {
      const int64_t at_ns =
          stamped ? clock_.time_of(static_cast<int64_t>(scan * kNsPerUs), counter.checked_ns, now_ns) : now_ns;
      const auto status = counter.started && counter.restarted ? Reading::Status::kRestarted : Reading::Status::kGood;
      counter.last = {status, energy_uj, at_ns};
      counter.started = true;
      counter.restarted = false;
      counter.scan = scan;
      counter.moved_ns = now_ns;
    } else if (now_ns - counter.moved_ns > kFrozenNs) {
      // No longer a value that is old: one that stands still, so that the accumulator takes its coverage away. Where
      // only the stamp stands, the counter goes on.
      counter.last = {Reading::Status::kGood, energy_uj, now_ns};
    }
    counter.checked_ns = now_ns;
    return counter.last;
  }

  const std::vector<DomainInfo> domains_;
  const std::unique_ptr<PmFiles> files_;
  std::vector<Counter> counters_;
  std::optional<uint64_t> freshness_;
  std::optional<uint64_t> startup_;
  ScanClock clock_;
};

// The files themselves, kept open.
class PmFolder final : public PmFiles {
 public:
  explicit PmFolder(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) entries_.push_back({path, {}, std::numeric_limits<int64_t>::min()});
  }

  std::optional<std::string_view> read(size_t file, std::span<char> buffer, int64_t now_ns) noexcept override {
    Entry& entry = entries_[file];
    if (!entry.file.is_open()) {
      if (now_ns < entry.reopen_at_ns) return std::nullopt;
      entry.reopen_at_ns = now_ns + kReopenNs;
      entry.file = File::open(entry.path.c_str());
      if (!entry.file.is_open()) return std::nullopt;
    }
    const auto text = entry.file.read(buffer);
    // After a driver's reload the old descriptor fails for ever.
    if (!text || text->empty()) entry.file.close();
    return text;
  }

 private:
  struct Entry {
    std::string path;
    File file;
    int64_t reopen_at_ns;
  };
  std::vector<Entry> entries_;
};

struct Candidate {
  std::string file;
  std::string name;
  DomainKind kind;
};

std::vector<Candidate> candidates() {
  std::vector<Candidate> all = {{"energy", "node", DomainKind::kNode},
                                {"cpu_energy", "package", DomainKind::kPackage},
                                {"memory_energy", "dram", DomainKind::kDram}};
  for (size_t i = 0; i < kMaxAccelerators; i++) {
    const std::string accelerator = "accel" + std::to_string(i);
    all.push_back({accelerator + "_energy", "gpu-" + accelerator, DomainKind::kGpu});
  }
  return all;
}

// A blade that says nothing for longer may have been started anew.
constexpr int64_t kMaxGapNs = 60 * kNsPerSecond;

// All sockets, all memory, one accelerator module, and the whole node, with room for years to come.
CounterLimits limits_of(DomainKind kind) {
  switch (kind) {
    case DomainKind::kNode:
      return {0, 20'000, kUpdateNs, kFrozenNs, kMaxGapNs};
    case DomainKind::kPackage:
      return {0, 4'000, kUpdateNs, kFrozenNs, kMaxGapNs};
    case DomainKind::kDram:
      return {0, 1'000, kUpdateNs, kIdleFrozenNs, kMaxGapNs};
    default:
      return {0, 4'000, kUpdateNs, kIdleFrozenNs, kMaxGapNs};
  }
}

MeterProbe::Outcome why_not_open() {
  using Outcome = MeterProbe::Outcome;
  if (errno == EACCES || errno == EPERM) return Outcome::kForbidden;
  return errno == ENOENT || errno == ENOTDIR ? Outcome::kAbsent : Outcome::kUnreadable;
}

}  // namespace

std::optional<PmValue> parse_pm_value(std::string_view text) noexcept {
  PmValue value;
  const auto joules = take_number(text);
  if (!joules || *joules > std::numeric_limits<uint64_t>::max() / kMicrojoulesPerJoule || !take(text, " J"))
    return std::nullopt;
  value.joules = *joules;
  if (take(text, " ")) {
    value.stamp_us = take_number(text);
    if (!value.stamp_us || *value.stamp_us > std::numeric_limits<int64_t>::max() / kNsPerUs || !take(text, " us"))
      return std::nullopt;
  }
  if (!text.empty() && text != "\n") return std::nullopt;
  return value;
}

std::unique_ptr<Meter> pm_counters_meter(std::vector<DomainInfo> domains, std::unique_ptr<PmFiles> files) {
  return std::make_unique<PmCounters>(std::move(domains), std::move(files));
}

MeterProbe make_pm_counters(const MeterContext& context) {
  using Outcome = MeterProbe::Outcome;
  const std::string root = context.sysfs + "/cray/pm_counters";
  std::vector<std::string> paths = {root + "/freshness", root + "/startup"};
  std::array<char, kLineBytes> buffer;

  const File freshness = File::open(paths.front().c_str());
  if (!freshness.is_open()) {
    const Outcome outcome = why_not_open();
    return {outcome, outcome == Outcome::kAbsent ? root : paths.front(), nullptr, {}};
  }
  const auto count = freshness.read(buffer);
  if (!count || !parse_number(*count)) return {Outcome::kUnreadable, paths.front(), nullptr, {}};

  std::vector<DomainInfo> domains;
  MeterProbe worst{Outcome::kAbsent, root, nullptr, {}};
  bool readable = false;
  for (const Candidate& candidate : candidates()) {
    const std::string path = root + "/" + candidate.file;
    const File file = File::open(path.c_str());
    if (!file.is_open()) {
      const Outcome outcome = why_not_open();
      if (outcome == Outcome::kAbsent) continue;
      worst = {outcome, path, nullptr, {}};
    } else {
      const auto text = file.read(buffer);
      const auto value = text ? parse_pm_value(*text) : std::nullopt;
      // The place of an accelerator that the node has not.
      if (candidate.kind == DomainKind::kGpu && value && value->joules == 0) continue;
      if (!value && worst.outcome != Outcome::kForbidden) worst = {Outcome::kUnreadable, path, nullptr, {}};
      readable = readable || value;
    }
    // One that cannot be read just now stays: its missing coverage tells, and it may come back.
    if (!context.wants(candidate.name)) continue;
    domains.push_back({candidate.name, candidate.kind, Quality::kMeasured, limits_of(candidate.kind), {}});
    paths.push_back(path);
  }
  if (!readable) return worst;
  return {Outcome::kAvailable, root, pm_counters_meter(std::move(domains), std::make_unique<PmFolder>(paths)), {}};
}

}  // namespace wattle
