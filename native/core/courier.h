// Polls a meter that may block on a thread of its own, so that it never delays another meter.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <memory>
#include <span>

#include "core/clock.h"
#include "core/meter.h"

namespace wattle {

// To the sampling thread it is a meter whose poll only fetches the latest reading, with the time it was taken at. A
// meter that hangs therefore shows as readings that grow old, and as missing coverage.
class Courier final : public Meter {
 public:
  Courier(std::unique_ptr<Meter> meter, int64_t period_ns);
  ~Courier() override;
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  // How long to wait for polls under way, of all couriers together. Longer than a management controller usually takes
  // to answer, and short enough that a daemon drains within its 5 s.
  static constexpr int64_t kPatienceNs = 3 * kNsPerSecond / 2;

  // 0, or the error number of pthread_create. Does nothing while it runs.
  int start() noexcept;
  // Waits for a poll under way until CLOCK_MONOTONIC shows `until_ns`; one that hangs for longer is left behind and
  // ends by itself, unless the courier is started again before.
  void stop(int64_t until_ns) noexcept;
  // Where several are to be stopped: returns at once, and stop() then finds the thread ending.
  void ask_to_stop() noexcept;

  std::span<const DomainInfo> domains() const noexcept override;
  void poll(const Tick& tick, std::span<Reading> out) noexcept override;
  // The meter itself is reset when its thread starts.
  void reset() noexcept override {}
  std::vector<GpuStatus> gpus() const override;

  // Asks for a poll now, where the meter wants to know of events. From any thread; returns at once.
  void nudge() noexcept;

  // CPU time of the thread, and of its former runs.
  int64_t cpu_ns() const noexcept;

 private:
  struct Shared;

  const std::shared_ptr<Shared> shared_;
  bool running_ = false;
  // The thread was left behind, and not joined: another one beside it would poll the same meter.
  bool abandoned_ = false;
  pthread_t thread_{};
  int64_t ended_cpu_ns_ = 0;
  // What of it the thread that was left behind had burnt by then.
  int64_t left_cpu_ns_ = 0;
};

}  // namespace wattle
