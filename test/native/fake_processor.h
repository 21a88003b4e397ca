// What the kernel tells of a processor, in the folder of a test that stands for both /sys and /proc.
#pragma once

#include <string>
#include <vector>

#include "scratch.h"

namespace wattle::test {

struct FakeCpu {
  int package = 0;
  int die = 0;
  int core = 0;
};

inline void write_model(const Scratch& scratch, const std::string& vendor, int family, int model) {
  scratch.write("cpuinfo", "processor\t: 0\nvendor_id\t: " + vendor + "\ncpu family\t: " + std::to_string(family) +
                               "\nmodel\t\t: " + std::to_string(model) +
                               "\nmodel name\t: 6\nstepping\t: 4\nflags\t\t: fpu vme\n\nprocessor\t: 1\n");
}

inline void write_cpus(const Scratch& scratch, const std::vector<FakeCpu>& cpus) {
  const std::string root = "devices/system/cpu/";
  for (size_t i = 0; i < cpus.size(); i++) {
    const std::string topology = root + "cpu" + std::to_string(i) + "/topology/";
    scratch.write(topology + "physical_package_id", std::to_string(cpus[i].package) + "\n");
    scratch.write(topology + "die_id", std::to_string(cpus[i].die) + "\n");
    scratch.write(topology + "core_id", std::to_string(cpus[i].core) + "\n");
  }
  scratch.write(root + "online", cpus.size() == 1 ? "0\n" : "0-" + std::to_string(cpus.size() - 1) + "\n");
}

// Two packages of two cores with two threads each: CPUs 0 to 3 are the cores, 4 to 7 their second threads.
inline const std::vector<FakeCpu> kTwoPackages = {{0, 0, 0}, {0, 0, 1}, {1, 0, 0}, {1, 0, 1},
                                                  {0, 0, 0}, {0, 0, 1}, {1, 0, 0}, {1, 0, 1}};

}  // namespace wattle::test
