// Which processor this is, and which CPU belongs to which core and package: so that every meter names the same thing
// the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wattle {

enum class Vendor : uint8_t { kOther, kIntel, kAmd, kHygon };

struct ProcessorModel {
  Vendor vendor = Vendor::kOther;
  uint32_t family = 0;
  uint32_t model = 0;
};

// The first processor of /proc/cpuinfo; kOther where it does not say so clearly.
ProcessorModel parse_processor_model(std::string_view cpuinfo) noexcept;

struct Cpu {
  int number = 0;
  int package = 0;
  // Always 0 where a package's counters are one for all of its dies.
  int die = 0;
  // Unique within its package; -1: unknown.
  int core = -1;
};

struct Processor {
  ProcessorModel model;
  // Those that are online, in ascending order, and whose package is known.
  std::vector<Cpu> cpus;
  bool several_dies = false;

  const Cpu* find(int number) const noexcept;
  // `package-N`, or `package-N-die-M` as the kernel's powercap tree has it: as soon as one package has counters for
  // each of several dies, all are named so.
  std::string package_name(const Cpu& cpu) const;
  // `package-N/core-M`: M is the kernel's number of the core.
  std::string core_name(const Cpu& cpu) const;
  // The CPUs that share a package's (die's) counters with `cpu`, or those that share its core.
  std::vector<int> package_cpus(const Cpu& cpu) const;
  std::vector<int> core_cpus(const Cpu& cpu) const;
};

Processor read_processor(const std::string& sysfs, const std::string& procfs);

}  // namespace wattle
