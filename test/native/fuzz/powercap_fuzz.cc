#include <array>
#include <string>
#include <vector>

#include "fuzz.h"
#include "meters/meters.h"
#include "scratch.h"

namespace wattle {
namespace {

// In memory where there is such a place: on a disk, thousands of new files take minutes.
std::filesystem::path fast_folder() {
  const std::filesystem::path memory = "/dev/shm";
  return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

}  // namespace

// A zone whose folder's name, name, counter and range are the input's four lines.
FUZZ(powercap, input) {
  static const test::Scratch scratch(fast_folder());
  std::array<std::string, 4> lines;
  for (std::string& line : lines) {
    const size_t end = input.find('\n');
    line = input.substr(0, end);
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  }
  auto& [id, name, energy, range] = lines;
  id.resize(std::min<size_t>(id.size(), NAME_MAX));
  if (id.empty() || id == "." || id == ".." || id.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
    return;
  const std::string zone = "class/powercap/" + id;
  scratch.write(zone + "/name", name + "\n");
  scratch.write(zone + "/energy_uj", energy + "\n");
  scratch.write(zone + "/max_energy_range_uj", range + "\n");

  const MeterProbe probe = make_rapl_powercap({.sysfs = scratch.root()});
  scratch.remove(zone);
  fuzz::promise((probe.meter != nullptr) == (probe.outcome == MeterProbe::Outcome::kAvailable));
  if (probe.meter == nullptr) return;
  std::vector<Reading> readings(probe.meter->domains().size());
  probe.meter->poll({.mono_ns = 1}, readings);
}

}  // namespace wattle
