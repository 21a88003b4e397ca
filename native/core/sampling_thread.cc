#include "core/sampling_thread.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "core/clock.h"

namespace wattle {
namespace {

// The kernel may fire a timer this much late to save wake-ups; its default of 50 us is too coarse for short periods.
constexpr int64_t kDefaultTimerSlackNs = 50'000;

int64_t thread_cpu_ns(pthread_t thread) noexcept {
  clockid_t clock;
  return pthread_getcpuclockid(thread, &clock) == 0 ? read_clock_ns(clock) : 0;
}

}  // namespace

int SamplingThread::start() noexcept {
  if (running_) return 0;
  requests_.store(0);
  // Signals belong to the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread_, nullptr, enter, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  running_ = error == 0;
  return error;
}

void SamplingThread::stop() noexcept {
  if (!running_) return;
  ended_cpu_ns_ += thread_cpu_ns(thread_);
  request(kStop);
  pthread_join(thread_, nullptr);
  running_ = false;
}

void SamplingThread::force_tick() noexcept { request(kForce); }

int64_t SamplingThread::cpu_ns() const noexcept { return ended_cpu_ns_ + (running_ ? thread_cpu_ns(thread_) : 0); }

void SamplingThread::request(Request request) noexcept {
  requests_.fetch_or(request);
  syscall(SYS_futex, &requests_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void SamplingThread::wait_until(int64_t deadline_ns) noexcept {
  timespec until{};
  until.tv_sec = deadline_ns / kNsPerSecond;
  until.tv_nsec = deadline_ns % kNsPerSecond;
  // Returns at once where a request has come meanwhile: the word is no longer 0.
  syscall(SYS_futex, &requests_, FUTEX_WAIT_BITSET_PRIVATE, 0, &until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

void* SamplingThread::enter(void* self) noexcept {
  static_cast<SamplingThread*>(self)->run();
  return nullptr;
}

void SamplingThread::run() noexcept {
  prctl(PR_SET_NAME, "wattle-sampler");
  prctl(PR_SET_TIMERSLACK, std::min(kDefaultTimerSlackNs, period_ns_ / 1000));
  int64_t deadline_ns = monotonic_ns();
  for (;;) {
    const uint32_t requests = requests_.load();
    if (requests & kStop) return;
    if (requests & kForce) {
      requests_.fetch_and(~uint32_t{kForce});
      sampler_.tick(true);
      stats_.forced_ticks.add();
      continue;
    }
    const int64_t now_ns = monotonic_ns();
    if (now_ns < deadline_ns) {
      wait_until(deadline_ns);
    } else {
      tick_on_time(now_ns, deadline_ns);
    }
  }
}

void SamplingThread::tick_on_time(int64_t now_ns, int64_t& deadline_ns) noexcept {
  sampler_.tick(false);
  if (stats_.ticks.get() == 0) stats_.first_tick_ns.set(static_cast<uint64_t>(now_ns));
  stats_.last_tick_ns.set(static_cast<uint64_t>(now_ns));
  stats_.ticks.add();
  const int64_t late_ns = now_ns - deadline_ns;
  if (late_ns > period_ns_ / 10) stats_.late_ticks.add();
  const int64_t missed = late_ns / period_ns_;
  stats_.missed_ticks.add(static_cast<uint64_t>(missed));
  deadline_ns += (missed + 1) * period_ns_;
}

}  // namespace wattle
