// What the emulated NVML library shows: a text file beside it, read again whenever it is replaced.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

namespace emulated {

struct Waveform {
  enum class Shape { kConstant, kSquare, kRamp, kRandom };
  Shape shape = Shape::kConstant;
  double low = 0, high = 0, period_s = 1;
  uint32_t seed = 1;

  // Joules drawn in the first `seconds`: the same arithmetic as in waveform.mjs, so that both know one truth.
  double joules(double seconds) const;
};

struct Instance {
  std::string uuid;
  uint32_t gpu_instance = 0, compute_instance = 0, slices = 0;
  uint64_t memory_mib = 0, used_mib = 0;
};

struct Gpu {
  std::string uuid, bus_id, name;
  Waveform waveform;
  // How often the energy counter moves; 0: the GPU has none.
  int64_t counter_ns = 0;
  uint64_t initial_mj = 0;
  // When the counter last began anew from 0, ran 4 kJ backwards, and stood still; -1: never.
  int64_t reset_at_ns = -1, backwards_at_ns = -1, stalled_at_ns = -1;
  bool instant = true, average = true;
  // Every call takes this long.
  int64_t hang_ns = 0;
  int32_t lost = 0;  // the code that every call returns instead
  bool garbage = false;
  bool mig = false;
  uint32_t busy_percent = 0;
  uint64_t memory_mib = 0, used_mib = 0;
  uint32_t limit_w = 0;
  std::vector<uint32_t> processes;
  std::vector<Instance> instances;
};

struct Scenario {
  int64_t start_ns = 0;
  // Another number than at nvmlInit: the driver was loaded anew meanwhile.
  uint64_t epoch = 0;
  // What nvmlInit returns.
  int32_t init_code = 0;
  std::vector<Gpu> gpus;
};

// Every line is `KEYWORD VALUE...`; lines of a GPU follow its `gpu UUID`. False at the first that is not understood.
bool parse(const std::string& text, Scenario& scenario, std::string& error);

}  // namespace emulated
