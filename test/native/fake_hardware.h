// Emulated hardware: perf events, registers and a management controller that do what a test tells them to.
#pragma once

#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "core/hardware.h"

namespace wattle::test {

class FakeHardware final : public Hardware {
 public:
  // --- perf events. What (type, config) has counted on a CPU since the machine was started; an opened event shows what
  // was added since. An event that is not here cannot be opened (EINVAL).
  std::map<std::tuple<uint32_t, uint64_t, int>, uint64_t> perf;
  // The error number that refuses an event, or 0.
  std::function<int(const PerfEvent& event, int cpu, int group)> refuse_perf;
  // What a read gives instead: bytes, or an error number below 0.
  std::function<std::optional<int64_t>(int descriptor, std::span<uint64_t> words)> read_perf_instead;
  int perf_reads = 0;
  int perf_opens = 0;

  // --- Registers by CPU and number: exact, so that neighbours do not overlap as in a plain file.
  std::map<std::pair<int, uint32_t>, uint64_t> registers;
  // The error number that refuses to open a CPU's registers, or 0.
  int msr_error = 0;
  int msr_reads = 0;

  // --- CPUs that are offline: their events end, their registers are gone.
  std::set<int> offline;

  // --- The management controller: bytes of the answer, or an error number below 0. Absent: there is no such device.
  std::function<int64_t(const IpmiRequest& request, std::span<uint8_t> answer, int timeout_ms)> bmc;
  int ipmi_error = 0;

  // Descriptors that are open now.
  size_t open_count() const { return open_.size(); }

  int open_perf(const PerfEvent& event, int cpu, int group) noexcept override {
    perf_opens++;
    const int refused = refuse_perf ? refuse_perf(event, cpu, group) : 0;
    if (refused != 0) return -refused;
    if (offline.contains(cpu)) return -ENODEV;
    const auto counter = perf.find({event.type, event.config, cpu});
    if (counter == perf.end()) return -EINVAL;
    return add({counter->first, group, counter->second, cpu});
  }

  int64_t read_perf(int descriptor, std::span<uint64_t> words) noexcept override {
    perf_reads++;
    if (!open_.contains(descriptor)) return -EBADF;
    if (read_perf_instead) {
      const auto instead = read_perf_instead(descriptor, words);
      if (instead) return *instead;
    }
    if (offline.contains(open_.at(descriptor).cpu)) return 0;
    size_t count = 0;
    for (const auto& [number, opened] : open_) {
      if (number != descriptor && opened.group != descriptor) continue;
      if (1 + count >= words.size()) return -ENOSPC;
      words[1 + count++] = perf.at(opened.counter) - opened.base;
    }
    words[0] = count;
    return static_cast<int64_t>((1 + count) * sizeof(uint64_t));
  }

  int open_msr(int cpu) noexcept override {
    if (msr_error != 0) return -msr_error;
    return offline.contains(cpu) ? -ENXIO : add({{}, -1, 0, cpu});
  }

  int read_msr(int descriptor, uint32_t address, uint64_t& value) noexcept override {
    msr_reads++;
    if (!open_.contains(descriptor)) return -EBADF;
    const int cpu = open_.at(descriptor).cpu;
    if (offline.contains(cpu)) return -ENXIO;
    const auto found = registers.find({cpu, address});
    if (found == registers.end()) return -EIO;
    value = found->second;
    return 0;
  }

  int open_ipmi(const std::string&) noexcept override {
    if (ipmi_error != 0) return -ipmi_error;
    return bmc ? add({{}, -1, 0, -1}) : -ENOENT;
  }

  int64_t ask_ipmi(int descriptor, const IpmiRequest& request, std::span<uint8_t> answer,
                   int timeout_ms) noexcept override {
    if (!open_.contains(descriptor)) return -EBADF;
    return bmc(request, answer, timeout_ms);
  }

  void close(int descriptor) noexcept override { open_.erase(descriptor); }

 private:
  struct Opened {
    std::tuple<uint32_t, uint64_t, int> counter;
    int group = -1;
    uint64_t base = 0;
    int cpu = -1;
  };

  int add(Opened opened) {
    open_.emplace(next_, opened);
    return next_++;
  }

  // In the order they were opened: that of a group's values.
  std::map<int, Opened> open_;
  int next_ = 100;
};

}  // namespace wattle::test
