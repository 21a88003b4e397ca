#include "scenario.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <sstream>

namespace emulated {
namespace {

constexpr double kRandomStepS = 0.05;

double level(uint32_t seed, uint32_t step) {
  uint32_t h = ((step + 1) * 0x9e3779b1u) ^ ((seed + 1) * 0x85ebca6bu);
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  return (h ^ (h >> 16)) / 4294967296.0;
}

// Sums up to each step are kept: asked for again at every call.
double random_joules(const Waveform& wave, double seconds) {
  static std::mutex mutex;
  static std::map<std::string, std::vector<double>> all;
  const std::lock_guard lock(mutex);
  std::vector<double>& sums =
      all[std::to_string(wave.low) + " " + std::to_string(wave.high) + " " + std::to_string(wave.seed)];
  if (sums.empty()) sums.push_back(0);
  const auto watts = [&](size_t step) {
    return wave.low + (wave.high - wave.low) * level(wave.seed, static_cast<uint32_t>(step));
  };
  const auto step = static_cast<size_t>(seconds / kRandomStepS);
  while (sums.size() <= step) sums.push_back(sums.back() + watts(sums.size() - 1) * kRandomStepS);
  return sums[step] + watts(step) * (seconds - static_cast<double>(step) * kRandomStepS);
}

bool parse_waveform(std::istringstream& words, Waveform& wave) {
  std::string shape;
  words >> shape;
  if (shape == "constant") {
    wave.shape = Waveform::Shape::kConstant;
    return static_cast<bool>(words >> wave.high);
  }
  if (shape == "random") {
    wave.shape = Waveform::Shape::kRandom;
    return static_cast<bool>(words >> wave.low >> wave.high >> wave.seed);
  }
  if (shape != "square" && shape != "ramp") return false;
  wave.shape = shape == "square" ? Waveform::Shape::kSquare : Waveform::Shape::kRamp;
  return words >> wave.low >> wave.high >> wave.period_s && wave.period_s > 0;
}

bool rest_of_line(std::istringstream& words, std::string& text) {
  return static_cast<bool>(std::getline(words >> std::ws, text));
}

bool parse_gpu_line(const std::string& key, std::istringstream& words, Gpu& gpu) {
  if (key == "bus") return static_cast<bool>(words >> gpu.bus_id);
  if (key == "name") return rest_of_line(words, gpu.name);
  if (key == "waveform") return parse_waveform(words, gpu.waveform);
  if (key == "counter_ns") return words >> gpu.counter_ns && gpu.counter_ns >= 0;
  if (key == "initial_mj") return static_cast<bool>(words >> gpu.initial_mj);
  if (key == "reset_at_ns") return static_cast<bool>(words >> gpu.reset_at_ns);
  if (key == "backwards_at_ns") return static_cast<bool>(words >> gpu.backwards_at_ns);
  if (key == "stalled_at_ns") return static_cast<bool>(words >> gpu.stalled_at_ns);
  if (key == "instant") return static_cast<bool>(words >> gpu.instant);
  if (key == "average") return static_cast<bool>(words >> gpu.average);
  if (key == "hang_ns") return words >> gpu.hang_ns && gpu.hang_ns >= 0;
  if (key == "lost") return static_cast<bool>(words >> gpu.lost);
  if (key == "garbage") return static_cast<bool>(words >> gpu.garbage);
  if (key == "mig") return static_cast<bool>(words >> gpu.mig);
  if (key == "busy_percent") return static_cast<bool>(words >> gpu.busy_percent);
  if (key == "memory_mib") return static_cast<bool>(words >> gpu.memory_mib >> gpu.used_mib);
  if (key == "limit_w") return static_cast<bool>(words >> gpu.limit_w);
  if (key == "process") return static_cast<bool>(words >> gpu.processes.emplace_back());
  if (key == "instance") {
    Instance& one = gpu.instances.emplace_back();
    return static_cast<bool>(words >> one.uuid >> one.gpu_instance >> one.compute_instance >> one.slices >>
                             one.memory_mib >> one.used_mib);
  }
  return false;
}

bool parse_line(const std::string& key, std::istringstream& words, Scenario& scenario) {
  if (key == "start_ns") return static_cast<bool>(words >> scenario.start_ns);
  if (key == "epoch") return static_cast<bool>(words >> scenario.epoch);
  if (key == "init") return static_cast<bool>(words >> scenario.init_code);
  if (key == "gpu") return static_cast<bool>(words >> scenario.gpus.emplace_back().uuid);
  return !scenario.gpus.empty() && parse_gpu_line(key, words, scenario.gpus.back());
}

}  // namespace

double Waveform::joules(double seconds) const {
  const double periods = std::floor(seconds / period_s);
  const double rest = seconds - periods * period_s;
  switch (shape) {
    case Shape::kConstant:
      return high * seconds;
    case Shape::kSquare: {
      const double half = period_s / 2;
      const double up = std::min(rest, half);
      return periods * half * (low + high) + up * high + (rest - up) * low;
    }
    case Shape::kRamp: {
      const double slope = (high - low) / period_s;
      return periods * period_s * (low + high) / 2 + low * rest + slope * rest * rest / 2;
    }
    case Shape::kRandom:
      return random_joules(*this, seconds);
  }
  return 0;
}

bool parse(const std::string& text, Scenario& scenario, std::string& error) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string key, more;
    if (words >> key && parse_line(key, words, scenario) && !(words >> more)) continue;
    error = line;
    return false;
  }
  return true;
}

}  // namespace emulated
