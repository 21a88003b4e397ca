// What a GPU does besides drawing power: for sharing its energy, and for reports of waste.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wattle {

// One MIG instance: a slice of the GPU with memory of its own.
struct GpuInstance {
  std::string uuid;  // `MIG-...`
  uint32_t gpu_instance = 0;
  uint32_t compute_instance = 0;
  uint32_t slices = 0;        // of the GPU's compute slices, 7 on an A100 or H100
  uint64_t memory_bytes = 0;  // capacity
  uint64_t memory_used_bytes = 0;
  // Share of its time in which it was busy, 0 to 1; below 0 where the driver does not tell.
  double busy_ratio = -1;
};

struct GpuStatus {
  std::string uuid;    // `GPU-...`: the one name that stays the same over reboots and between tools
  std::string bus_id;  // PCI, `00000000:3B:00.0`
  std::string name;
  // Fell off the bus, or does not answer: what follows is of the time before.
  bool lost = false;
  // CLOCK_MONOTONIC of what follows; 0: never read.
  int64_t at_ns = 0;
  // Share of the last sample period (driver's, 1/6 to 1 s) in which a kernel ran, 0 to 1; below 0: not told.
  double busy_ratio = -1;
  // The integral of busy_ratio over the time it was known, so that means over any span can be taken.
  double busy_seconds = 0;
  double busy_known_seconds = 0;
  uint64_t memory_used_bytes = 0;
  uint64_t memory_bytes = 0;
  double power_limit_watts = 0;  // 0: not told
  bool mig = false;
  std::vector<GpuInstance> instances;
  // Process ids that hold a compute or graphics context, on this host.
  std::vector<uint32_t> processes;
};

}  // namespace wattle
