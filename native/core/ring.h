// The last N ticks in one block of memory that TypeScript reads in place.
//
// The block is a header and then columns of doubles: time, wall-clock time, flags; of each domain its energy, its
// coverage and up to when both are known; CPU time of each slot. Columns, because then a slot that nobody uses never
// touches memory. Doubles, because TypeScript reads them without making a BigInt; every whole number below 2^53 is
// exact. A CPU cell holds the time plus 1 ns: 0, which untouched memory holds too, means that there is no value. Cells
// of a record without the flag kCpu are older than the record.
//
// One writer, one reader, no locks. The writer announces a record (`reserved`), writes it, publishes it (`head`). A
// reader that is about to read announces where it stands (`pin`, `pinned`) and only then looks at `reserved`: it skips
// what the writer may already be overwriting, and what it has pinned the writer leaves alone, dropping new records
// instead. All five are sequentially consistent, so at least one side sees the other. Counters are cumulative: a lost
// or dropped record costs resolution, never joules.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/cpu_reading.h"
#include "core/meter.h"

namespace wattle {

struct RingShape {
  uint32_t capacity = 0;  // records, a power of two
  uint32_t domains = 0;
  uint32_t cpu_slots = 0;

  // Columns in the order they lie in memory.
  uint32_t energy_column(uint32_t domain) const { return kFixedColumns + kDomainColumns * domain; }
  uint32_t coverage_column(uint32_t domain) const { return energy_column(domain) + 1; }
  uint32_t known_at_column(uint32_t domain) const { return energy_column(domain) + 2; }
  uint32_t cpu_column(uint32_t slot) const { return energy_column(domains) + slot; }
  uint32_t columns() const { return cpu_column(cpu_slots); }
  // Doubles from one column to the next. A line more than the records: columns a power of two apart would all compete
  // for the same few lines of the processor's cache.
  size_t stride() const { return size_t{capacity} + kCacheLine / sizeof(double); }
  size_t bytes() const { return kHeaderBytes + sizeof(double) * columns() * stride(); }

  static constexpr uint32_t kMonoNs = 0;
  static constexpr uint32_t kRealMs = 1;
  static constexpr uint32_t kFlags = 2;
  static constexpr uint32_t kFixedColumns = 3;
  static constexpr uint32_t kDomainColumns = 3;
  static constexpr size_t kCacheLine = 64;
  static constexpr size_t kHeaderBytes = 64;
};

// The header: record numbers modulo 2^32, as Int32Array indices.
struct RingHeader {
  enum Word : uint32_t { kHead, kReserved, kPin, kPinned, kDropped, kWords };
};

enum RingFlag : uint32_t { kForced = 1, kCpu = 2 };

struct DomainTotals {
  uint64_t energy_uj = 0;
  uint64_t covered_ns = 0;
  int64_t known_at_ns = 0;
};

class RingWriter {
 public:
  // `memory` is zeroed, aligned to 8 and of shape.bytes(); it outlives the writer.
  RingWriter(const RingShape& shape, std::byte* memory) noexcept;

  // False where the record was dropped because the reader holds the place it needs.
  bool write(const Tick& tick, std::span<const DomainTotals> totals) noexcept;

 private:
  std::atomic_ref<uint32_t> word(RingHeader::Word word) const noexcept;
  double& cell(uint32_t column, uint32_t row) const noexcept;

  const RingShape shape_;
  uint32_t* const header_;
  double* const cells_;
};

}  // namespace wattle
