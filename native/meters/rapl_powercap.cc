// Intel and AMD RAPL through the kernel's powercap tree: docs/meters/rapl-powercap.md.
#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "core/file.h"
#include "core/text.h"
#include "meters/counter_files.h"
#include "meters/meters.h"
#include "meters/rapl.h"

namespace wattle {
namespace {

// More zones than any machine has: a bound on what a broken tree can make us open.
constexpr size_t kMaxZones = 256;

// The tree of model-specific registers, and the one of memory-mapped registers that shows the same counters again.
constexpr std::string_view kMsrTree = "intel-rapl:";
constexpr std::string_view kMmioTree = "intel-rapl-mmio:";

std::optional<DomainKind> kind_of(std::string_view zone_name) {
  if (zone_name.starts_with("package-")) return DomainKind::kPackage;
  if (zone_name == "core") return DomainKind::kCore;
  if (zone_name == "uncore") return DomainKind::kUncore;
  if (zone_name == "dram") return DomainKind::kDram;
  if (zone_name == "psys" || zone_name.starts_with("psys-")) return DomainKind::kPsys;
  return std::nullopt;
}

std::optional<uint64_t> read_number(const std::string& path) {
  const auto text = read_line(path);
  return text ? parse_number(*text) : std::nullopt;
}

// `<tree>N` or `<tree>N:M`.
struct ZoneId {
  bool mmio = false;
  int top = 0;
  int sub = -1;
  auto key() const { return std::tuple(mmio, top, sub); }
};

std::optional<ZoneId> parse_zone_id(std::string_view entry) {
  ZoneId id;
  id.mmio = entry.starts_with(kMmioTree);
  if (!id.mmio && !entry.starts_with(kMsrTree)) return std::nullopt;
  entry.remove_prefix(id.mmio ? kMmioTree.size() : kMsrTree.size());
  const char* end = entry.data() + entry.size();
  auto parsed = std::from_chars(entry.data(), end, id.top);
  if (parsed.ec == std::errc{} && parsed.ptr != end && *parsed.ptr == ':')
    parsed = std::from_chars(parsed.ptr + 1, end, id.sub);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return id;
}

struct Zone {
  ZoneId id;
  std::string name;
  std::string energy_path;
  DomainInfo info;
};

std::vector<Zone> list_zones(const std::string& root) {
  std::vector<Zone> zones;
  DIR* directory = opendir(root.c_str());
  if (directory == nullptr) return zones;
  while (const dirent* entry = readdir(directory)) {
    const auto id = parse_zone_id(entry->d_name);
    if (!id || zones.size() == kMaxZones) continue;
    const std::string path = root + "/" + entry->d_name;
    const auto name = read_line(path + "/name");
    const auto kind = name ? kind_of(*name) : std::nullopt;
    if (!kind) continue;
    Zone zone{*id, *name, path + "/energy_uj", {}};
    zone.info.kind = *kind;
    // The file shows the largest value, 2^32 - 1 units; the step from there to 0 is one unit more.
    const uint64_t range_uj = read_number(path + "/max_energy_range_uj").value_or(0);
    zone.info.limits = rapl_limits(*kind, range_uj + range_uj / UINT32_MAX);
    zones.push_back(std::move(zone));
  }
  closedir(directory);
  std::sort(zones.begin(), zones.end(), [](const Zone& a, const Zone& b) { return a.id.key() < b.id.key(); });
  return zones;
}

// A subzone is named after its package, and a memory-mapped zone that the register tree has already is dropped.
std::vector<Zone> without_duplicates(std::vector<Zone> zones) {
  std::vector<Zone> kept;
  for (Zone& zone : zones) {
    const auto top = std::find_if(zones.begin(), zones.end(), [&](const Zone& other) {
      return other.id.key() == std::tuple(zone.id.mmio, zone.id.top, -1);
    });
    zone.info.name = zone.id.sub >= 0 && top != zones.end() ? top->name + "/" + zone.name : zone.name;
    const bool shown_already = zone.id.mmio && std::any_of(kept.begin(), kept.end(), [&](const Zone& other) {
                                 return !other.id.mmio && other.info.name == zone.info.name;
                               });
    // Copied, not moved: subzones still look up their package's name.
    if (!shown_already) kept.push_back(zone);
  }
  return kept;
}

}  // namespace

MeterProbe make_rapl_powercap(const MeterContext& context) {
  using Outcome = MeterProbe::Outcome;
  const std::string root = context.sysfs + "/class/powercap";
  std::vector<Zone> zones = without_duplicates(list_zones(root));
  if (zones.empty()) return {Outcome::kAbsent, root, nullptr, {}};

  MeterProbe worst{Outcome::kUnreadable, zones.front().energy_path, nullptr, {}};
  bool readable = false;
  for (const Zone& zone : zones) {
    CounterFile counter(zone.energy_path);
    const bool forbidden = counter.error() == EACCES || counter.error() == EPERM;
    if (forbidden) worst = {Outcome::kForbidden, zone.energy_path, nullptr, {}};
    readable = readable || counter.read(0);
  }
  if (!readable) return worst;
  // A zone that cannot be read just now stays: its missing coverage tells, and it may come back.
  std::vector<FileDomain> domains;
  for (Zone& zone : zones)
    if (context.wants(zone.info.name)) domains.push_back({std::move(zone.info), CounterFile(zone.energy_path)});
  return {Outcome::kAvailable, root, std::make_unique<CounterFiles>(std::move(domains)), {}};
}

}  // namespace wattle
