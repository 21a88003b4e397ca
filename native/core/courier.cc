#include "core/courier.h"

#include <sys/prctl.h>
#include <time.h>

#include <deque>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/mailbox.h"
#include "core/thread.h"
#include "core/wakeup.h"

namespace wattle {
namespace {

constexpr uint32_t kStop = 1;

// How long stop() waits for a poll under way. Longer than a management controller usually takes to answer, and short
// enough that a daemon drains within its 5 s.
constexpr int64_t kPatienceNs = 2 * kNsPerSecond;

}  // namespace

// What the thread works on. Shared with it, so that a thread that had to be left behind finds it for as long as it
// runs.
struct Courier::Shared {
  Shared(std::unique_ptr<Meter> polled, int64_t period)
      : meter(std::move(polled)), period_ns(period), taken(meter->domains().size()), latest(taken.size()) {
    for (size_t i = 0; i < taken.size(); i++) mailboxes.emplace_back();
  }

  static void* enter(void* argument) noexcept {
    const std::unique_ptr<std::shared_ptr<Shared>> shared(static_cast<std::shared_ptr<Shared>*>(argument));
    (*shared)->run();
    return nullptr;
  }

  void run() noexcept {
    prctl(PR_SET_NAME, "wattle-courier");
    meter->reset();
    int64_t deadline_ns = monotonic_ns();
    while ((wakeup.requests() & kStop) == 0) {
      const int64_t now_ns = monotonic_ns();
      if (now_ns < deadline_ns) {
        wakeup.wait_until(deadline_ns);
        continue;
      }
      meter->poll({now_ns, realtime_ns(), false, false, {}}, taken);
      for (size_t i = 0; i < taken.size(); i++) {
        if (taken[i].status == Reading::Status::kFailed) taken[i].at_ns = now_ns;
        mailboxes[i].put(taken[i]);
      }
      // A meter that is slower than its period is polled again at once, but never twice for one deadline.
      deadline_ns += ((now_ns - deadline_ns) / period_ns + 1) * period_ns;
    }
  }

  const std::unique_ptr<Meter> meter;
  const int64_t period_ns;
  Wakeup wakeup;
  // The courier thread's.
  std::vector<Reading> taken;
  std::deque<Mailbox<Reading>> mailboxes;
  // The sampling thread's.
  std::vector<Reading> latest;
};

Courier::Courier(std::unique_ptr<Meter> meter, int64_t period_ns)
    : shared_(std::make_shared<Shared>(std::move(meter), period_ns)) {}

Courier::~Courier() { stop(); }

int Courier::start() noexcept {
  if (running_ || abandoned_) return 0;
  shared_->wakeup.clear(kStop);
  auto* argument = new std::shared_ptr<Shared>(shared_);
  const int error = start_thread(thread_, Shared::enter, argument);
  if (error != 0) delete argument;
  running_ = error == 0;
  return error;
}

void Courier::stop() noexcept {
  if (!running_) return;
  running_ = false;
  ended_cpu_ns_ += thread_cpu_ns(thread_);
  shared_->wakeup.request(kStop);
  const int64_t until_ns = realtime_ns() + kPatienceNs;
  const timespec until{until_ns / kNsPerSecond, until_ns % kNsPerSecond};
  abandoned_ = pthread_timedjoin_np(thread_, nullptr, &until) != 0;
  if (abandoned_) pthread_detach(thread_);
}

std::span<const DomainInfo> Courier::domains() const noexcept { return shared_->meter->domains(); }

std::vector<GpuStatus> Courier::gpus() const { return shared_->meter->gpus(); }

void Courier::poll(const Tick&, std::span<Reading> out) noexcept {
  for (size_t i = 0; i < out.size(); i++) {
    shared_->mailboxes[i].get(shared_->latest[i]);
    out[i] = shared_->latest[i];
  }
}

int64_t Courier::cpu_ns() const noexcept { return ended_cpu_ns_ + (running_ ? thread_cpu_ns(thread_) : 0); }

}  // namespace wattle
