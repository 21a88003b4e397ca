#include "core/wakeup.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

namespace wattle {

void Wakeup::request(uint32_t bits) noexcept {
  requests_.fetch_or(bits);
  syscall(SYS_futex, &requests_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void Wakeup::wait_until(int64_t deadline_ns) noexcept {
  timespec until{};
  until.tv_sec = deadline_ns / kNsPerSecond;
  until.tv_nsec = deadline_ns % kNsPerSecond;
  // Returns at once where a request has come meanwhile: the word is no longer 0.
  syscall(SYS_futex, &requests_, FUTEX_WAIT_BITSET_PRIVATE, 0, &until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace wattle
