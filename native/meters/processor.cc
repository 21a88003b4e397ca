#include "meters/processor.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "core/file.h"
#include "core/text.h"

namespace wattle {
namespace {

// The first processor's block, up to its flags, fits several times.
constexpr size_t kCpuinfoBytes = 4096;
// A list of every second CPU, each number with its comma.
constexpr size_t kListBytes = 128 * 1024;
// No machine has more packages, dies or cores; a larger number is garbage.
constexpr uint64_t kMaxId = 65'535;

// The text behind `key`, tabs, a colon and a blank, up to its line's end.
std::string_view field(std::string_view cpuinfo, std::string_view key) noexcept {
  // Up to the empty line that ends the first processor.
  cpuinfo = cpuinfo.substr(0, cpuinfo.find("\n\n"));
  while (!cpuinfo.empty()) {
    const size_t end = cpuinfo.find('\n');
    // A line without its end may be cut short.
    if (end == std::string_view::npos) return {};
    std::string_view line = cpuinfo.substr(0, end);
    cpuinfo.remove_prefix(end + 1);
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
    if (line.starts_with(": ")) return line.substr(2);
  }
  return {};
}

Vendor vendor_of(std::string_view id) noexcept {
  if (id == "GenuineIntel") return Vendor::kIntel;
  if (id == "AuthenticAMD") return Vendor::kAmd;
  if (id == "HygonGenuine") return Vendor::kHygon;
  return Vendor::kOther;
}

std::optional<int> read_id(const std::string& path) {
  const auto text = read_line(path);
  const auto number = text ? parse_number(*text) : std::nullopt;
  return number && *number <= kMaxId ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

// Some kernels number the cores of each die from 0: such a core goes by its first CPU, which is unique.
void make_cores_unique(std::vector<Cpu>& cpus) {
  std::map<std::pair<int, int>, std::set<int>> dies;
  for (const Cpu& cpu : cpus) dies[{cpu.package, cpu.core}].insert(cpu.die);
  std::set<int> ambiguous;
  for (const auto& [core, on] : dies)
    if (on.size() > 1) ambiguous.insert(core.first);
  std::map<std::tuple<int, int, int>, int> first;
  for (Cpu& cpu : cpus) {
    if (cpu.core < 0 || !ambiguous.contains(cpu.package)) continue;
    cpu.core = first.try_emplace({cpu.package, cpu.die, cpu.core}, cpu.number).first->second;
  }
}

}  // namespace

ProcessorModel parse_processor_model(std::string_view cpuinfo) noexcept {
  const auto family = parse_number(field(cpuinfo, "cpu family"));
  const auto model = parse_number(field(cpuinfo, "model"));
  const Vendor vendor = vendor_of(field(cpuinfo, "vendor_id"));
  if (vendor == Vendor::kOther || !family || !model || *family > kMaxId || *model > kMaxId) return {};
  return {vendor, static_cast<uint32_t>(*family), static_cast<uint32_t>(*model)};
}

const Cpu* Processor::find(int number) const noexcept {
  const auto found = std::find_if(cpus.begin(), cpus.end(), [&](const Cpu& cpu) { return cpu.number == number; });
  return found == cpus.end() ? nullptr : &*found;
}

std::string Processor::package_name(const Cpu& cpu) const {
  const std::string name = "package-" + std::to_string(cpu.package);
  return several_dies ? name + "-die-" + std::to_string(cpu.die) : name;
}

std::string Processor::core_name(const Cpu& cpu) const {
  return package_name(cpu) + "/core-" + std::to_string(cpu.core);
}

std::vector<int> Processor::package_cpus(const Cpu& cpu) const {
  std::vector<int> numbers;
  for (const Cpu& other : cpus)
    if (other.package == cpu.package && other.die == cpu.die) numbers.push_back(other.number);
  return numbers;
}

std::vector<int> Processor::core_cpus(const Cpu& cpu) const {
  std::vector<int> numbers;
  for (const Cpu& other : cpus)
    if (other.package == cpu.package && other.core == cpu.core) numbers.push_back(other.number);
  return numbers;
}

Processor read_processor(const std::string& sysfs, const std::string& procfs) {
  Processor processor;
  std::array<char, kCpuinfoBytes> buffer;
  const File cpuinfo = File::open((procfs + "/cpuinfo").c_str());
  const auto head = cpuinfo.is_open() ? cpuinfo.read(buffer) : std::nullopt;
  if (head) processor.model = parse_processor_model(*head);

  const std::string root = sysfs + "/devices/system/cpu";
  const auto list = read_text(root + "/online", kListBytes);
  const auto online = list ? parse_cpu_list(*list) : std::nullopt;
  if (!online) return processor;
  for (const int number : *online) {
    const std::string topology = root + "/cpu" + std::to_string(number) + "/topology/";
    const auto package = read_id(topology + "physical_package_id");
    if (!package) continue;
    // Kernels before 5.2 have no die_id.
    processor.cpus.push_back(
        {number, *package, read_id(topology + "die_id").value_or(0), read_id(topology + "core_id").value_or(-1)});
  }
  make_cores_unique(processor.cpus);

  // A package of AMD or Hygon has one counter, whatever its dies; the kernel's own meters showed it once per die for a
  // while.
  const bool by_package = processor.model.vendor == Vendor::kAmd || processor.model.vendor == Vendor::kHygon;
  std::map<int, int> die;
  for (Cpu& cpu : processor.cpus) {
    if (by_package) cpu.die = 0;
    const int first = die.try_emplace(cpu.package, cpu.die).first->second;
    processor.several_dies = processor.several_dies || first != cpu.die;
  }
  return processor;
}

}  // namespace wattle
