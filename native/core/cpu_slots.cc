#include "core/cpu_slots.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "core/clock.h"
#include "core/text.h"

namespace wattle {
namespace {

// A job's group appears within a moment of its announcement, and a short job is over soon after: a young slot looks
// often, an old one seldom, so that a group that never comes costs one open per second.
constexpr int64_t kEagerForNs = 3 * kNsPerSecond;
constexpr int64_t kEagerRetryNs = kNsPerSecond / 20;
constexpr int64_t kRetryNs = kNsPerSecond;

// Enough for a line of /proc/stat and for cpu.stat's first line, `usage_usec`.
constexpr size_t kTextBytes = 512;

// USER_HZ, the unit of /proc/stat.
const int64_t kTicksPerSecond = sysconf(_SC_CLK_TCK);

std::optional<int64_t> parse(CpuFormat format, std::string_view text) noexcept {
  switch (format) {
    case CpuFormat::kCpuacctUsage: {
      const auto ns = parse_number(text);
      if (!ns || *ns > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
      return static_cast<int64_t>(*ns);
    }
    case CpuFormat::kCpuStat:
      return parse_cpu_stat_ns(text);
    case CpuFormat::kProcStat:
      return parse_proc_stat_ns(text, kTicksPerSecond);
    case CpuFormat::kPushed:
      break;
  }
  return std::nullopt;
}

}  // namespace

std::optional<CpuFormat> cpu_format(std::string_view name) noexcept {
  if (name == "cpuacct.usage") return CpuFormat::kCpuacctUsage;
  if (name == "cpu.stat") return CpuFormat::kCpuStat;
  if (name == "proc-stat") return CpuFormat::kProcStat;
  if (name == "pushed") return CpuFormat::kPushed;
  return std::nullopt;
}

CpuSlots::CpuSlots(uint32_t capacity) : slots_(capacity), readings_(capacity) {}

void CpuSlots::free(Slot& slot) noexcept {
  slot.file.close();
  slot.state.store(State::kFree, std::memory_order_release);
}

int32_t CpuSlots::watch(CpuFormat format, std::string path) {
  for (uint32_t index = 0; index < capacity(); index++) {
    Slot& slot = slots_[index];
    if (slot.state.load(std::memory_order_acquire) != State::kFree) continue;
    slot.format = format;
    slot.path = std::move(path);
    slot.watched_at_ns = monotonic_ns();
    slot.retry_at_ns = 0;
    slot.last = {};
    slot.pushed_ns.store(-1, std::memory_order_relaxed);
    slot.state.store(State::kActive, std::memory_order_release);
    if (index >= high_water()) high_water_.store(index + 1, std::memory_order_release);
    return static_cast<int32_t>(index);
  }
  return -1;
}

bool CpuSlots::unwatch(uint32_t slot) {
  if (slot >= capacity() || slots_[slot].state.load(std::memory_order_acquire) != State::kActive) return false;
  slots_[slot].state.store(State::kRetiring, std::memory_order_release);
  return true;
}

bool CpuSlots::push(uint32_t slot, int64_t ns) {
  if (slot >= capacity() || ns < 0) return false;
  Slot& target = slots_[slot];
  if (target.state.load(std::memory_order_acquire) != State::kActive || target.format != CpuFormat::kPushed)
    return false;
  target.pushed_ns.store(ns, std::memory_order_relaxed);
  return true;
}

void CpuSlots::reap() {
  for (Slot& slot : slots_) {
    if (slot.state.load(std::memory_order_acquire) == State::kRetiring) free(slot);
  }
}

std::span<const CpuReading> CpuSlots::read(int64_t now_ns) noexcept {
  const uint32_t used = high_water();
  for (uint32_t index = 0; index < used; index++) {
    Slot& slot = slots_[index];
    const State state = slot.state.load(std::memory_order_acquire);
    if (state == State::kRetiring) free(slot);
    readings_[index] = state == State::kActive ? read(slot, now_ns) : CpuReading{};
  }
  return std::span<const CpuReading>(readings_).first(used);
}

CpuReading CpuSlots::read(Slot& slot, int64_t now_ns) noexcept {
  using Status = CpuReading::Status;
  if (slot.format == CpuFormat::kPushed) {
    const int64_t ns = slot.pushed_ns.load(std::memory_order_relaxed);
    return ns < 0 ? CpuReading{Status::kMissing, 0} : CpuReading{Status::kGood, ns};
  }
  if (!slot.file.is_open()) {
    if (now_ns < slot.retry_at_ns) return slot.last;
    slot.file = File::open(slot.path.c_str());
    if (!slot.file.is_open()) {
      const bool absent = errno == ENOENT || errno == ENOTDIR;
      slot.retry_at_ns = now_ns + (now_ns - slot.watched_at_ns < kEagerForNs ? kEagerRetryNs : kRetryNs);
      return slot.last = CpuReading{absent ? Status::kAbsent : Status::kMissing, 0};
    }
  }
  std::array<char, kTextBytes> buffer;
  const auto text = slot.file.read(buffer);
  const auto ns = text ? parse(slot.format, *text) : std::nullopt;
  if (ns) return slot.last = CpuReading{Status::kGood, *ns};
  // A removed control group answers ENODEV for ever; its path may come back as another group.
  slot.file.close();
  slot.retry_at_ns = now_ns;
  return slot.last = CpuReading{Status::kMissing, 0};
}

}  // namespace wattle
