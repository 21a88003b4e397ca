// Intel and AMD RAPL through model-specific registers: docs/meters/rapl-msr.md.
#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/descriptor.h"
#include "meters/meters.h"
#include "meters/processor.h"
#include "meters/rapl.h"

namespace wattle {
namespace {

using Outcome = MeterProbe::Outcome;

constexpr uint32_t kIntelUnit = 0x606;
constexpr uint32_t kIntelPackage = 0x611;
constexpr uint32_t kIntelDram = 0x619;
constexpr uint32_t kIntelCores = 0x639;
constexpr uint32_t kIntelGraphics = 0x641;
constexpr uint32_t kIntelPsys = 0x64D;
// Bit 0: noise is mixed into the energy counters.
constexpr uint32_t kIntelPackageControls = 0xBC;

constexpr uint32_t kAmdUnit = 0xC0010299;
constexpr uint32_t kAmdCore = 0xC001029A;
constexpr uint32_t kAmdPackage = 0xC001029B;

// CPUs that are opened for each package or core: where one goes offline the next is asked, and none can be opened
// later, when the privilege is gone.
constexpr size_t kDoors = 3;

// A counter's unit in microjoules: multiplier / 2^shift.
struct Unit {
  uint64_t multiplier = 0;
  unsigned shift = 0;
};

// The counter has 32 bits, so its range is 2^32 units. The shift is at most 31, so that is a whole number of
// microjoules, and a wrap adds exactly the range: what is rounded down in one reading is in the next one again.
constexpr unsigned kCounterBits = 32;

constexpr Unit joules(unsigned shift) noexcept { return {1'000'000, shift}; }

uint64_t to_microjoules(uint64_t counter, const Unit& unit) noexcept {
  const uint64_t low = counter & ((uint64_t{1} << kCounterBits) - 1);
  return static_cast<uint64_t>(static_cast<unsigned __int128>(low) * unit.multiplier >> unit.shift);
}

uint64_t range_uj(const Unit& unit) noexcept {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(unit.multiplier) << kCounterBits) >> unit.shift);
}

bool one_of(const ProcessorModel& cpu, std::initializer_list<uint32_t> models) noexcept {
  return cpu.vendor == Vendor::kIntel && cpu.family == 6 &&
         std::find(models.begin(), models.end(), cpu.model) != models.end();
}

// Servers from Haswell-EP to Ice Lake-SP count memory in 2^-16 J, whatever the unit register says.
bool fixed_dram_unit(const ProcessorModel& cpu) noexcept {
  return one_of(cpu, {
                         0x3F,        // Haswell-EP, -EX
                         0x4F, 0x56,  // Broadwell-EP, -EX; Broadwell-DE
                         0x55,        // Skylake-SP, Cascade Lake, Cooper Lake
                         0x6A, 0x6C,  // Ice Lake-SP, -D
                         0x57, 0x85,  // Knights Landing, Knights Mill
                     });
}

// From Sapphire Rapids on servers count the platform in whole joules.
bool whole_joule_psys(const ProcessorModel& cpu) noexcept {
  return one_of(cpu, {
                         0x8F,        // Sapphire Rapids
                         0xCF,        // Emerald Rapids
                         0xAD, 0xAE,  // Granite Rapids, -D
                     });
}

// Atoms whose unit register gives 2^n uJ, not 2^-n J.
bool microjoule_unit(const ProcessorModel& cpu) noexcept {
  return one_of(cpu, {
                         0x37, 0x4A,  // Silvermont: Bay Trail, Merrifield
                         0x4C, 0x5A,  // Airmont: Cherry Trail, Braswell; Moorefield
                     });
}

Unit unit_of(uint64_t register_value, const ProcessorModel& cpu, DomainKind kind) noexcept {
  const auto exponent = static_cast<unsigned>(register_value >> 8 & 0x1F);
  if (kind == DomainKind::kDram && fixed_dram_unit(cpu)) return joules(16);
  if (kind == DomainKind::kPsys && whole_joule_psys(cpu)) return joules(0);
  return microjoule_unit(cpu) ? Unit{uint64_t{1} << exponent, 0} : joules(exponent);
}

// The registers of one package or core, through any of its CPUs.
class Doors {
 public:
  // The first, the last and the middle one: CPUs that go offline together have neighbouring numbers.
  Doors(Hardware& hardware, const std::vector<int>& cpus) : hardware_(&hardware) {
    const std::set<int> chosen = {cpus.front(), cpus[cpus.size() / 2], cpus.back()};
    size_t count = 0;
    for (const int cpu : chosen) {
      Descriptor door(hardware, hardware.open_msr(cpu));
      if (door.is_open()) {
        doors_[count++] = std::move(door);
      } else if (error_ == 0 || error_ == ENXIO) {
        error_ = -door.get();
        cpu_ = cpu;
      }
    }
  }

  bool any() const noexcept { return doors_[0].is_open(); }
  // Why a CPU's registers could not be opened, and which CPU's; 0 where all could be.
  int error() const noexcept { return error_; }
  int cpu() const noexcept { return cpu_; }

  std::optional<uint64_t> read(uint32_t address) noexcept {
    for (size_t i = 0; i < kDoors; i++) {
      const size_t door = (current_ + i) % kDoors;
      uint64_t value = 0;
      if (!doors_[door].is_open() || hardware_->read_msr(doors_[door].get(), address, value) < 0) continue;
      current_ = door;
      return value;
    }
    return std::nullopt;
  }

 private:
  Hardware* hardware_;
  std::array<Descriptor, kDoors> doors_;
  size_t current_ = 0;
  int error_ = 0;
  int cpu_ = -1;
};

struct Counter {
  size_t doors = 0;
  uint32_t address = 0;
  Unit unit;
};

class RaplMsr final : public Meter {
 public:
  RaplMsr(std::vector<Doors> doors, std::vector<DomainInfo> domains, std::vector<Counter> counters)
      : doors_(std::move(doors)), domains_(std::move(domains)), counters_(std::move(counters)) {}

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }

  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    for (size_t i = 0; i < counters_.size(); i++) {
      const Counter& counter = counters_[i];
      const auto value = doors_[counter.doors].read(counter.address);
      out[i] = value ? Reading{Reading::Status::kGood, to_microjoules(*value, counter.unit), tick.mono_ns} : Reading{};
    }
  }

  void reset() noexcept override {}

 private:
  std::vector<Doors> doors_;
  const std::vector<DomainInfo> domains_;
  std::vector<Counter> counters_;
};

struct Part {
  uint32_t address;
  DomainKind kind;
  std::string_view suffix;
};

constexpr std::array kIntelParts = {
    Part{kIntelPackage, DomainKind::kPackage, ""},
    Part{kIntelCores, DomainKind::kCore, "/core"},
    Part{kIntelGraphics, DomainKind::kUncore, "/uncore"},
    Part{kIntelDram, DomainKind::kDram, "/dram"},
    Part{kIntelPsys, DomainKind::kPsys, ""},
};
constexpr std::array kAmdParts = {Part{kAmdPackage, DomainKind::kPackage, ""}};
constexpr std::array kAmdCoreParts = {Part{kAmdCore, DomainKind::kCore, ""}};

class Finder {
 public:
  Finder(const MeterContext& context, const Processor& processor)
      : context_(context), processor_(processor), intel_(processor.model.vendor == Vendor::kIntel) {}

  void find_all() {
    for (const Cpu& cpu : processor_.cpus) {
      const std::string package = processor_.package_name(cpu);
      if (!seen_.insert(package).second) continue;
      if (intel_) {
        find(package, processor_.package_cpus(cpu), kIntelParts);
      } else {
        find(package, processor_.package_cpus(cpu), kAmdParts);
      }
    }
    if (intel_) return;
    for (const Cpu& cpu : processor_.cpus) {
      const std::string core = processor_.core_name(cpu);
      if (cpu.core >= 0 && seen_.insert(core).second) find(core, processor_.core_cpus(cpu), kAmdCoreParts);
    }
  }

  bool filtered() { return intel_ && !doors.empty() && (doors[0].read(kIntelPackageControls).value_or(0) & 1) != 0; }

  // What keeps the registers from being read, where none could be.
  Outcome outcome = Outcome::kAbsent;
  std::string path;

  std::vector<Doors> doors;
  std::vector<DomainInfo> domains;
  std::vector<Counter> counters;
  std::vector<std::string> notes;

 private:
  void find(const std::string& name, const std::vector<int>& cpus, std::span<const Part> parts) {
    if (parts.size() == 1 && !context_.wants(name)) return;
    Doors found(*context_.hardware, cpus);
    if (!found.any()) return refuse(found);
    const auto unit_register = found.read(intel_ ? kIntelUnit : kAmdUnit);
    bool any = false;
    for (const Part& part : parts) {
      const std::string domain = part.kind == DomainKind::kPsys ? "psys" : name + std::string(part.suffix);
      const auto value = found.read(part.address);
      // A register that is not there gives an error or, in some places, 0: so does a counter once in 2^32 steps.
      if (!unit_register || !value || (*value & UINT32_MAX) == 0) {
        if (part.kind == DomainKind::kPackage)
          notes.push_back("Left out, as its register cannot be read: " + domain + ".");
        continue;
      }
      // All packages show the one counter of the platform.
      if (!context_.wants(domain) || (part.kind == DomainKind::kPsys && !seen_.insert(domain).second)) continue;
      const Unit unit = unit_of(*unit_register, processor_.model, part.kind);
      counters.push_back({doors.size(), part.address, unit});
      domains.push_back({domain, part.kind, Quality::kMeasured, rapl_limits(part.kind, range_uj(unit)), {}});
      any = true;
    }
    if (any) {
      doors.push_back(std::move(found));
    } else if (path.empty()) {
      outcome = Outcome::kUnreadable;
      path = msr_path(cpus.front());
    }
  }

  void refuse(const Doors& found) {
    const int error = found.error();
    const bool forbidden = error == EACCES || error == EPERM;
    if (!path.empty() && (!forbidden || outcome == Outcome::kForbidden)) return;
    const bool absent = error == ENOENT || error == ENXIO || error == ENODEV;
    outcome = forbidden ? Outcome::kForbidden : absent ? Outcome::kAbsent : Outcome::kUnreadable;
    path = msr_path(found.cpu());
  }

  static std::string msr_path(int cpu) { return "/dev/cpu/" + std::to_string(cpu) + "/msr"; }

  const MeterContext& context_;
  const Processor& processor_;
  const bool intel_;
  std::set<std::string> seen_;
};

bool has_registers(const ProcessorModel& cpu) noexcept {
  switch (cpu.vendor) {
    case Vendor::kIntel:
      return cpu.family >= 6 && cpu.family != 0xF;
    case Vendor::kAmd:
      return cpu.family >= 0x17;
    case Vendor::kHygon:
      return cpu.family >= 0x18;
    default:
      return false;
  }
}

}  // namespace

MeterProbe make_rapl_msr(const MeterContext& context) {
  const Processor processor = read_processor(context.sysfs, context.procfs);
  if (context.hardware == nullptr || !has_registers(processor.model))
    return {Outcome::kAbsent, context.procfs + "/cpuinfo", nullptr, {}};
  if (processor.cpus.empty()) return {Outcome::kUnreadable, context.sysfs + "/devices/system/cpu", nullptr, {}};
  Finder finder(context, processor);
  finder.find_all();
  if (finder.counters.empty()) return {finder.outcome, finder.path, nullptr, std::move(finder.notes)};
  if (finder.filtered())
    finder.notes.push_back(
        "The processor mixes noise into its energy counters (energy filtering, as SGX demands): stretches of "
        "milliseconds are not exact, sums over seconds are.");
  auto meter =
      std::make_unique<RaplMsr>(std::move(finder.doors), std::move(finder.domains), std::move(finder.counters));
  return {Outcome::kAvailable, "/dev/cpu", std::move(meter), std::move(finder.notes)};
}

}  // namespace wattle
