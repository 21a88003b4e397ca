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

// Forced ticks are at least this far apart, so that a flood of requests leaves the regular ones their time.
constexpr int64_t kBetweenForcedNs = kNsPerSecond / 1000;

int64_t own_cpu_ns() noexcept { return read_clock_ns(CLOCK_THREAD_CPUTIME_ID); }

// A late tick is not a lost one: after a short hold-up each deadline that has passed gets its tick, one right after the
// other, so that records stay as many as deadlines. After a longer one they would only repeat each other.
constexpr int64_t kCatchUpTicks = 16;

}  // namespace

int SamplingThread::start() noexcept {
  if (running_) return 0;
  wakeup_.clear(kStop | kForce);
  last_ = Instant::now();
  int error = sampler_.start(last_);
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
  int64_t forced_due_ns = deadline_ns;
  pace_.begin(deadline_ns, own_cpu_ns());
  stats_.period_ns.set(static_cast<uint64_t>(period_ns_));
  for (bool forced = false;;) {
    const uint32_t requests = wakeup_.requests();
    if (requests & kStop) return;
    if (requests & kForce) {
      wakeup_.clear(kForce);
      forced = true;
    }
    const int64_t now_ns = monotonic_ns();
    if (forced && now_ns >= forced_due_ns) {
      forced = false;
      tick(true);
      stats_.forced_ticks.add();
      forced_due_ns = monotonic_ns() + kBetweenForcedNs;
    } else if (now_ns >= deadline_ns) {
      tick_on_time(now_ns, deadline_ns);
    } else {
      wakeup_.wait_until(forced ? std::min(deadline_ns, forced_due_ns) : deadline_ns);
    }
  }
}

// Nothing but this thread itself keeps a realtime thread from holding up everyone else on its processor: a tick takes
// microseconds with most meters, and where it takes longer the pace gives way before half of the processor is gone.
// SCHED_RESET_ON_FORK is of no matter, the thread starts no other. Without CAP_SYS_NICE the thread stays as it is, and
// the lateness tells.
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

void SamplingThread::tick(bool forced) noexcept {
  last_ = Instant::after(last_, Instant::now);
  sampler_.tick(last_, forced, pace_.period_ns());
}

void SamplingThread::tick_on_time(int64_t now_ns, int64_t& deadline_ns) noexcept {
  tick(false);
  if (stats_.ticks.get() == 0) stats_.first_tick_ns.set(static_cast<uint64_t>(now_ns));
  stats_.last_tick_ns.set(static_cast<uint64_t>(now_ns));
  stats_.ticks.add();
  const int64_t late_ns = now_ns - deadline_ns;
  stats_.lateness_ns.add(static_cast<uint64_t>(late_ns));
  if (late_ns > pace_.period_ns() / 10) stats_.late_ticks.add();
  const int64_t passed = late_ns / pace_.period_ns();
  const int64_t missed = passed > kCatchUpTicks ? passed : 0;
  stats_.missed_ticks.add(static_cast<uint64_t>(missed));
  deadline_ns += (missed + 1) * pace_.period_ns();
  adapt(static_cast<uint64_t>(missed), now_ns);
}

void SamplingThread::adapt(uint64_t missed, int64_t now_ns) noexcept {
  if (!pace_.tick(missed, now_ns)) return;
  if (pace_.judge(now_ns, own_cpu_ns())) stats_.slowdowns.add();
  stats_.period_ns.set(static_cast<uint64_t>(pace_.period_ns()));
}

}  // namespace wattle
