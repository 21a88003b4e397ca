// The last N ticks in one block of memory that TypeScript reads in place.
//
// The block is a header, then a row of doubles per record, then a column of doubles per CPU slot. A row holds time,
// wall-clock time and flags, and of each domain its energy, its coverage and up to when both are known. Rows, because a
// thread that ticks a hundred times a second finds the caches cold: what a tick writes lies together. Columns, because
// then a slot that nobody uses never touches memory. Doubles, because TypeScript reads them without making a BigInt;
// every whole number below 2^53 is exact. A CPU cell holds the time plus 1 ns: 0, which untouched memory holds too,
// means that there is no value. CPU cells of a record without the flag kCpu are older than the record.
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

  // Fields of a row.
  static constexpr uint32_t kMonoNs = 0;
  static constexpr uint32_t kRealMs = 1;
  static constexpr uint32_t kFlags = 2;
  static constexpr uint32_t kFixedFields = 3;
  static constexpr uint32_t kDomainFields = 3;
  uint32_t energy_field(uint32_t domain) const { return kFixedFields + kDomainFields * domain; }
  uint32_t coverage_field(uint32_t domain) const { return energy_field(domain) + 1; }
  uint32_t known_at_field(uint32_t domain) const { return energy_field(domain) + 2; }

  // Doubles from one row to the next: whole lines of the processor's cache.
  size_t row_cells() const { return (energy_field(domains) + kLineCells - 1) / kLineCells * kLineCells; }
  // Doubles from one column to the next. A line more than the records: columns a power of two apart would all compete
  // for the same few lines of the cache.
  size_t column_cells() const { return size_t{capacity} + kLineCells; }

  // Cells, numbered from the end of the header.
  size_t cell(uint32_t row, uint32_t field) const { return row * row_cells() + field; }
  size_t cpu_cell(uint32_t row, uint32_t slot) const { return capacity * row_cells() + slot * column_cells() + row; }
  size_t bytes() const { return kHeaderBytes + sizeof(double) * cpu_cell(0, cpu_slots); }

  static constexpr size_t kHeaderBytes = 64;
  static constexpr size_t kLineCells = 64 / sizeof(double);
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

  const RingShape shape_;
  uint32_t* const header_;
  double* const cells_;
};

}  // namespace wattle
