// A count that one thread raises and others may read: a plain load and store, no locked instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace wattle {

class Tally {
 public:
  void add(uint64_t n = 1) noexcept { set(get() + n); }
  void set(uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace wattle
