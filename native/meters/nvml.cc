// NVIDIA GPUs through the driver's management library: docs/meters/nvml.md.
#include "meters/nvml.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <mutex>
#include <utility>

#include "core/clock.h"
#include "core/power_integrator.h"
#include "meters/nvml_read.h"

namespace wattle {
namespace {

using nvml::Answer;
using nvml::Handle;
using Outcome = MeterProbe::Outcome;
using Status = Reading::Status;

constexpr int64_t kNsPerMs = kNsPerSecond / 1000;
// More GPUs than any node has: a bound on what a broken library can make us open.
constexpr uint32_t kMaxGpus = 64;
// No board draws more, unless its own limits say so.
constexpr double kMaxWatts = 2'000;

// A value that took longer to get has no time: it may be of before the wait or of after it.
constexpr int64_t kSlowestCallNs = 500 * kNsPerMs;
// The counter moves every 10 to 100 ms; and a value may be out of place by a slow call's length.
constexpr int64_t kUpdateNs = 100 * kNsPerMs + kSlowestCallNs;
// Even an idle GPU draws watts, so its counter of millijoules moves at every update. One that has been powered down
// altogether stands still.
constexpr int64_t kFrozenAfterNs = 2 * kNsPerSecond;
// The counter does not wrap, but in a long silence it may have begun anew and have overtaken its old value.
constexpr int64_t kMaxGapNs = 60 * kNsPerSecond;
// For how long a power reading may stand for what follows.
constexpr int64_t kMaxHoldNs = 3 * kNsPerSecond;

// The driver fetches the energy counter from the GPU while the caller's processor spins: 3 to 6 ms on an H200 with
// driver 580, where the power fields take microseconds. So counters are read as often as fits into this share of one
// processor, and at job events; where the call is cheap that is at every poll.
constexpr int64_t kCounterCostOneIn = 100;
constexpr int64_t kLongestCounterPauseNs = 10 * kNsPerSecond;
// Job events may read them ahead of that share by 100 ms of CPU time, which is this much of waiting.
constexpr int64_t kMostCounterDebtNs = kNsPerSecond / 10 * kCounterCostOneIn;

// How often a lost GPU is looked for, and a lost driver opened anew.
constexpr int64_t kRetryNs = 5 * kNsPerSecond;
constexpr int64_t kStatusNs = kNsPerSecond;
constexpr int64_t kInstancesNs = 10 * kNsPerSecond;

int64_t own_cpu_ns() noexcept { return read_clock_ns(CLOCK_THREAD_CPUTIME_ID); }

enum Quantity : size_t { kEnergy, kInstant, kAverage, kUsage, kQuantities };

// One quantity of one GPU just now: microjoules, or watts.
struct Measured {
  int code = nvml::kGpuIsLost;
  uint64_t energy_uj = 0;
  double watts = 0;
  int64_t at_ns = 0;
};

struct Gpu {
  std::string uuid;
  Handle handle = nullptr;
  bool lost = false;
  int64_t retry_at_ns = 0;
  // Its counter was not read since it came back.
  bool found_anew = false;
  // Which quantities its domains are made of.
  std::array<bool, kQuantities> used{};
  std::array<Measured, kQuantities> measured{};
  GpuStatus status;
  int64_t status_due_ns = 0;
  int64_t instances_due_ns = 0;
};

// What a domain is made of.
struct Channel {
  size_t gpu = 0;
  Quantity quantity = kEnergy;
  PowerIntegrator integral{kMaxHoldNs};
  // What passed since the last reading is unknown.
  bool restarted = true;
};

class Nvml final : public Meter {
 public:
  Nvml(std::unique_ptr<NvmlLibrary> library, const nvml::Api& api, NvmlClocks clocks, std::vector<Gpu> gpus,
       std::vector<DomainInfo> domains, std::vector<Channel> channels)
      : library_(std::move(library)),
        api_(api),
        clocks_(clocks),
        gpus_(std::move(gpus)),
        domains_(std::move(domains)),
        channels_(std::move(channels)) {
    for (const Gpu& gpu : gpus_) published_.push_back(gpu.status);
  }

  ~Nvml() override { close(); }

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }
  bool may_block() const noexcept override { return true; }
  bool wants_events() const noexcept override { return true; }

  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    if (!connected_) reconnect(tick.mono_ns);
    const bool with_counters = tick.mono_ns + (tick.forced ? kMostCounterDebtNs : 0) >= counters_due_ns_;
    int64_t counters_cost_ns = 0;
    for (Gpu& gpu : gpus_) {
      if (connected_ && gpu.lost) find(gpu, tick.mono_ns);
      if (connected_ && !gpu.lost && (with_counters || gpu.found_anew)) counters_cost_ns += read_counter(gpu);
      if (connected_ && !gpu.lost) measure(gpu);
    }
    if (with_counters)
      counters_due_ns_ = std::max(counters_due_ns_, tick.mono_ns) +
                         std::min(counters_cost_ns * kCounterCostOneIn, kLongestCounterPauseNs);
    for (size_t i = 0; i < channels_.size(); i++) out[i] = reading(channels_[i]);
    // After the energy, so that its time is not held up.
    for (size_t i = 0; i < gpus_.size(); i++) refresh(i, tick.mono_ns);
  }

  // NVML stays open: opening it takes seconds where the driver had put the GPUs to sleep.
  void reset() noexcept override {
    for (Channel& channel : channels_) restart(channel);
    counters_due_ns_ = 0;
    const int64_t now_ns = clocks_.monotonic();
    const auto count = static_cast<int64_t>(gpus_.size());
    // One after the other, so that no poll has to ask all of them.
    for (int64_t i = 0; i < count; i++) gpus_[static_cast<size_t>(i)].status_due_ns = now_ns + kStatusNs * i / count;
  }

  std::vector<GpuStatus> gpus() const override {
    const std::lock_guard lock(mutex_);
    return published_;
  }

 private:
  void close() noexcept {
    if (connected_) api_.shutdown();
    connected_ = false;
    library_->close();
  }

  // The driver was unloaded or exchanged: its library has to be loaded and opened anew, and every handle is void.
  void reconnect(int64_t now_ns) noexcept {
    if (now_ns < reconnect_at_ns_) return;
    reconnect_at_ns_ = now_ns + kRetryNs;
    library_->close();
    if (library_->open(api_) != NvmlLibrary::State::kOpen) return;
    connected_ = api_.init() == nvml::kSuccess;
    for (Gpu& gpu : gpus_) gpu.retry_at_ns = 0;
  }

  void disconnect() noexcept {
    if (connected_) api_.shutdown();
    connected_ = false;
    for (Gpu& gpu : gpus_) lose(gpu);
  }

  void find(Gpu& gpu, int64_t now_ns) noexcept {
    if (now_ns < gpu.retry_at_ns) return;
    gpu.retry_at_ns = now_ns + kRetryNs;
    gpu.lost = api_.handle_by_uuid(gpu.uuid.c_str(), &gpu.handle) != nvml::kSuccess;
    gpu.found_anew = !gpu.lost;
    gpu.instances_due_ns = 0;
  }

  void lose(Gpu& gpu) noexcept {
    gpu.measured = {};
    if (gpu.lost) return;
    gpu.lost = true;
    const auto index = static_cast<size_t>(&gpu - gpus_.data());
    for (Channel& channel : channels_)
      if (channel.gpu == index) restart(channel);
  }

  static void restart(Channel& channel) noexcept {
    channel.integral.reset();
    channel.restarted = true;
  }

  template <typename Answered>
  struct Timed {
    Answered answer;
    int64_t at_ns;  // the middle of the time that it took
    bool slow;
  };

  template <typename Ask>
  auto timed(Ask ask) noexcept {
    const int64_t before_ns = clocks_.monotonic();
    auto answer = ask();
    const int64_t took_ns = clocks_.monotonic() - before_ns;
    return Timed<decltype(answer)>{answer, before_ns + took_ns / 2, took_ns > kSlowestCallNs};
  }

  static int code_of(int code, bool slow) noexcept { return slow && code == nvml::kSuccess ? nvml::kTimeout : code; }

  static Measured measured(const Answer<double>& watts, int64_t at_ns, bool slow) noexcept {
    return {code_of(watts.code, slow), 0, watts.value, at_ns};
  }

  // Returns the CPU time that it took. Until the next time the reading stands, with the time it was taken at.
  int64_t read_counter(Gpu& gpu) noexcept {
    gpu.found_anew = false;
    if (!gpu.used[kEnergy]) return 0;
    const int64_t before_ns = clocks_.cpu_time();
    const auto [energy, at_ns, slow] = timed([&] { return nvml::energy_uj(api_, gpu.handle); });
    gpu.measured[kEnergy] = {code_of(energy.code, slow), energy.value, 0, at_ns};
    return clocks_.cpu_time() - before_ns;
  }

  void measure(Gpu& gpu) noexcept {
    if (gpu.used[kInstant] || gpu.used[kAverage]) {
      const auto [powers, at_ns, slow] = timed([&] { return nvml::powers(api_, gpu.handle); });
      gpu.measured[kInstant] = measured(powers.instant, at_ns, slow);
      gpu.measured[kAverage] = measured(powers.average, at_ns, slow);
    }
    if (gpu.used[kUsage]) {
      const auto [usage, at_ns, slow] = timed([&] { return nvml::usage_watts(api_, gpu.handle); });
      gpu.measured[kUsage] = measured(usage, at_ns, slow);
    }
    const auto any = [&](bool (*is)(int) noexcept) {
      for (size_t i = 0; i < kQuantities; i++)
        if (gpu.used[i] && is(gpu.measured[i].code)) return true;
      return false;
    };
    if (any(nvml::driver_gone)) return disconnect();
    if (any(nvml::gpu_gone)) lose(gpu);
  }

  Reading reading(Channel& channel) noexcept {
    const Measured& measured = gpus_[channel.gpu].measured[channel.quantity];
    if (measured.code != nvml::kSuccess) return {};
    if (channel.quantity != kEnergy) {
      const uint32_t most_watts = domains_[static_cast<size_t>(&channel - channels_.data())].limits.max_watts;
      return measured.watts > most_watts ? Reading{} : channel.integral.feed(measured.watts, measured.at_ns);
    }
    const bool restarted = std::exchange(channel.restarted, false);
    return {restarted ? Status::kRestarted : Status::kGood, measured.energy_uj, measured.at_ns};
  }

  void refresh(size_t index, int64_t now_ns) noexcept {
    Gpu& gpu = gpus_[index];
    GpuStatus& status = gpu.status;
    const bool changed = status.lost != gpu.lost;
    status.lost = gpu.lost;
    const bool due = !gpu.lost && now_ns >= gpu.status_due_ns;
    if (due) {
      gpu.status_due_ns += kStatusNs;
      if (gpu.status_due_ns <= now_ns) gpu.status_due_ns = now_ns + kStatusNs;
      read(gpu);
    }
    if (!due && !changed) return;
    const std::lock_guard lock(mutex_);
    published_[index] = status;
  }

  void read(Gpu& gpu) noexcept {
    GpuStatus& status = gpu.status;
    nvml::read_status(api_, gpu.handle, status);
    const int64_t now_ns = clocks_.monotonic();
    if (now_ns >= gpu.instances_due_ns) {
      gpu.instances_due_ns = now_ns + kInstancesNs;
      nvml::read_instances(api_, gpu.handle, status);
    }
    // The driver's figure is a mean over the time just gone, so it counts backwards.
    const int64_t elapsed_ns = now_ns - status.at_ns;
    if (status.at_ns != 0 && status.busy_ratio >= 0 && elapsed_ns > 0 && elapsed_ns <= kMaxHoldNs) {
      const double seconds = static_cast<double>(elapsed_ns) / kNsPerSecond;
      status.busy_seconds += status.busy_ratio * seconds;
      status.busy_known_seconds += seconds;
    }
    status.at_ns = now_ns;
  }

  const std::unique_ptr<NvmlLibrary> library_;
  nvml::Api api_;
  const NvmlClocks clocks_;
  bool connected_ = true;
  int64_t reconnect_at_ns_ = 0;
  int64_t counters_due_ns_ = 0;
  std::vector<Gpu> gpus_;
  std::vector<DomainInfo> domains_;
  // One for each domain.
  std::vector<Channel> channels_;

  mutable std::mutex mutex_;
  std::vector<GpuStatus> published_;
};

// What the maker gathers.
struct Found {
  std::vector<Gpu> gpus;
  std::vector<DomainInfo> domains;
  std::vector<Channel> channels;
  std::vector<std::string> notes;
  bool forbidden = false;
};

std::string domain_name(const std::string& uuid) {
  constexpr std::string_view prefix = "GPU-";
  return "gpu-" + (uuid.starts_with(prefix) ? uuid.substr(prefix.size()) : uuid);
}

CounterLimits limits_of(Quantity quantity, double limit_watts) {
  const auto max_watts = static_cast<uint32_t>(std::max(kMaxWatts, 2 * limit_watts));
  const bool counter = quantity == kEnergy;
  return {0, max_watts, kUpdateNs, counter ? kFrozenAfterNs : 0, counter ? kMaxGapNs : kMaxHoldNs};
}

std::string described(const Gpu& gpu) { return "GPU " + gpu.uuid + " (" + gpu.status.name + ")"; }

// Chooses what the GPU's domains are made of, and adds them.
void add_domains(const nvml::Api& api, const MeterContext& context, Gpu gpu, Found& found) {
  const auto powers = nvml::powers(api, gpu.handle);
  const bool counter = !nvml::unsupported(nvml::energy_uj(api, gpu.handle).code);
  const bool instant = !nvml::unsupported(powers.instant.code);
  const bool average = !nvml::unsupported(powers.average.code);
  const bool usage = !nvml::unsupported(nvml::usage_watts(api, gpu.handle).code);
  if (!counter && !instant && !usage && !average) {
    found.notes.push_back(described(gpu) + " tells neither energy nor power, so it is left out");
    return;
  }
  const Quantity mean = average ? kAverage : kUsage;
  const Quantity main = counter ? kEnergy : instant ? kInstant : usage ? kUsage : kAverage;
  if (!counter) found.notes.push_back(described(gpu) + " has no energy counter: its power is integrated instead");
  if (gpu.status.mig) {
    found.notes.push_back(described(gpu) +
                          " is split by MIG: its energy is metered as a whole, and the driver does not " +
                          "tell how busy each instance is");
  }

  const double limit_watts = nvml::max_limit_watts(api, gpu.handle);
  const std::string name = domain_name(gpu.uuid);
  const auto add = [&](const std::string& suffix, Quantity quantity) {
    if (!context.wants(name + suffix)) return;
    DomainInfo info;
    info.name = name + suffix;
    info.kind = DomainKind::kGpu;
    info.limits = limits_of(quantity, limit_watts);
    if (!suffix.empty()) info.witness_of = name;
    found.domains.push_back(std::move(info));
    found.channels.push_back({.gpu = found.gpus.size(), .quantity = quantity});
    gpu.used[quantity] = true;
  };
  add("", main);
  if (instant && main != kInstant) add("/instant", kInstant);
  if ((average || usage) && main != mean) add("/average", mean);
  found.gpus.push_back(std::move(gpu));
}

void add_gpu(const nvml::Api& api, const MeterContext& context, uint32_t index, int64_t now_ns, Found& found) {
  Gpu gpu;
  int code = api.handle_by_index(index, &gpu.handle);
  if (code == nvml::kSuccess) {
    Answer<std::string> uuid = nvml::uuid(api, gpu.handle);
    code = uuid.code;
    gpu.uuid = std::move(uuid.value);
  }
  const bool known =
      std::any_of(found.gpus.begin(), found.gpus.end(), [&](const Gpu& other) { return other.uuid == gpu.uuid; });
  if (code == nvml::kNoPermission) found.forbidden = true;
  if (code != nvml::kSuccess || known) {
    found.notes.push_back("GPU number " + std::to_string(index) + " of the driver is left out: " +
                          (known ? "its UUID is not its own" : "NVML error " + std::to_string(code)));
    return;
  }
  gpu.status.uuid = gpu.uuid;
  gpu.status.name = nvml::name(api, gpu.handle);
  gpu.status.bus_id = nvml::bus_id(api, gpu.handle);
  nvml::read_status(api, gpu.handle, gpu.status);
  nvml::read_instances(api, gpu.handle, gpu.status);
  gpu.status.at_ns = now_ns;
  gpu.instances_due_ns = gpu.status.at_ns + kInstancesNs;
  add_domains(api, context, std::move(gpu), found);
}

MeterProbe refused(Outcome outcome, const std::string& path, std::string note) {
  MeterProbe probe{outcome, path, nullptr, {}};
  if (!note.empty()) probe.notes.push_back(std::move(note));
  return probe;
}

MeterProbe not_initialised(int code, const std::string& path) {
  switch (code) {
    case nvml::kDriverNotLoaded:
      return refused(Outcome::kAbsent, path, "the NVIDIA driver is not loaded");
    case nvml::kNoPermission:
      return refused(Outcome::kForbidden, "/dev/nvidiactl",
                     "the NVIDIA driver refuses: its device files may not be opened");
    case nvml::kVersionMismatch:
      return refused(
          Outcome::kUnreadable, path,
          "library and kernel module of the NVIDIA driver are of different versions: reload the module or reboot");
    default:
      return refused(Outcome::kUnreadable, path, "NVML does not start: error " + std::to_string(code));
  }
}

}  // namespace

MeterProbe make_nvml_from(std::unique_ptr<NvmlLibrary> library, NvmlClocks clocks, const MeterContext& context) {
  nvml::Api api;
  const NvmlLibrary::State state = library->open(api);
  const std::string path = library->path();
  if (state == NvmlLibrary::State::kAbsent) return refused(Outcome::kAbsent, path, library->error());
  if (state == NvmlLibrary::State::kUnusable) return refused(Outcome::kUnreadable, path, library->error());
  const int code = api.init();
  if (code != nvml::kSuccess) return not_initialised(code, path);

  Found found;
  uint32_t count = 0;
  if (api.count(&count) != nvml::kSuccess) count = 0;
  for (uint32_t i = 0; i < std::min(count, kMaxGpus); i++) add_gpu(api, context, i, clocks.monotonic(), found);

  if (found.gpus.empty()) {
    api.shutdown();
    if (count == 0) return refused(Outcome::kAbsent, path, "the NVIDIA driver knows no GPU");
    MeterProbe probe{found.forbidden ? Outcome::kForbidden : Outcome::kUnreadable,
                     found.forbidden ? "/dev/nvidia0" : path, nullptr, std::move(found.notes)};
    return probe;
  }
  auto meter = std::make_unique<Nvml>(std::move(library), api, clocks, std::move(found.gpus), std::move(found.domains),
                                      std::move(found.channels));
  return {Outcome::kAvailable, path, std::move(meter), std::move(found.notes)};
}

// NVML is process-wide and counts its users: it is opened here once, and closed with the meter.
MeterProbe make_nvml(const MeterContext& context) {
  return make_nvml_from(std::make_unique<DynamicNvml>(context.settings.text("library")), {monotonic_ns, own_cpu_ns},
                        context);
}

}  // namespace wattle
