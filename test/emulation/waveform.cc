#include "emulation/waveform.h"

#include <algorithm>
#include <cmath>

namespace wattle::emulation {
namespace {

constexpr double kRandomStepS = 0.05;

// From 0 to 1: a hash, so that every side of a test draws the same numbers.
double hashed(uint32_t seed, uint32_t step) {
  uint32_t h = (step + 1) * 0x9e3779b1u ^ (seed + 1) * 0x85ebca6bu;
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  return static_cast<double>(h ^ (h >> 16)) / 4294967296.0;
}

}  // namespace

uint64_t Integral::energy_uj(int64_t elapsed_ns) {
  if (elapsed_ns <= 0) return 0;
  return static_cast<uint64_t>(std::floor(joules(static_cast<double>(elapsed_ns) / 1e9) * 1e6));
}

double Integral::joules(double seconds) {
  switch (waveform_.shape) {
    case Waveform::Shape::kConstant:
      return waveform_.high_watts * seconds;
    case Waveform::Shape::kSquare:
      return square(seconds);
    case Waveform::Shape::kRamp:
      return ramp(seconds);
    case Waveform::Shape::kRandom:
      return random(seconds);
  }
  return 0;
}

// The operations of waveform.mjs in its order, so that both round alike.
double Integral::square(double seconds) const {
  const double periods = std::floor(seconds / waveform_.period_s);
  const double rest = seconds - periods * waveform_.period_s;
  const double half = waveform_.period_s / 2;
  const double high = std::min(rest, half);
  return periods * half * (waveform_.low_watts + waveform_.high_watts) + high * waveform_.high_watts +
         (rest - high) * waveform_.low_watts;
}

double Integral::ramp(double seconds) const {
  const double periods = std::floor(seconds / waveform_.period_s);
  const double rest = seconds - periods * waveform_.period_s;
  const double slope = (waveform_.high_watts - waveform_.low_watts) / waveform_.period_s;
  return (periods * waveform_.period_s * (waveform_.low_watts + waveform_.high_watts)) / 2 +
         waveform_.low_watts * rest + (slope * rest * rest) / 2;
}

double Integral::random(double seconds) {
  const double step = std::floor(seconds / kRandomStepS);
  const auto whole = static_cast<uint32_t>(step);
  while (sums_.size() <= whole)
    sums_.push_back(sums_.back() + level(static_cast<uint32_t>(sums_.size() - 1)) * kRandomStepS);
  return sums_[whole] + level(whole) * (seconds - step * kRandomStepS);
}

double Integral::level(uint32_t step) const {
  return waveform_.low_watts + (waveform_.high_watts - waveform_.low_watts) * hashed(waveform_.seed, step);
}

}  // namespace wattle::emulation
