// The latest value that one thread hands to another, without either ever waiting for the other.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace wattle {

// A sequence lock over words: one writer, any number of readers. A reader that meets a write in progress is told so
// and keeps what it had; it never spins, so a writer that was put to sleep half-way holds up no one.
template <typename T>
class Mailbox {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  void put(const T& value) noexcept {
    std::array<uint64_t, kWords> words{};
    std::memcpy(words.data(), &value, sizeof value);
    const uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    // Whoever sees one of the new words sees the odd number too: each word is released after it.
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    for (size_t i = 0; i < kWords; i++) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
  }

  // False, with `value` as it was, where nothing was put yet or a write is under way.
  bool get(T& value) const noexcept {
    const uint64_t before = sequence_.load(std::memory_order_acquire);
    if (before == 0 || (before & 1) != 0) return false;
    std::array<uint64_t, kWords> words;
    for (size_t i = 0; i < kWords; i++) words[i] = words_[i].load(std::memory_order_acquire);
    if (sequence_.load(std::memory_order_relaxed) != before) return false;
    std::memcpy(static_cast<void*>(&value), words.data(), sizeof value);
    return true;
  }

 private:
  static constexpr size_t kWords = (sizeof(T) + sizeof(uint64_t) - 1) / sizeof(uint64_t);
  std::atomic<uint64_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};
};

}  // namespace wattle
