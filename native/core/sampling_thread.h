// The thread that ticks: on absolute deadlines, and at once when forced.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "core/sampler.h"
#include "core/tally.h"

namespace wattle {

struct ThreadStats {
  Tally ticks;         // on time or late, without the forced ones
  Tally forced_ticks;  // several requests that arrive together are one tick
  Tally late_ticks;    // began more than a tenth of a period after their time
  Tally missed_ticks;  // deadlines that had passed altogether
  Tally first_tick_ns;
  Tally last_tick_ns;
};

// Waits on one futex with an absolute CLOCK_MONOTONIC timeout: a single system call per tick is timer and wake-up both.
class SamplingThread {
 public:
  SamplingThread(Sampler& sampler, int64_t period_ns) noexcept : sampler_(sampler), period_ns_(period_ns) {}
  ~SamplingThread() { stop(); }
  SamplingThread(const SamplingThread&) = delete;
  SamplingThread& operator=(const SamplingThread&) = delete;

  // 0, or the error number of pthread_create.
  int start() noexcept;
  // Returns when the thread has ended; does nothing where none runs.
  void stop() noexcept;
  bool running() const noexcept { return running_; }

  // A tick as soon as the thread is scheduled, besides the regular ones.
  void force_tick() noexcept;

  const ThreadStats& stats() const noexcept { return stats_; }
  // CPU time that the thread, with its former runs, has burnt.
  int64_t cpu_ns() const noexcept;

 private:
  enum Request : uint32_t { kStop = 1, kForce = 2 };

  static void* enter(void* self) noexcept;
  void run() noexcept;
  void tick_on_time(int64_t now_ns, int64_t& deadline_ns) noexcept;
  void request(Request request) noexcept;
  void wait_until(int64_t deadline_ns) noexcept;

  Sampler& sampler_;
  const int64_t period_ns_;
  pthread_t thread_{};
  bool running_ = false;
  int64_t ended_cpu_ns_ = 0;
  std::atomic<uint32_t> requests_{0};
  ThreadStats stats_;
};

}  // namespace wattle
