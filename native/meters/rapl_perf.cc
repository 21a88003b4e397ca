// Intel and AMD RAPL through perf events: docs/meters/rapl-perf.md.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/descriptor.h"
#include "core/file.h"
#include "core/text.h"
#include "meters/meters.h"
#include "meters/processor.h"
#include "meters/rapl.h"

namespace wattle {
namespace {

using Outcome = MeterProbe::Outcome;

// The kernel extends the 32-bit counter to 64 bits whenever it looks at it: at every read, and by a timer that counts
// on 200 W. A domain that draws more than that must be read before its counter turns once: in 65 s at 1000 W where the
// unit is the smallest, 2^-16 J, which kRaplMaxGapNs allows for. A psys counter (2^-14 J or more) may draw 10 kW, so it
// turns in 26 s.
constexpr int64_t kPsysMaxGapNs = 20 * kNsPerSecond;
// A group that fails is opened elsewhere this often, and on at most so many CPUs each time.
constexpr int64_t kReopenNs = kNsPerSecond;
constexpr size_t kReopenTries = 4;

constexpr uint64_t kMicrojoules = 1'000'000;
// The unit of an event is 2^-shift J. Within these bounds a value and the whole range of 2^64 units are whole
// microjoules in 64 bits; the kernel's unit is 2^-32 J.
constexpr int kLeastShift = 20;
constexpr int kMostShift = 60;

constexpr size_t kListBytes = 128 * 1024;

struct KnownEvent {
  std::string_view name;
  DomainKind kind;
  // What its domain is called behind its package's name.
  std::string_view part;
};

constexpr std::array kPackageEvents = {
    KnownEvent{"energy-pkg", DomainKind::kPackage, ""},       KnownEvent{"energy-cores", DomainKind::kCore, "/core"},
    KnownEvent{"energy-gpu", DomainKind::kUncore, "/uncore"}, KnownEvent{"energy-ram", DomainKind::kDram, "/dram"},
    KnownEvent{"energy-psys", DomainKind::kPsys, ""},
};
constexpr std::array kCoreEvents = {KnownEvent{"energy-core", DomainKind::kCore, ""}};
constexpr size_t kMostMembers = kPackageEvents.size();

struct Event {
  KnownEvent known;
  PerfEvent perf;
  int shift = 0;
};

// `event=0x02`.
std::optional<uint64_t> parse_config(std::string_view text) {
  constexpr std::string_view key = "event=0x";
  if (!text.starts_with(key)) return std::nullopt;
  text.remove_prefix(key.size());
  uint64_t config = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), config, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return config;
}

// `2.3283064365386962890625e-10` is 2^-32: the shift, where the scale is such a power of two.
std::optional<int> parse_shift(std::string_view text) {
  double scale = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), scale);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  int exponent = 0;
  if (std::frexp(scale, &exponent) != 0.5) return std::nullopt;
  const int shift = 1 - exponent;
  return shift >= kLeastShift && shift <= kMostShift ? std::optional(shift) : std::nullopt;
}

// All units ever counted are converted at once, so no fraction is lost over time.
uint64_t to_microjoules(uint64_t units, int shift) noexcept {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(units) * kMicrojoules >> shift);
}

// 2^64 units; exact, as kMostShift is below 64.
uint64_t range_uj(int shift) noexcept {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(kMicrojoules) << 64) >> shift);
}

// One PMU: its events, and one CPU for each of the counters' copies.
struct Pmu {
  std::string name;
  std::string path;
  std::vector<int> cpus;
  std::vector<Event> events;
};

// Nothing where there is none; `broken` is then the file that is there but makes no sense.
std::optional<Pmu> read_pmu(const std::string& sysfs, const std::string& name, std::span<const KnownEvent> known,
                            std::vector<std::string>& notes, std::string& broken) {
  Pmu pmu{name, sysfs + "/bus/event_source/devices/" + name, {}, {}};
  const auto type_text = read_line(pmu.path + "/type");
  if (!type_text) return std::nullopt;
  const auto type = parse_number(*type_text);
  const auto list = read_text(pmu.path + "/cpumask", kListBytes);
  auto cpus = list ? parse_cpu_list(*list) : std::nullopt;
  if (!type || *type > UINT32_MAX) broken = pmu.path + "/type";
  if (!cpus || cpus->empty()) broken = pmu.path + "/cpumask";
  if (!broken.empty()) return std::nullopt;
  pmu.cpus = std::move(*cpus);
  for (const KnownEvent& event : known) {
    const std::string path = pmu.path + "/events/" + std::string(event.name);
    const auto config_text = read_line(path);
    if (!config_text) continue;
    const auto config = parse_config(*config_text);
    const auto shift = parse_shift(read_line(path + ".scale").value_or(""));
    if (config && shift && read_line(path + ".unit") == "Joules") {
      pmu.events.push_back({event, {static_cast<uint32_t>(*type), *config}, *shift});
    } else {
      notes.push_back("Left out, as its number, scale or unit is not understood: " + path + ".");
    }
  }
  if (pmu.events.empty()) broken = pmu.path + "/events";
  return pmu.events.empty() ? std::nullopt : std::optional(std::move(pmu));
}

struct Member {
  PerfEvent perf;
  int shift = 0;
  size_t domain = 0;
};

using Descriptors = std::array<Descriptor, kMostMembers>;

// The counters of one package or core, read by one system call.
struct Group {
  // CPUs that share these counters: where one goes offline, another can be asked.
  std::vector<int> cpus;
  size_t next_cpu = 0;
  std::vector<Member> members;
  // Its first event's comes first; all of them are read through it.
  Descriptors open;
  // 0 while it can be read.
  int64_t reopen_at_ns = 0;
  // Opened anew, so that it counts from 0, and not read since.
  bool restarted = false;
};

class RaplPerf final : public Meter {
 public:
  RaplPerf(Hardware& hardware, std::vector<DomainInfo> domains, std::vector<Group> groups)
      : hardware_(hardware), domains_(std::move(domains)), groups_(std::move(groups)) {}

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }

  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    for (Group& group : groups_) {
      std::array<uint64_t, 1 + kMostMembers> words;
      const bool good = read(group, words) || (reopen(group, tick.mono_ns) && read(group, words));
      const auto status = group.restarted ? Reading::Status::kRestarted : Reading::Status::kGood;
      for (size_t i = 0; i < group.members.size(); i++) {
        const Member& member = group.members[i];
        out[member.domain] =
            good ? Reading{status, to_microjoules(words[1 + i], member.shift), tick.mono_ns} : Reading{};
      }
      if (!good) continue;
      group.restarted = false;
      group.reopen_at_ns = 0;
    }
  }

  void reset() noexcept override {}

 private:
  // The kernel gives nothing at all (0 bytes) for an event that has lost its CPU.
  bool read(const Group& group, std::span<uint64_t> words) const noexcept {
    const size_t count = group.members.size();
    const int64_t bytes = hardware_.read_perf(group.open[0].get(), words.first(1 + count));
    return bytes == static_cast<int64_t>((1 + count) * sizeof(uint64_t)) && words[0] == count;
  }

  // Opens the group on another CPU. The old one stays until there is a new one: without the privilege it had at the
  // start this process opens none, and the old one may recover.
  bool reopen(Group& group, int64_t now_ns) const noexcept {
    if (now_ns < group.reopen_at_ns) return false;
    const bool first_failure = group.reopen_at_ns == 0;
    group.reopen_at_ns = now_ns + kReopenNs;
    // It may be a passing fault.
    if (first_failure) return false;
    for (size_t tries = std::min(kReopenTries, group.cpus.size()); tries > 0; tries--) {
      group.next_cpu = (group.next_cpu + 1) % group.cpus.size();
      Descriptors anew;
      if (!open(group, group.cpus[group.next_cpu], anew)) continue;
      group.open = std::move(anew);
      group.restarted = true;
      return true;
    }
    return false;
  }

  bool open(const Group& group, int cpu, Descriptors& into) const noexcept {
    for (size_t i = 0; i < group.members.size(); i++) {
      into[i] = {hardware_, hardware_.open_perf(group.members[i].perf, cpu, i == 0 ? -1 : into[0].get())};
      if (!into[i].is_open()) return false;
    }
    return true;
  }

  Hardware& hardware_;
  const std::vector<DomainInfo> domains_;
  std::vector<Group> groups_;
};

// Opens what a PMU has, and keeps account of what cannot be opened.
class Opener {
 public:
  Opener(const MeterContext& context, const Processor& processor) : context_(context), processor_(processor) {}

  void open_packages(const Pmu& pmu) {
    for (const Cpu* cpu : cpus_of(pmu)) {
      const std::string package = processor_.package_name(*cpu);
      open(pmu, *cpu, processor_.package_cpus(*cpu), [&](const KnownEvent& event) {
        return event.kind == DomainKind::kPsys ? "psys" : package + std::string(event.part);
      });
    }
  }

  void open_cores(const Pmu& pmu) {
    for (const Cpu* cpu : cpus_of(pmu)) {
      if (cpu->core < 0) continue;
      open(pmu, *cpu, processor_.core_cpus(*cpu), [&](const KnownEvent&) { return processor_.core_name(*cpu); });
    }
  }

  bool any() const { return !opened_.empty(); }
  // The event that may not be opened, or else the first that cannot be.
  const std::string& forbidden() const { return forbidden_; }
  const std::string& failed() const { return failed_; }

  std::vector<DomainInfo> domains;
  std::vector<Group> groups;
  std::vector<std::string> notes;

 private:
  std::vector<const Cpu*> cpus_of(const Pmu& pmu) {
    std::vector<const Cpu*> cpus;
    int unknown = -1;
    for (const int number : pmu.cpus) {
      const Cpu* cpu = processor_.find(number);
      if (cpu != nullptr) {
        cpus.push_back(cpu);
      } else if (unknown < 0) {
        unknown = number;
      }
    }
    if (unknown >= 0) {
      notes.push_back("Left out, as the package (core) of CPU " + std::to_string(unknown) +
                      " is not known: " + pmu.path + "/cpumask.");
    }
    return cpus;
  }

  template <typename Name>
  void open(const Pmu& pmu, const Cpu& cpu, std::vector<int> cpus, const Name& name_of) {
    const auto here = std::find(cpus.begin(), cpus.end(), cpu.number) - cpus.begin();
    const Group empty{std::move(cpus), static_cast<size_t>(here), {}, {}, 0, false};
    Group group = copy(empty);
    for (const Event& event : pmu.events) {
      const std::string name = name_of(event.known);
      // The same package twice (a kernel that lists every die of an AMD package), or psys, which all packages show.
      if (opened_.contains(name) || !context_.wants(name)) continue;
      const int leader = group.members.empty() ? -1 : group.open[0].get();
      Descriptor descriptor(*context_.hardware, context_.hardware->open_perf(event.perf, cpu.number, leader));
      if (descriptor.get() == -EINVAL && leader >= 0) {
        // Not in one group with the others: then in one of its own.
        descriptor = {*context_.hardware, context_.hardware->open_perf(event.perf, cpu.number, -1)};
        if (descriptor.is_open()) {
          Group alone = copy(empty);
          add(alone, event, name, std::move(descriptor));
          groups.push_back(std::move(alone));
          continue;
        }
      }
      if (descriptor.is_open()) {
        add(group, event, name, std::move(descriptor));
      } else {
        refuse(pmu, event, cpu.number, -descriptor.get());
      }
    }
    if (!group.members.empty()) groups.push_back(std::move(group));
  }

  static Group copy(const Group& empty) { return {empty.cpus, empty.next_cpu, {}, {}, 0, false}; }

  void add(Group& group, const Event& event, const std::string& name, Descriptor descriptor) {
    opened_.insert(name);
    const DomainKind kind = event.known.kind;
    const int64_t max_gap_ns = kind == DomainKind::kPsys ? kPsysMaxGapNs : kRaplMaxGapNs;
    group.open[group.members.size()] = std::move(descriptor);
    group.members.push_back({event.perf, event.shift, domains.size()});
    domains.push_back({name, kind, Quality::kMeasured, rapl_limits(kind, range_uj(event.shift), max_gap_ns), {}});
  }

  void refuse(const Pmu& pmu, const Event& event, int cpu, int error) {
    const std::string what = "perf_event " + pmu.name + "/" + std::string(event.known.name) + "/";
    const std::string name = what + " on CPU " + std::to_string(cpu);
    if (forbidden_.empty() && (error == EACCES || error == EPERM)) forbidden_ = name;
    if (failed_.empty()) failed_ = name;
    // Once, not for every one of hundreds of cores.
    if (refused_.insert(what).second) notes.push_back("Left out: " + name + ": " + std::strerror(error) + ".");
  }

  const MeterContext& context_;
  const Processor& processor_;
  std::set<std::string> opened_;
  std::set<std::string> refused_;
  std::string forbidden_;
  std::string failed_;
};

}  // namespace

MeterProbe make_rapl_perf(const MeterContext& context) {
  const std::string root = context.sysfs + "/bus/event_source/devices/power";
  if (context.hardware == nullptr) return {Outcome::kAbsent, root, nullptr, {}};
  const Processor processor = read_processor(context.sysfs, context.procfs);
  Opener opener(context, processor);
  std::string broken;
  const auto packages = read_pmu(context.sysfs, "power", kPackageEvents, opener.notes, broken);
  if (packages) opener.open_packages(*packages);
  const auto cores = read_pmu(context.sysfs, "power_core", kCoreEvents, opener.notes, broken);
  if (cores) opener.open_cores(*cores);

  if (opener.any()) {
    auto meter = std::make_unique<RaplPerf>(*context.hardware, std::move(opener.domains), std::move(opener.groups));
    return {Outcome::kAvailable, root, std::move(meter), std::move(opener.notes)};
  }
  if (!opener.forbidden().empty()) return {Outcome::kForbidden, opener.forbidden(), nullptr, std::move(opener.notes)};
  if (!opener.failed().empty()) return {Outcome::kUnreadable, opener.failed(), nullptr, std::move(opener.notes)};
  if (!broken.empty()) return {Outcome::kUnreadable, broken, nullptr, std::move(opener.notes)};
  if (!packages && !cores) return {Outcome::kAbsent, root, nullptr, std::move(opener.notes)};
  return {Outcome::kUnreadable, context.sysfs + "/devices/system/cpu", nullptr, std::move(opener.notes)};
}

}  // namespace wattle
