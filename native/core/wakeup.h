// One word to sleep on: a deadline and requests from other threads end the sleep alike.
#pragma once

#include <atomic>
#include <cstdint>

namespace wattle {

// Any thread requests; one thread waits and takes. A single system call per sleep is timer and wake-up both.
class Wakeup {
 public:
  void request(uint32_t bits) noexcept;
  // Sleeps until CLOCK_MONOTONIC shows `deadline_ns`, or a request is there; may also return early for no reason.
  void wait_until(int64_t deadline_ns) noexcept;

  uint32_t requests() const noexcept { return requests_.load(); }
  // Whether any of them was requested: of two that clear the same request only one is told so.
  bool clear(uint32_t bits) noexcept { return (requests_.fetch_and(~bits) & bits) != 0; }

 private:
  std::atomic<uint32_t> requests_{0};
};

}  // namespace wattle
