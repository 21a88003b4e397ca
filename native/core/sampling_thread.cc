#include "core/sampling_thread.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/clock.h"
#include "core/thread.h"

namespace wattle {
namespace {

// The kernel may fire a timer this much late to save wake-ups; its default of 50 us is too coarse for short periods.
constexpr int64_t kDefaultTimerSlackNs = 50'000;

// From this rate on a tick is urgent: a busy processor's turn of a few ms would swallow several. Below it the thread
// waits like any other, and needs no privilege.
constexpr int64_t kUrgentPeriodNs = kNsPerSecond / 100;

// The rate is judged over stretches of at least this long, and of at least this many ticks.
constexpr int64_t kStretchNs = kNsPerSecond;
constexpr uint64_t kStretchTicks = 20;
// More deadlines missed than this share: the machine cannot hold the rate.
constexpr uint64_t kMissedOneIn = 10;
// Never slower than the default rate of 10 Hz, which every machine holds.
constexpr int64_t kSlowestNs = kNsPerSecond / 10;
// The former rate is tried again after this long; after each failure twice as long, up to the second bound.
constexpr int64_t kRetryNs = 10 * kNsPerSecond;
constexpr int64_t kLongestRetryNs = 600 * kNsPerSecond;

}  // namespace

int SamplingThread::start() noexcept {
  if (running_) return 0;
  wakeup_.clear(kStop | kForce);
  int error = sampler_.start(Instant::now());
  if (error != 0) return error;
  error = start_thread(thread_, enter, this);
  if (error != 0) sampler_.stop();
  running_ = error == 0;
  return error;
}

void SamplingThread::stop() noexcept {
  if (!running_) return;
  ended_cpu_ns_ += thread_cpu_ns(thread_);
  wakeup_.request(kStop);
  pthread_join(thread_, nullptr);
  running_ = false;
  sampler_.stop();
}

int64_t SamplingThread::cpu_ns() const noexcept { return ended_cpu_ns_ + (running_ ? thread_cpu_ns(thread_) : 0); }

void* SamplingThread::enter(void* self) noexcept {
  static_cast<SamplingThread*>(self)->run();
  return nullptr;
}

void SamplingThread::run() noexcept {
  prctl(PR_SET_NAME, "wattle-sampler");
  prctl(PR_SET_TIMERSLACK, std::min(kDefaultTimerSlackNs, period_ns_ / 1000));
  if (period_ns_ <= kUrgentPeriodNs) be_urgent();
  find_timer_resolution();
  int64_t deadline_ns = monotonic_ns();
  set_period(period_ns_);
  stretch_end_ns_ = deadline_ns + kStretchNs;
  retry_after_ns_ = kRetryNs;
  for (;;) {
    const uint32_t requests = wakeup_.requests();
    if (requests & kStop) return;
    if (requests & kForce) {
      wakeup_.clear(kForce);
      sampler_.tick(Instant::now(), true, current_ns_);
      stats_.forced_ticks.add();
      continue;
    }
    const int64_t now_ns = monotonic_ns();
    if (now_ns < deadline_ns) {
      wakeup_.wait_until(deadline_ns);
    } else {
      tick_on_time(now_ns, deadline_ns);
    }
  }
}

// A tick takes microseconds, so a realtime thread holds up no one for longer; SCHED_RESET_ON_FORK is of no matter, the
// thread starts no other. Without CAP_SYS_NICE the thread stays as it is, and the lateness tells.
void SamplingThread::be_urgent() noexcept {
  const sched_param lowest{.sched_priority = sched_get_priority_min(SCHED_FIFO)};
  if (sched_setscheduler(0, SCHED_FIFO, &lowest) == 0) {
    urgency_.set(static_cast<uint64_t>(Urgency::kRealtime));
  } else if (setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), -20) == 0) {
    urgency_.set(static_cast<uint64_t>(Urgency::kNice));
  }
}

void SamplingThread::find_timer_resolution() noexcept {
  std::array<int64_t, 9> waits{};
  for (int64_t& wait : waits) {
    const int64_t before_ns = monotonic_ns();
    const timespec until{(before_ns + 1000) / kNsPerSecond, (before_ns + 1000) % kNsPerSecond};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    wait = monotonic_ns() - before_ns;
  }
  std::sort(waits.begin(), waits.end());
  stats_.timer_resolution_ns.set(static_cast<uint64_t>(waits[waits.size() / 2]));
}

void SamplingThread::tick_on_time(int64_t now_ns, int64_t& deadline_ns) noexcept {
  sampler_.tick(Instant::now(), false, current_ns_);
  if (stats_.ticks.get() == 0) stats_.first_tick_ns.set(static_cast<uint64_t>(now_ns));
  stats_.last_tick_ns.set(static_cast<uint64_t>(now_ns));
  stats_.ticks.add();
  const int64_t late_ns = now_ns - deadline_ns;
  stats_.lateness_ns.add(static_cast<uint64_t>(late_ns));
  if (late_ns > current_ns_ / 10) stats_.late_ticks.add();
  const int64_t missed = late_ns / current_ns_;
  stats_.missed_ticks.add(static_cast<uint64_t>(missed));
  deadline_ns += (missed + 1) * current_ns_;
  adapt(static_cast<uint64_t>(missed), now_ns);
}

void SamplingThread::adapt(uint64_t missed, int64_t now_ns) noexcept {
  stretch_ticks_++;
  stretch_missed_ += missed;
  if (now_ns < stretch_end_ns_ || stretch_ticks_ < kStretchTicks) return;
  const bool holds = stretch_missed_ * kMissedOneIn <= stretch_ticks_ + stretch_missed_;
  stretch_ticks_ = 0;
  stretch_missed_ = 0;
  stretch_end_ns_ = now_ns + kStretchNs;
  if (!holds && current_ns_ * 2 <= kSlowestNs) {
    stats_.slowdowns.add();
    set_period(current_ns_ * 2);
    retry_at_ns_ = now_ns + retry_after_ns_;
    retry_after_ns_ = std::min(retry_after_ns_ * 2, kLongestRetryNs);
  } else if (holds && current_ns_ > period_ns_ && now_ns >= retry_at_ns_) {
    set_period(current_ns_ / 2);
    retry_at_ns_ = now_ns + retry_after_ns_;
  }
}

void SamplingThread::set_period(int64_t period_ns) noexcept {
  current_ns_ = period_ns;
  stats_.period_ns.set(static_cast<uint64_t>(period_ns));
}

}  // namespace wattle
