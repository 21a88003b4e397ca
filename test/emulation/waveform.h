// Known power over time and its exact integral: test/hardware/waveform.mjs in C++, to the same microjoule.
#pragma once

#include <cstdint>
#include <vector>

namespace wattle::emulation {

struct Waveform {
  enum class Shape : uint8_t { kConstant, kSquare, kRamp, kRandom };
  Shape shape = Shape::kConstant;
  // kConstant draws `high_watts`.
  double low_watts = 0;
  double high_watts = 0;
  double period_s = 1;
  uint32_t seed = 1;
};

class Integral {
 public:
  explicit Integral(const Waveform& waveform) : waveform_(waveform) {}

  // Whole microjoules drawn `elapsed_ns` after the start; 0 before it. Sums of kRandom are kept, so not from two
  // threads at once.
  uint64_t energy_uj(int64_t elapsed_ns);

 private:
  double joules(double seconds);
  double square(double seconds) const;
  double ramp(double seconds) const;
  double random(double seconds);
  double level(uint32_t step) const;

  Waveform waveform_;
  // Joules of kRandom up to each step.
  std::vector<double> sums_{0};
};

}  // namespace wattle::emulation
