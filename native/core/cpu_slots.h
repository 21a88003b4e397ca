// CPU-time counters that are read in the same tick as the energy, so that both belong to one instant.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cpu_reading.h"
#include "core/file.h"

namespace wattle {

enum class CpuFormat : uint8_t {
  kCpuacctUsage,  // cgroup v1 cpuacct.usage: nanoseconds
  kCpuStat,       // cgroup v2 cpu.stat: `usage_usec N`
  kProcStat,      // the first line of /proc/stat
  kPushed,        // given by push()
};

// By the name that it has in TypeScript: `cpuacct.usage`, `cpu.stat`, `proc-stat`, `pushed`.
std::optional<CpuFormat> cpu_format(std::string_view name) noexcept;

// A fixed number of slots. One control thread watches and unwatches, one sampling thread reads; a slot's state says who
// may touch it, so neither ever waits for the other.
class CpuSlots {
 public:
  explicit CpuSlots(uint32_t capacity);

  // Control thread. The slot's index, or -1 when all are in use. The file may not exist yet.
  int32_t watch(CpuFormat format, std::string path);
  // Control thread. False for a slot that is not in use.
  bool unwatch(uint32_t slot);
  // Control thread. False for a slot that is not watched as kPushed, and for a time below zero.
  bool push(uint32_t slot, int64_t ns);
  // Control thread, only while nothing samples: frees what was unwatched.
  void reap();

  // Sampling thread. One reading per slot, up to the highest index ever used.
  std::span<const CpuReading> read(int64_t now_ns) noexcept;
  // Sampling thread. What the last read() gave, for a tick that does not read anew.
  std::span<const CpuReading> last() const noexcept { return {readings_.data(), high_water()}; }

  uint32_t capacity() const noexcept { return static_cast<uint32_t>(slots_.size()); }
  // Slots up to the highest index ever used.
  uint32_t high_water() const noexcept { return high_water_.load(std::memory_order_acquire); }

 private:
  enum class State : uint8_t {
    kFree,      // the control thread's
    kActive,    // the sampling thread's
    kRetiring,  // the sampling thread's, to be freed by it
  };
  struct Slot {
    std::atomic<State> state{State::kFree};
    CpuFormat format = CpuFormat::kPushed;
    std::string path;
    File file;
    CpuReading last;
    int64_t watched_at_ns = 0;
    int64_t retry_at_ns = 0;
    std::atomic<int64_t> pushed_ns{-1};
  };

  CpuReading read(Slot& slot, int64_t now_ns) noexcept;
  static void free(Slot& slot) noexcept;

  std::vector<Slot> slots_;
  std::vector<CpuReading> readings_;
  std::atomic<uint32_t> high_water_{0};
};

}  // namespace wattle
