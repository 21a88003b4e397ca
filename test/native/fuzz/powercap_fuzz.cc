#include <climits>
#include <string>
#include <vector>

#include "fuzz.h"
#include "meters/meters.h"
#include "scratch.h"

namespace wattle {

// A zone whose folder's name, name, counter and range are the input's four lines.
FUZZ(powercap, input) {
  static const test::Scratch scratch(fuzz::fast_folder());
  std::string id = fuzz::take_line(input);
  const std::string name = fuzz::take_line(input);
  const std::string energy = fuzz::take_line(input);
  const std::string range = fuzz::take_line(input);
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
