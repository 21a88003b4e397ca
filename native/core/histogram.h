// How often values of each size occurred, in fixed memory: for percentiles of durations.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/tally.h"

namespace wattle {

// Buckets of a quarter of a power of two, so that a percentile read off it is at most a quarter too high. One thread
// adds, any may read.
class Histogram {
 public:
  static constexpr size_t kBuckets = 64 * 4;

  void add(uint64_t value) noexcept { buckets_[bucket_of(value)].add(); }
  uint64_t count(size_t bucket) const noexcept { return buckets_[bucket].get(); }

  // The largest value that falls into a bucket.
  static uint64_t upper_bound(size_t bucket) noexcept {
    if (bucket < 4) return bucket;
    const unsigned shift = static_cast<unsigned>(bucket / 4 - 1);
    return ((uint64_t{4} + bucket % 4 + 1) << shift) - 1;
  }

  // The upper bound of the bucket that holds the value below which `share` of all lie; 0 where there is none.
  uint64_t quantile(double share) const noexcept {
    uint64_t total = 0;
    for (const Tally& bucket : buckets_) total += bucket.get();
    if (total == 0) return 0;
    const auto rank = static_cast<uint64_t>(share * static_cast<double>(total - 1)) + 1;
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; i++) {
      seen += buckets_[i].get();
      if (seen >= rank) return upper_bound(i);
    }
    return upper_bound(kBuckets - 1);
  }

 private:
  static size_t bucket_of(uint64_t value) noexcept {
    if (value < 4) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 3;
    return (size_t{shift} + 1) * 4 + ((value >> shift) & 3);
  }

  std::array<Tally, kBuckets> buckets_;
};

}  // namespace wattle
