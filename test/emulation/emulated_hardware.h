// Perf events, registers and management controllers whose every value follows from known waveforms. Linked instead of
// native/core/real_hardware.cc.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/hardware.h"
#include "emulation/waveform.h"

namespace wattle::emulation {

// What may go wrong. Names are `<interface>/<domain>`, an interface alone means all that it has.
enum class Fault : uint8_t {
  kNone,
  kFailedRead,  // an I/O error
  kShort,       // perf: fewer bytes than the group needs
  kEof,         // perf: nothing, as from an event whose CPU has gone
  kFrozen,      // the counter, or the controller's value, stands still
  kReset,       // the counter begins again from 0, once
  kRefuse,      // opening is forbidden; a controller answers with an error code
  kTimeout,     // a controller does not answer in time
  kHang,        // a driver that returns after 2 s, whatever time it was given
  kGarbage,     // bytes that mean nothing
};

// A counter of hardware units, 2^-exponent J each, that its hardware updates every millisecond.
struct CounterSpec {
  std::string name;
  std::string domain;
  // The CPUs that it can be read from.
  std::set<int> cpus;
  uint32_t exponent = 14;
  // Units from the first value to the wrap; 0: begins at 0.
  uint64_t units_to_wrap = 0;
};

struct EventSpec {
  uint32_t type = 0;
  uint64_t config = 0;
  CounterSpec counter;
};

struct RegisterSpec {
  uint32_t address = 0;
  CounterSpec counter;
};

struct ConstantSpec {
  uint32_t address = 0;
  std::set<int> cpus;
  uint64_t value = 0;
};

struct ControllerSpec {
  std::string name;
  std::string domain;
  std::string device;
};

// One emulated node's share of the machine.
struct NodeSpec {
  // CLOCK_MONOTONIC at which every waveform begins.
  int64_t start_ns = 0;
  std::map<std::string, Waveform> waveforms;
  std::vector<EventSpec> events;
  std::vector<RegisterSpec> registers;
  std::vector<ConstantSpec> constants;
  std::vector<ControllerSpec> controllers;
};

class EmulatedHardware final : public Hardware {
 public:
  // Several nodes may share the machine: they differ by CPU numbers, event types and devices.
  void add(const NodeSpec& node);
  // Forgets every node; what is open fails from now on.
  void clear();
  // False where nothing has that name.
  bool fault(const std::string& name, Fault fault);
  // A CPU that is not there: no new descriptor, and no answer through an old one.
  void unplug(int cpu, bool away);

  int open_perf(const PerfEvent& event, int cpu, int group) noexcept override;
  int64_t read_perf(int descriptor, std::span<uint64_t> words) noexcept override;
  int open_msr(int cpu) noexcept override;
  int read_msr(int descriptor, uint32_t address, uint64_t& value) noexcept override;
  int open_ipmi(const std::string& device) noexcept override;
  int64_t ask_ipmi(int descriptor, const IpmiRequest& request, std::span<uint8_t> answer,
                   int timeout_ms) noexcept override;
  void close(int descriptor) noexcept override;

 private:
  struct Domain {
    int64_t start_ns = 0;
    Integral integral;
  };
  struct Counter {
    CounterSpec spec;
    Domain* domain = nullptr;
    Fault fault = Fault::kNone;
    uint64_t frozen_units = 0;
    uint64_t initial_units = 0;
    // What had been used at the last reset.
    uint64_t base_units = 0;
    uint32_t resets = 0;
  };
  struct Event {
    uint32_t type;
    uint64_t config;
    Counter counter;
  };
  struct Register {
    uint32_t address;
    Counter counter;
  };
  struct Controller {
    ControllerSpec spec;
    Domain* domain = nullptr;
    Fault fault = Fault::kNone;
    int64_t frozen_ns = 0;
  };
  // An event as one descriptor counts it: from where it was opened.
  struct Counting {
    Event* event;
    uint64_t opened_at_units;
    uint32_t resets;
  };
  struct Open {
    enum class Kind : uint8_t { kPerf, kMsr, kIpmi };
    Kind kind = Kind::kPerf;
    int cpu = -1;
    Controller* controller = nullptr;
    // Of a group's first event: the whole group.
    std::vector<Counting> group{};
  };

  int keep(Open open);
  Open* find(int descriptor, Open::Kind kind);
  bool online(int cpu) const { return away_.count(cpu) == 0; }
  bool any_online(const std::set<int>& cpus) const;
  Counter make(const CounterSpec& spec, uint64_t modulus_units);
  void inject(Counter& counter, Fault fault);
  uint64_t used_units(const Counter& counter);
  uint64_t count(const Counting& counting);
  uint16_t mean_watts(Domain& domain, int64_t at_ns);
  template <typename Visit>
  void visit_counters(Visit visit);

  // The sampling thread, the meters' threads and the test's own share it.
  std::mutex mutex_;
  std::map<std::string, Domain> domains_;
  std::deque<Event> events_;
  std::deque<Register> registers_;
  std::vector<ConstantSpec> constants_;
  std::deque<Controller> controllers_;
  std::set<int> cpus_;
  std::set<int> away_;
  std::map<int, Open> open_;
  int last_descriptor_ = 1'000'000;
};

EmulatedHardware& emulated() noexcept;

}  // namespace wattle::emulation
