// The ways into the machine that are no plain files under a root: what tests replace by emulated hardware.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace wattle {

// What one descriptor of a perf group counts.
struct PerfEvent {
  uint32_t type = 0;    // the PMU's number, <sysfs>/bus/event_source/devices/power/type
  uint64_t config = 0;  // the event's number
};

// A request to the management controller, and its answer: the completion code comes first in the answer.
struct IpmiRequest {
  uint8_t net_fn = 0;
  uint8_t command = 0;
  std::span<const uint8_t> data;
};

// Every call returns 0 or more on success, or an error number below 0. None throws; those that read do not allocate.
class Hardware {
 public:
  virtual ~Hardware() = default;

  // A counter of all that happens on one CPU. `group`: descriptor of the group's first event, or -1 for the first.
  virtual int open_perf(const PerfEvent& event, int cpu, int group) noexcept = 0;
  // PERF_FORMAT_GROUP: the number of counters, then each counter's value. Bytes read.
  virtual int64_t read_perf(int descriptor, std::span<uint64_t> words) noexcept = 0;

  // Model-specific registers of one CPU.
  virtual int open_msr(int cpu) noexcept = 0;
  virtual int read_msr(int descriptor, uint32_t address, uint64_t& value) noexcept = 0;

  virtual int open_ipmi(const std::string& device) noexcept = 0;
  // Sends, and waits for the answer for at most `timeout_ms`. Bytes of the answer.
  virtual int64_t ask_ipmi(int descriptor, const IpmiRequest& request, std::span<uint8_t> answer,
                           int timeout_ms) noexcept = 0;

  virtual void close(int descriptor) noexcept = 0;
};

// The machine that this program runs on. Defined in real_hardware.cc; the test build links emulated hardware instead.
Hardware& machine() noexcept;

}  // namespace wattle
