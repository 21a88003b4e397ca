// The thread that ticks: on absolute deadlines, and at once when forced.
#pragma once

#include <pthread.h>

#include <cstdint>

#include "core/clock.h"
#include "core/histogram.h"
#include "core/pace.h"
#include "core/sampler.h"
#include "core/tally.h"
#include "core/wakeup.h"

namespace wattle {

struct ThreadStats {
  Tally ticks;         // on time or late, without the forced ones
  Tally forced_ticks;  // several requests that arrive together are one tick
  Tally late_ticks;    // began more than a tenth of a period after their time
  Tally missed_ticks;  // deadlines that got no tick: more of them had passed than are made up for
  Tally first_tick_ns;
  Tally last_tick_ns;
  Histogram lateness_ns;  // of regular ticks: from the deadline to the tick's begin
  // The period in force: longer than the one asked for while the machine cannot hold that, or not at a fair price.
  Tally period_ns;
  Tally slowdowns;  // times the period was doubled
  // What a wait of a microsecond takes here: timer, wake-up and scheduling, found at the start.
  Tally timer_resolution_ns;
};

// How the kernel schedules the thread.
enum class Urgency : uint8_t { kNormal, kNice, kRealtime };

class SamplingThread {
 public:
  SamplingThread(Sampler& sampler, int64_t period_ns) noexcept
      : sampler_(sampler), period_ns_(period_ns), pace_(period_ns) {}
  ~SamplingThread() { stop(); }
  SamplingThread(const SamplingThread&) = delete;
  SamplingThread& operator=(const SamplingThread&) = delete;

  // 0, or an error number.
  int start() noexcept;
  // Returns when the thread has ended; does nothing where none runs.
  void stop() noexcept;
  bool running() const noexcept { return running_; }

  // A tick as soon as the thread is scheduled, besides the regular ones; at most one per millisecond.
  void force_tick() noexcept { wakeup_.request(kForce); }

  const ThreadStats& stats() const noexcept { return stats_; }
  Urgency urgency() const noexcept { return static_cast<Urgency>(urgency_.get()); }
  // CPU time that the thread, with its former runs, has burnt.
  int64_t cpu_ns() const noexcept;

 private:
  enum Request : uint32_t { kStop = 1, kForce = 2 };

  static void* enter(void* self) noexcept;
  void run() noexcept;
  void be_urgent() noexcept;
  void find_timer_resolution() noexcept;
  void tick(bool forced) noexcept;
  void tick_on_time(int64_t now_ns, int64_t& deadline_ns) noexcept;
  void adapt(uint64_t missed, int64_t now_ns) noexcept;

  Sampler& sampler_;
  // As asked for.
  const int64_t period_ns_;
  pthread_t thread_{};
  bool running_ = false;
  int64_t ended_cpu_ns_ = 0;
  Wakeup wakeup_;
  ThreadStats stats_;
  Tally urgency_;

  // The thread's own.
  Pace pace_;
  Instant last_;
};

}  // namespace wattle
