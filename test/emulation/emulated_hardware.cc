#include "emulation/emulated_hardware.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "core/clock.h"

namespace wattle::emulation {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr uint64_t kMicrojoulesPerJoule = 1'000'000;
constexpr uint64_t kRegisterUnits = uint64_t{1} << 32;
// The kernel shows perf counts in 2^-32 J, whatever the hardware counts in.
constexpr uint32_t kPerfExponent = 32;
constexpr uint64_t kPoison = 0x5A5A'5A5A'5A5A'5A5A;
constexpr int64_t kHangNs = 2 * kNsPerSecond;

constexpr uint8_t kGroupExtension = 0x2C;
constexpr uint8_t kGetPowerReading = 0x02;
constexpr uint8_t kDcmi = 0xDC;
constexpr uint8_t kInvalidCommand = 0xC1;
constexpr uint8_t kMeasuring = 0x40;

void sleep_ns(int64_t ns) {
  const timespec span{ns / kNsPerSecond, ns % kNsPerSecond};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &span, nullptr);
}

// `<interface>/<domain>`, or an interface alone.
bool names(const std::string& wanted, const std::string& name) {
  return name == wanted || name.substr(0, name.find('/')) == wanted;
}

void put(std::span<uint8_t> bytes, size_t at, uint32_t value, size_t width) {
  for (size_t i = 0; i < width; i++) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

}  // namespace

template <typename Visit>
void EmulatedHardware::visit_counters(Visit visit) {
  for (Event& event : events_) visit(event.counter);
  for (Register& one : registers_) visit(one.counter);
}

EmulatedHardware::Counter EmulatedHardware::make(const CounterSpec& spec, uint64_t modulus_units) {
  cpus_.insert(spec.cpus.begin(), spec.cpus.end());
  Counter counter;
  counter.spec = spec;
  counter.domain = &domains_.at(spec.domain);
  counter.initial_units = spec.units_to_wrap == 0 ? 0 : modulus_units - spec.units_to_wrap;
  return counter;
}

void EmulatedHardware::add(const NodeSpec& node) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, waveform] : node.waveforms)
    domains_.insert_or_assign(name, Domain{node.start_ns, Integral(waveform)});
  for (const EventSpec& spec : node.events) {
    // 2^64 counts of 2^-32 J, in the hardware's units.
    const uint64_t modulus_units = kRegisterUnits << spec.counter.exponent;
    events_.push_back({spec.type, spec.config, make(spec.counter, modulus_units)});
  }
  for (const RegisterSpec& spec : node.registers)
    registers_.push_back({spec.address, make(spec.counter, kRegisterUnits)});
  constants_.insert(constants_.end(), node.constants.begin(), node.constants.end());
  for (const ControllerSpec& spec : node.controllers)
    controllers_.push_back({spec, &domains_.at(spec.domain), Fault::kNone, 0});
}

void EmulatedHardware::clear() {
  const std::lock_guard lock(mutex_);
  open_.clear();
  events_.clear();
  registers_.clear();
  constants_.clear();
  controllers_.clear();
  domains_.clear();
  cpus_.clear();
  away_.clear();
}

bool EmulatedHardware::fault(const std::string& name, Fault fault) {
  const std::lock_guard lock(mutex_);
  bool found = false;
  visit_counters([&](Counter& counter) {
    if (!names(name, counter.spec.name)) return;
    inject(counter, fault);
    found = true;
  });
  for (Controller& controller : controllers_) {
    if (!names(name, controller.spec.name)) continue;
    controller.fault = fault;
    controller.frozen_ns = monotonic_ns();
    found = true;
  }
  return found;
}

void EmulatedHardware::inject(Counter& counter, Fault fault) {
  counter.fault = Fault::kNone;
  const uint64_t used = used_units(counter);
  if (fault == Fault::kReset) {
    counter.base_units = used;
    counter.initial_units = 0;
    counter.resets++;
    return;
  }
  counter.fault = fault;
  counter.frozen_units = used;
}

void EmulatedHardware::unplug(int cpu, bool away) {
  const std::lock_guard lock(mutex_);
  if (away)
    away_.insert(cpu);
  else
    away_.erase(cpu);
}

bool EmulatedHardware::any_online(const std::set<int>& cpus) const {
  return std::any_of(cpus.begin(), cpus.end(), [this](int cpu) { return online(cpu); });
}

// What the hardware has used, in the counter's units, as far as the counter tells: up to its last update.
uint64_t EmulatedHardware::used_units(const Counter& counter) {
  if (counter.fault == Fault::kFrozen) return counter.frozen_units;
  const int64_t elapsed_ns = monotonic_ns() - counter.domain->start_ns;
  const uint64_t used_uj = counter.domain->integral.energy_uj(elapsed_ns / kNsPerMs * kNsPerMs);
  return static_cast<uint64_t>((static_cast<unsigned __int128>(used_uj) << counter.spec.exponent) /
                               kMicrojoulesPerJoule);
}

uint64_t EmulatedHardware::count(const Counting& counting) {
  const Counter& counter = counting.event->counter;
  const bool reset_since = counter.resets != counting.resets;
  const uint64_t from = reset_since ? counter.base_units : counting.opened_at_units;
  return (counter.initial_units + used_units(counter) - from) << (kPerfExponent - counter.spec.exponent);
}

int EmulatedHardware::keep(Open open) {
  const int descriptor = ++last_descriptor_;
  open_.emplace(descriptor, std::move(open));
  return descriptor;
}

EmulatedHardware::Open* EmulatedHardware::find(int descriptor, Open::Kind kind) {
  const auto found = open_.find(descriptor);
  return found == open_.end() || found->second.kind != kind ? nullptr : &found->second;
}

int EmulatedHardware::open_perf(const PerfEvent& wanted, int cpu, int group) noexcept {
  const std::lock_guard lock(mutex_);
  if (!online(cpu)) return -ENODEV;
  const auto event = std::find_if(events_.begin(), events_.end(), [&](const Event& one) {
    return one.type == wanted.type && one.config == wanted.config && one.counter.spec.cpus.count(cpu) != 0;
  });
  if (event == events_.end()) return -ENOENT;
  if (event->counter.fault == Fault::kRefuse) return -EACCES;
  const Counting counting{&*event, used_units(event->counter), event->counter.resets};
  if (group == -1) return keep({Open::Kind::kPerf, cpu, nullptr, {counting}});

  Open* leader = find(group, Open::Kind::kPerf);
  if (leader == nullptr) return -EBADF;
  const bool groupable =
      !leader->group.empty() && leader->cpu == cpu && leader->group.front().event->type == wanted.type;
  if (!groupable) return -EINVAL;
  leader->group.push_back(counting);
  return keep({Open::Kind::kPerf, cpu, nullptr, {}});
}

int64_t EmulatedHardware::read_perf(int descriptor, std::span<uint64_t> words) noexcept {
  const std::lock_guard lock(mutex_);
  const Open* open = find(descriptor, Open::Kind::kPerf);
  if (open == nullptr || open->group.empty()) return -EBADF;
  if (words.size() < open->group.size() + 1) return -ENOSPC;
  // What is not written may be anything.
  std::fill(words.begin(), words.end(), kPoison);
  size_t filled = 0;
  words[filled++] = open->group.size();
  for (const Counting& counting : open->group) {
    const Counter& counter = counting.event->counter;
    if (counter.fault == Fault::kFailedRead) return -EIO;
    // The kernel moves an event to another CPU of its package, as long as there is one.
    if (counter.fault == Fault::kEof || !any_online(counter.spec.cpus)) return 0;
    if (counter.fault == Fault::kShort) return static_cast<int64_t>(filled * sizeof(uint64_t));
    if (counter.fault == Fault::kGarbage) words[0] = UINT32_MAX;
    words[filled++] = count(counting);
  }
  return static_cast<int64_t>(filled * sizeof(uint64_t));
}

int EmulatedHardware::open_msr(int cpu) noexcept {
  const std::lock_guard lock(mutex_);
  if (cpus_.count(cpu) == 0 || !online(cpu)) return -ENXIO;
  for (const Register& one : registers_)
    if (one.counter.fault == Fault::kRefuse && one.counter.spec.cpus.count(cpu) != 0) return -EPERM;
  return keep({Open::Kind::kMsr, cpu, nullptr, {}});
}

int EmulatedHardware::read_msr(int descriptor, uint32_t address, uint64_t& value) noexcept {
  const std::lock_guard lock(mutex_);
  const Open* open = find(descriptor, Open::Kind::kMsr);
  if (open == nullptr) return -EBADF;
  if (!online(open->cpu)) return -EIO;
  for (const ConstantSpec& one : constants_) {
    if (one.address != address || one.cpus.count(open->cpu) == 0) continue;
    value = one.value;
    return 0;
  }
  for (const Register& one : registers_) {
    if (one.address != address || one.counter.spec.cpus.count(open->cpu) == 0) continue;
    if (one.counter.fault == Fault::kFailedRead) return -EIO;
    value = (one.counter.initial_units + used_units(one.counter) - one.counter.base_units) % kRegisterUnits;
    return 0;
  }
  // The processor has no such register.
  return -EIO;
}

int EmulatedHardware::open_ipmi(const std::string& device) noexcept {
  const std::lock_guard lock(mutex_);
  for (Controller& controller : controllers_) {
    if (controller.spec.device != device) continue;
    return keep({Open::Kind::kIpmi, -1, &controller, {}});
  }
  return -ENOENT;
}

// Of the last whole second of the controller's own clock, which it measures once per second.
uint16_t EmulatedHardware::mean_watts(Domain& domain, int64_t at_ns) {
  const int64_t elapsed_ns = std::max<int64_t>(at_ns - domain.start_ns, 1);
  const int64_t to_ns = elapsed_ns < kNsPerSecond ? elapsed_ns : elapsed_ns / kNsPerSecond * kNsPerSecond;
  const int64_t from_ns = std::max<int64_t>(to_ns - kNsPerSecond, 0);
  const uint64_t used_uj = domain.integral.energy_uj(to_ns) - domain.integral.energy_uj(from_ns);
  return static_cast<uint16_t>(std::lround(static_cast<double>(used_uj) * 1e3 / static_cast<double>(to_ns - from_ns)));
}

int64_t EmulatedHardware::ask_ipmi(int descriptor, const IpmiRequest& request, std::span<uint8_t> answer,
                                   int timeout_ms) noexcept {
  std::unique_lock lock(mutex_);
  Open* open = find(descriptor, Open::Kind::kIpmi);
  if (open == nullptr) return -EBADF;
  Controller& controller = *open->controller;
  std::array<uint8_t, 19> reply{};
  const auto send = [&](size_t length) {
    std::copy_n(reply.begin(), std::min(length, answer.size()), answer.begin());
    return static_cast<int64_t>(length);
  };
  switch (controller.fault) {
    case Fault::kTimeout:
    case Fault::kHang: {
      const int64_t wait_ns = controller.fault == Fault::kHang ? kHangNs : timeout_ms * kNsPerMs;
      lock.unlock();
      sleep_ns(wait_ns);
      return -ETIMEDOUT;
    }
    case Fault::kFailedRead:
      return -EIO;
    case Fault::kRefuse:
      reply[0] = kInvalidCommand;
      return send(1);
    case Fault::kGarbage:
      for (size_t i = 0; i < reply.size(); i++) reply[i] = static_cast<uint8_t>(i * 0x9D + 0x37);
      return send(reply.size());
    default:
      break;
  }
  const bool power_reading = request.net_fn == kGroupExtension && request.command == kGetPowerReading &&
                             request.data.size() == 4 && request.data[0] == kDcmi;
  if (!power_reading) {
    reply[0] = kInvalidCommand;
    return send(1);
  }
  const bool frozen = controller.fault == Fault::kFrozen;
  const int64_t at_ns = frozen ? controller.frozen_ns : monotonic_ns();
  const uint16_t watts = mean_watts(*controller.domain, at_ns);
  // Completion code 0; then DCMI's number, power now, least, most, mean, stamp, period, state.
  reply[1] = kDcmi;
  for (const size_t at : {2, 4, 6, 8}) put(reply, at, watts, 2);
  const int64_t to_wall_ns = realtime_ns() - monotonic_ns();
  put(reply, 10, static_cast<uint32_t>((at_ns + to_wall_ns) / kNsPerSecond), 4);
  put(reply, 14, 1000, 4);
  reply[18] = kMeasuring;
  return send(reply.size());
}

void EmulatedHardware::close(int descriptor) noexcept {
  const std::lock_guard lock(mutex_);
  open_.erase(descriptor);
}

EmulatedHardware& emulated() noexcept {
  // Never destroyed: a thread that was left behind in a question may outlive the program's statics.
  static EmulatedHardware* const hardware = new EmulatedHardware;
  return *hardware;
}

}  // namespace wattle::emulation

namespace wattle {

Hardware& machine() noexcept { return emulation::emulated(); }

}  // namespace wattle
