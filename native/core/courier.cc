#include "core/courier.h"

#include <sys/prctl.h>

#include <algorithm>
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
constexpr uint32_t kAsk = 2;

// Events come in bursts, such as the starts of an array's jobs: polls for them are at least this far apart.
constexpr int64_t kBetweenAsksNs = kNsPerSecond / 20;

// After a poll the thread rests for as long as the poll took, so that a meter slower than its period takes no more than
// half of a processor; a poll that hung costs no more than this on top.
constexpr int64_t kLongestRestNs = 2 * kNsPerSecond;

// What a mailbox carries. A reading that says that the counter began anew may be overwritten before it is fetched, so
// each one after it tells how often that happened.
struct Parcel {
  Reading reading{.at_ns = kNotYetNs};
  uint64_t restarts = 0;
};

}  // namespace

// What the thread works on. Shared with it, so that a thread that had to be left behind finds it for as long as it
// runs.
struct Courier::Shared {
  Shared(std::unique_ptr<Meter> polled, int64_t period)
      : meter(std::move(polled)),
        period_ns(period),
        taken(meter->domains().size()),
        sent(taken.size()),
        latest(taken.size()) {
    for (size_t i = 0; i < taken.size(); i++) mailboxes.emplace_back();
  }

  static void* enter(void* argument) noexcept {
    const std::unique_ptr<std::shared_ptr<Shared>> shared(static_cast<std::shared_ptr<Shared>*>(argument));
    (*shared)->run();
    (*shared)->ended.request(1);
    return nullptr;
  }

  void run() noexcept {
    prctl(PR_SET_NAME, "wattle-courier");
    meter->reset();
    int64_t deadline_ns = monotonic_ns();
    int64_t polled_ns = deadline_ns - kBetweenAsksNs;
    int64_t rested_ns = deadline_ns;
    for (bool asked = false;;) {
      const uint32_t requests = wakeup.requests();
      // Taken here or withdrawn by start(), never both.
      if ((requests & kStop) != 0 && wakeup.clear(kStop)) return;
      if ((requests & kAsk) != 0) {
        wakeup.clear(kAsk);
        asked = true;
      }
      const int64_t now_ns = monotonic_ns();
      const int64_t wanted_ns = asked ? std::min(deadline_ns, polled_ns + kBetweenAsksNs) : deadline_ns;
      const int64_t due_ns = std::max(wanted_ns, rested_ns);
      if (now_ns < due_ns) {
        wakeup.wait_until(due_ns);
        continue;
      }
      polled_ns = now_ns;
      meter->poll({now_ns, realtime_ns(), std::exchange(asked, false), false, {}}, taken);
      for (size_t i = 0; i < taken.size(); i++) {
        if (taken[i].status == Reading::Status::kFailed) taken[i].at_ns = now_ns;
        send(i);
      }
      const int64_t ended_ns = monotonic_ns();
      rested_ns = ended_ns + std::min(ended_ns - now_ns, kLongestRestNs);
      // Never twice for one deadline.
      if (now_ns >= deadline_ns) deadline_ns += ((now_ns - deadline_ns) / period_ns + 1) * period_ns;
    }
  }

  void send(size_t domain) noexcept {
    Parcel& parcel = sent[domain];
    const Reading& reading = taken[domain];
    const bool repeated = reading.at_ns == parcel.reading.at_ns && parcel.reading.status == reading.status;
    if (reading.status == Reading::Status::kRestarted && !repeated) parcel.restarts++;
    parcel.reading = reading;
    mailboxes[domain].put(parcel);
  }

  void fetch(size_t domain) noexcept {
    Parcel parcel;
    if (!mailboxes[domain].get(parcel)) return;
    Parcel& last = latest[domain];
    // The reading that said so was overwritten: the first good one after it says so instead.
    const bool missed = parcel.restarts != last.restarts && parcel.reading.status == Reading::Status::kGood;
    if (parcel.reading.status == Reading::Status::kFailed) parcel.restarts = last.restarts;
    if (missed) parcel.reading.status = Reading::Status::kRestarted;
    last = parcel;
  }

  const std::unique_ptr<Meter> meter;
  const int64_t period_ns;
  Wakeup wakeup;
  // Requested when the thread no longer works on this.
  Wakeup ended;
  // The courier thread's.
  std::vector<Reading> taken;
  std::vector<Parcel> sent;
  std::deque<Mailbox<Parcel>> mailboxes;
  // The sampling thread's.
  std::vector<Parcel> latest;
};

Courier::Courier(std::unique_ptr<Meter> meter, int64_t period_ns)
    : shared_(std::make_shared<Shared>(std::move(meter), period_ns)) {}

Courier::~Courier() {
  stop(monotonic_ns() + kPatienceNs);
  if (abandoned_) pthread_detach(thread_);
}

int Courier::start() noexcept {
  if (running_) return 0;
  if (std::exchange(abandoned_, false)) {
    // It still hangs, and goes on as if it had never been told to stop.
    if (shared_->wakeup.clear(kStop)) {
      ended_cpu_ns_ -= left_cpu_ns_;
      running_ = true;
      return 0;
    }
    pthread_join(thread_, nullptr);
  }
  shared_->ended.clear(1);
  auto* argument = new std::shared_ptr<Shared>(shared_);
  const int error = start_thread(thread_, Shared::enter, argument);
  if (error != 0) delete argument;
  running_ = error == 0;
  return error;
}

void Courier::ask_to_stop() noexcept {
  if (running_) shared_->wakeup.request(kStop);
}

void Courier::stop(int64_t until_ns) noexcept {
  if (!running_) return;
  running_ = false;
  left_cpu_ns_ = thread_cpu_ns(thread_);
  ended_cpu_ns_ += left_cpu_ns_;
  shared_->wakeup.request(kStop);
  while (shared_->ended.requests() == 0 && monotonic_ns() < until_ns) shared_->ended.wait_until(until_ns);
  abandoned_ = shared_->ended.requests() == 0;
  if (!abandoned_) pthread_join(thread_, nullptr);
}

std::span<const DomainInfo> Courier::domains() const noexcept { return shared_->meter->domains(); }

std::vector<GpuStatus> Courier::gpus() const { return shared_->meter->gpus(); }

void Courier::poll(const Tick&, std::span<Reading> out) noexcept {
  for (size_t i = 0; i < out.size(); i++) {
    shared_->fetch(i);
    out[i] = shared_->latest[i].reading;
  }
}

void Courier::nudge() noexcept {
  if (shared_->meter->wants_events()) shared_->wakeup.request(kAsk);
}

int64_t Courier::cpu_ns() const noexcept { return ended_cpu_ns_ + (running_ ? thread_cpu_ns(thread_) : 0); }

}  // namespace wattle
