// Cray's pm_counters, without the folder they lie in, so that tests can tear, freeze and restart them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/meter.h"

namespace wattle {

// One line of an energy file: `921658274 J 1784929200361701 us`; older blades leave the stamp out.
struct PmValue {
  uint64_t joules = 0;
  // Time of the scan on the blade controller's wall clock, microseconds since 1970.
  std::optional<uint64_t> stamp_us;
};

// Nothing unless the line is exactly that, and both numbers fit the units they are used in.
std::optional<PmValue> parse_pm_value(std::string_view text) noexcept;

// Turns the stamps of a wall clock that is not ours into CLOCK_MONOTONIC. A stamp is never of the future, so the
// smallest difference seen between the time of a read and the stamp it showed is the best guess at how far the clocks
// are apart. Whatever that clock does, a scan lies after the last read that did not show it, and not after the first
// read that did.
class ScanClock {
 public:
  void reset() noexcept { started_ = false; }

  // When the scan stamped `stamp_ns` was, which the read at `read_ns` was the first to show. `since_ns`: the read
  // before.
  int64_t time_of(int64_t stamp_ns, int64_t since_ns, int64_t read_ns) noexcept {
    const int64_t apart_ns = read_ns - stamp_ns;
    // Two clocks drift apart: an old minimum becomes worthless.
    const int64_t drift_ns = started_ ? std::max<int64_t>(read_ns - last_ns_, 0) / kDriftParts : 0;
    apart_ns_ = started_ ? std::min(apart_ns_ + drift_ns, apart_ns) : apart_ns;
    started_ = true;
    last_ns_ = read_ns;
    const int64_t at_ns = stamp_ns + apart_ns_;
    if (at_ns > since_ns && at_ns >= read_ns - kOldestNs) return at_ns;
    // The other clock was set back.
    apart_ns_ = apart_ns;
    return read_ns;
  }

 private:
  // 100 ppm, more than any two clocks of one cluster.
  static constexpr int64_t kDriftParts = 10'000;
  // No scan is older than this when a read first shows it: ten times the blade's period.
  static constexpr int64_t kOldestNs = kNsPerSecond;

  bool started_ = false;
  int64_t apart_ns_ = 0;
  int64_t last_ns_ = 0;
};

// Where the files are read from.
class PmFiles {
 public:
  static constexpr size_t kFreshness = 0;
  static constexpr size_t kStartup = 1;
  static constexpr size_t kFirstDomain = 2;

  virtual ~PmFiles() = default;
  // The beginning of a file, as much as fits; nothing where it cannot be read.
  virtual std::optional<std::string_view> read(size_t file, std::span<char> buffer, int64_t now_ns) noexcept = 0;
};

// Domain i is read from file kFirstDomain + i.
std::unique_ptr<Meter> pm_counters_meter(std::vector<DomainInfo> domains, std::unique_ptr<PmFiles> files);

}  // namespace wattle
