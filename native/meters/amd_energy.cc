// AMD's energy driver in the hwmon tree: docs/meters/amd-energy.md.
#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/file.h"
#include "core/text.h"
#include "meters/counter_files.h"
#include "meters/meters.h"
#include "meters/processor.h"
#include "meters/rapl.h"

namespace wattle {
namespace {

using Outcome = MeterProbe::Outcome;

// More than any machine has: bounds on what a broken tree can make us open.
constexpr size_t kMaxDevices = 1'024;
constexpr size_t kMaxEntries = 16'384;
constexpr size_t kListBytes = 128 * 1024;

// The number behind `prefix`, which is all that follows.
std::optional<int> number_after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  const auto number = parse_number(text.substr(prefix.size()));
  return number && *number <= uint64_t{kMaxCpu} ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

std::vector<std::string> entries(const std::string& path, size_t most) {
  std::vector<std::string> names;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory))
    if (names.size() < most) names.emplace_back(entry->d_name);
  closedir(directory);
  return names;
}

std::optional<std::string> find_device(const std::string& root) {
  for (const std::string& name : entries(root, kMaxDevices)) {
    const std::string path = root + "/" + name;
    if (name.starts_with("hwmon") && read_line(path + "/name") == "amd_energy") return path;
  }
  return std::nullopt;
}

// The N of all energyN_input.
std::set<int> channels(const std::string& device) {
  constexpr std::string_view end = "_input";
  std::set<int> numbers;
  for (const std::string& name : entries(device, kMaxEntries)) {
    if (!name.ends_with(end)) continue;
    const auto number = number_after(std::string_view(name).substr(0, name.size() - end.size()), "energy");
    if (number) numbers.insert(*number);
  }
  return numbers;
}

// `Esocket1` is the package of the first CPU of memory node 1: with several nodes per socket the driver shows a package
// once for each of them. `Ecore012` is the core of CPU 12.
std::optional<std::string> domain_name(const std::string& label, const Processor& processor, const std::string& sysfs) {
  if (const auto number = number_after(label, "Ecore")) {
    const Cpu* cpu = processor.find(*number);
    return cpu != nullptr && cpu->core >= 0 ? std::optional(processor.core_name(*cpu)) : std::nullopt;
  }
  const auto node = number_after(label, "Esocket");
  if (!node) return std::nullopt;
  const auto text = read_text(sysfs + "/devices/system/node/node" + std::to_string(*node) + "/cpulist", kListBytes);
  const auto cpus = text ? parse_cpu_list(*text) : std::nullopt;
  const Cpu* cpu = cpus && !cpus->empty() ? processor.find(cpus->front()) : nullptr;
  return cpu != nullptr ? std::optional(processor.package_name(*cpu)) : std::nullopt;
}

}  // namespace

MeterProbe make_amd_energy(const MeterContext& context) {
  const std::string root = context.sysfs + "/class/hwmon";
  const auto device = find_device(root);
  if (!device) return {Outcome::kAbsent, root, nullptr, {}};

  const Processor processor = read_processor(context.sysfs, context.procfs);
  MeterProbe probe{Outcome::kUnreadable, *device, nullptr, {}};
  std::vector<FileDomain> sensors;
  std::set<std::string> seen;
  bool readable = false;
  std::string unknown;
  for (const int channel : channels(*device)) {
    const std::string path = *device + "/energy" + std::to_string(channel);
    const std::string label = read_line(path + "_label").value_or("");
    const auto name = domain_name(label, processor, context.sysfs);
    if (!name && unknown.empty()) unknown = path + "_label";
    if (!name || !seen.insert(*name).second) continue;
    const DomainKind kind = label.starts_with("Ecore") ? DomainKind::kCore : DomainKind::kPackage;
    // The driver extends the counter, so it does not wrap.
    FileDomain sensor{{*name, kind, Quality::kMeasured, rapl_limits(kind, 0), {}}, CounterFile(path + "_input")};
    if (sensor.counter.error() == EACCES || sensor.counter.error() == EPERM) {
      probe.outcome = Outcome::kForbidden;
      probe.path = sensor.counter.path();
    }
    readable = readable || sensor.counter.read(0);
    if (context.wants(*name)) sensors.push_back(std::move(sensor));
  }
  if (!unknown.empty()) probe.notes.push_back("Left out, as it belongs to no CPU that is online: " + unknown + ".");
  if (!readable) return probe;
  // Packages first: the driver has them behind its cores.
  std::stable_sort(sensors.begin(), sensors.end(),
                   [](const FileDomain& a, const FileDomain& b) { return a.info.kind < b.info.kind; });
  return {Outcome::kAvailable, *device, std::make_unique<CounterFiles>(std::move(sensors)), std::move(probe.notes)};
}

}  // namespace wattle
