// Ticks of the sampler back to back on a clock of its own, so that an hour passes in a minute.
// `tick_loop TICKS RATE_HZ SYSFS METER` reads a meter's domains below SYSFS, advances the powercap counters there
// before each tick, and prints one line of JSON. The ring reaches back 60 s and has 512 slots for CPU time, as by
// default.
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "core/sampler.h"
#include "meters/meters.h"

namespace wattle {
namespace {

constexpr int64_t kWindowSeconds = 60;
// As in src/sampler/options.ts.
constexpr uint32_t kCpuSlots = 512;
constexpr double kForcedShare = 1.05;
constexpr uint64_t kMicrojoulesPerTick = 150'000;
// Of an Intel package, as the emulated ones have it.
constexpr uint64_t kModulusUj = 262'143'328'911;

std::vector<int> open_counters(const std::string& sysfs) {
  std::vector<int> counters;
  std::error_code none;
  for (const auto& zone : std::filesystem::directory_iterator(sysfs + "/class/powercap", none))
    counters.push_back(open((zone.path() / "energy_uj").c_str(), O_WRONLY | O_TRUNC));
  return counters;
}

// The pages of this process that are in memory. Not VmRSS, which the kernel only keeps roughly.
uint64_t resident_bytes() {
  FILE* file = fopen("/proc/self/smaps_rollup", "r");
  char line[256];
  uint64_t kilobytes = 0;
  while (file != nullptr && fgets(line, sizeof line, file) != nullptr)
    if (sscanf(line, "Rss: %" SCNu64, &kilobytes) == 1) break;
  if (file != nullptr) fclose(file);
  return kilobytes * 1024;
}

class Loop {
 public:
  Loop(std::unique_ptr<Meter> meter, int64_t rate_hz, std::vector<int> counters)
      : period_ns_(kNsPerSecond / rate_hz),
        counters_(std::move(counters)),
        sampler_(paced(std::move(meter)), std::make_shared<CpuSlots>(kCpuSlots), kNsPerSecond / 10) {
    const auto records = static_cast<uint32_t>(static_cast<double>(rate_hz * kWindowSeconds) * kForcedShare);
    shape_ = {std::bit_ceil(records), static_cast<uint32_t>(sampler_.domains().size()), kCpuSlots};
    void* memory = mmap(nullptr, shape_.bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sampler_.attach(shape_, static_cast<std::byte*>(memory));
    sampler_.start(now_);
  }

  void run(int64_t ticks) {
    for (int64_t i = 0; i < ticks; i++) {
      energy_uj_ = (energy_uj_ + kMicrojoulesPerTick) % kModulusUj;
      char text[32];
      const int length = snprintf(text, sizeof text, "%012" PRIu64 "\n", energy_uj_);
      for (const int counter : counters_)
        if (pwrite(counter, text, static_cast<size_t>(length), 0) < 0) abort();
      now_.mono_ns += period_ns_;
      now_.real_ns += period_ns_;
      now_.boot_ns += period_ns_;
      sampler_.tick(now_, false, period_ns_);
    }
  }

  const Sampler& sampler() const { return sampler_; }
  const RingShape& shape() const { return shape_; }

 private:
  std::vector<PacedMeter> paced(std::unique_ptr<Meter> meter) const {
    std::vector<PacedMeter> all;
    all.push_back({std::move(meter), period_ns_});
    return all;
  }

  const int64_t period_ns_;
  const std::vector<int> counters_;
  Sampler sampler_;
  RingShape shape_;
  Instant now_ = Instant::now();
  uint64_t energy_uj_ = 1'000'000'000;
};

}  // namespace
}  // namespace wattle

int main(int argc, char** argv) {
  using namespace wattle;
  if (argc != 5) return 2;
  const int64_t ticks = atoll(argv[1]);
  const int64_t rate_hz = atoll(argv[2]);
  const std::string sysfs = argv[3];
  const MeterMaker maker = find_meter(argv[4]);
  MeterProbe probe = maker != nullptr ? maker({.sysfs = sysfs, .hardware = &machine()}) : MeterProbe{};
  if (!probe.meter) {
    fprintf(stderr, "%s: nothing to read at %s\n", argv[4], probe.path.c_str());
    return 1;
  }

  const uint64_t before = resident_bytes();
  Loop loop(std::move(probe.meter), rate_hz, open_counters(sysfs));
  // The ring's first turn touches all of its memory.
  const int64_t first = std::min<int64_t>(ticks, loop.shape().capacity);
  loop.run(first);
  const uint64_t full = resident_bytes();
  const uint64_t full_heap = mallinfo2().uordblks;
  loop.run(ticks - first);
  const uint64_t end = resident_bytes();
  const uint64_t end_heap = mallinfo2().uordblks;
  uint64_t failed = 0;
  for (uint32_t i = 0; i < loop.sampler().domains().size(); i++)
    failed += loop.sampler().health(i).failed_reads.get() + loop.sampler().health(i).resets.get();
  printf("{\"domains\": %zu, \"ringBytes\": %" PRIu64 ", \"reservedBytes\": %zu, \"growthBytes\": %" PRId64
         ", \"heapGrowthBytes\": %" PRId64 ", \"faults\": %" PRIu64 "}\n",
         loop.sampler().domains().size(), full - before, loop.shape().bytes(), static_cast<int64_t>(end - full),
         static_cast<int64_t>(end_heap - full_heap), failed);
  return 0;
}
