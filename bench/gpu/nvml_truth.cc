// The nvml meter on a real GPU: polls it fast, as its courier does, and writes every reading beside the driver's raw
// values, for analyse.py. First it times each call that the meter makes.
//   nvml_truth FOLDER [LIBRARY]      until SIGTERM, or for kMostSeconds
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "core/accumulator.h"
#include "core/clock.h"
#include "meters/nvml.h"
#include "meters/nvml_read.h"

namespace {

using namespace wattle;

constexpr int64_t kPeriodNs = kNsPerSecond / 200;
constexpr int64_t kMostSeconds = 170;
constexpr int kTimedCalls = 200;
constexpr int kTimedSlowCalls = 20;

volatile sig_atomic_t ended = 0;

struct Raw {
  nvml::Api api;
  nvml::Handle handle = nullptr;
};

template <typename Call>
void time_calls(FILE* out, const char* name, int times, Call call) {
  std::vector<int64_t> took;
  for (int i = 0; i < times; i++) {
    const int64_t before_ns = monotonic_ns();
    call();
    took.push_back(monotonic_ns() - before_ns);
    // As in use: calls one after the other may find a cache warm.
    const timespec pause{0, 2'000'000};
    nanosleep(&pause, nullptr);
  }
  std::sort(took.begin(), took.end());
  const auto us = [&](size_t index) { return static_cast<double>(took[index]) / 1e3; };
  fprintf(out, "{\"call\":\"%s\",\"times\":%d,\"p50_us\":%.1f,\"p90_us\":%.1f,\"max_us\":%.1f}\n", name, times,
          us(took.size() / 2), us(took.size() * 9 / 10), us(took.size() - 1));
}

void time_all(FILE* out, const Raw& raw, Meter& meter) {
  GpuStatus status;
  std::vector<Reading> readings(meter.domains().size());
  time_calls(out, "energy counter", kTimedCalls, [&] { nvml::energy_uj(raw.api, raw.handle); });
  time_calls(out, "both power fields", kTimedCalls, [&] { nvml::powers(raw.api, raw.handle); });
  time_calls(out, "power usage", kTimedCalls, [&] { nvml::usage_watts(raw.api, raw.handle); });
  time_calls(out, "status", kTimedSlowCalls, [&] { nvml::read_status(raw.api, raw.handle, status); });
  time_calls(out, "MIG instances", kTimedSlowCalls, [&] { nvml::read_instances(raw.api, raw.handle, status); });
  time_calls(out, "poll of the meter", kTimedCalls, [&] { meter.poll({.mono_ns = monotonic_ns()}, readings); });
}

// Index of a domain by the end of its name, or -1.
int find(const Meter& meter, const std::string& gpu, const char* suffix) {
  const auto domains = meter.domains();
  for (size_t i = 0; i < domains.size(); i++)
    if (domains[i].name == gpu + suffix) return static_cast<int>(i);
  return -1;
}

void record(FILE* out, const Raw& raw, Meter& meter) {
  const std::string gpu = meter.domains()[0].name;
  const std::array<int, 3> columns{0, find(meter, gpu, "/instant"), find(meter, gpu, "/average")};
  std::vector<Reading> readings(meter.domains().size());
  Accumulator booked(meter.domains()[0].limits);
  fprintf(out, "mono_ns,poll_us,counter_uj,instant_uj,average_uj,booked_uj,covered_ns,instant_w,average_w,usage_w\n");

  const int64_t begin_ns = monotonic_ns();
  for (int64_t due_ns = begin_ns; ended == 0 && due_ns < begin_ns + kMostSeconds * kNsPerSecond; due_ns += kPeriodNs) {
    const timespec due{due_ns / kNsPerSecond, due_ns % kNsPerSecond};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
    const int64_t now_ns = monotonic_ns();
    meter.poll({.mono_ns = now_ns}, readings);
    const int64_t polled_ns = monotonic_ns();
    booked.feed(readings[0]);
    const auto powers = nvml::powers(raw.api, raw.handle);
    const auto usage = nvml::usage_watts(raw.api, raw.handle);

    fprintf(out, "%lld,%.1f", static_cast<long long>(now_ns), static_cast<double>(polled_ns - now_ns) / 1e3);
    for (const int column : columns) {
      const Reading reading = column < 0 ? Reading{} : readings[static_cast<size_t>(column)];
      if (reading.status == Reading::Status::kFailed)
        fputs(",", out);
      else
        fprintf(out, ",%llu", static_cast<unsigned long long>(reading.energy_uj));
    }
    fprintf(out, ",%llu,%llu", static_cast<unsigned long long>(booked.energy_uj()),
            static_cast<unsigned long long>(booked.covered_ns()));
    for (const auto& watts : {powers.instant, powers.average, usage}) {
      if (watts.good())
        fprintf(out, ",%.3f", watts.value);
      else
        fputs(",", out);
    }
    fputs("\n", out);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: nvml_truth FOLDER [LIBRARY]\n");
    return 2;
  }
  const std::string folder = argv[1];
  MeterContext context;
  if (argc > 2) context.settings.set("library", std::string(argv[2]));
  MeterProbe probe = make_nvml(context);
  for (const std::string& note : probe.notes) fprintf(stderr, "%s\n", note.c_str());
  DynamicNvml library(context.settings.text("library"));
  Raw raw;
  if (!probe.meter || library.open(raw.api) != NvmlLibrary::State::kOpen || raw.api.init() != nvml::kSuccess) {
    fprintf(stderr, "no GPU can be read through %s\n", probe.path.c_str());
    return 1;
  }
  const GpuStatus gpu = probe.meter->gpus().at(0);
  if (raw.api.handle_by_uuid(gpu.uuid.c_str(), &raw.handle) != nvml::kSuccess) return 1;

  FILE* calls = fopen((folder + "/calls.jsonl").c_str(), "w");
  FILE* readings = fopen((folder + "/readings.csv").c_str(), "w");
  if (calls == nullptr || readings == nullptr) {
    fprintf(stderr, "cannot write into %s\n", folder.c_str());
    return 1;
  }
  fprintf(calls, "{\"gpu\":\"%s\",\"power_limit_w\":%.0f,\"mig\":%s,\"domains\":%zu}\n", gpu.name.c_str(),
          gpu.power_limit_watts, gpu.mig ? "true" : "false", probe.meter->domains().size());
  probe.meter->reset();
  time_all(calls, raw, *probe.meter);
  fclose(calls);
  signal(SIGTERM, [](int) { ended = 1; });
  signal(SIGINT, [](int) { ended = 1; });
  record(readings, raw, *probe.meter);
  fclose(readings);
  return 0;
}
