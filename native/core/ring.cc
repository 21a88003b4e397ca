#include "core/ring.h"

namespace wattle {

RingWriter::RingWriter(const RingShape& shape, std::byte* memory) noexcept
    : shape_(shape),
      header_(reinterpret_cast<uint32_t*>(memory)),
      cells_(reinterpret_cast<double*>(memory + RingShape::kHeaderBytes)) {}

std::atomic_ref<uint32_t> RingWriter::word(RingHeader::Word word) const noexcept {
  return std::atomic_ref<uint32_t>(header_[word]);
}

bool RingWriter::write(const Tick& tick, std::span<const DomainTotals> totals) noexcept {
  const uint32_t record = word(RingHeader::kHead).load(std::memory_order_relaxed);
  word(RingHeader::kReserved).store(record + 1);
  const bool pinned = word(RingHeader::kPinned).load() != 0;
  if (pinned && record + 1 - word(RingHeader::kPin).load() > shape_.capacity) {
    word(RingHeader::kReserved).store(record);
    word(RingHeader::kDropped).fetch_add(1);
    return false;
  }

  const uint32_t row = record & (shape_.capacity - 1);
  double* const fields = cells_ + shape_.cell(row, 0);
  fields[RingShape::kMonoNs] = static_cast<double>(tick.mono_ns);
  fields[RingShape::kRealMs] = static_cast<double>(tick.real_ns) / 1e6;
  fields[RingShape::kFlags] = (tick.forced ? kForced : 0U) | (tick.cpu_read ? kCpu : 0U);
  for (uint32_t domain = 0; domain < totals.size(); domain++) {
    fields[shape_.energy_field(domain)] = static_cast<double>(totals[domain].energy_uj);
    fields[shape_.coverage_field(domain)] = static_cast<double>(totals[domain].covered_ns);
    fields[shape_.known_at_field(domain)] = static_cast<double>(totals[domain].known_at_ns);
  }
  // At a kilohertz most records read no CPU time: what is not new is not written.
  const std::span<const CpuReading> cpu = tick.cpu_read ? tick.cpu : std::span<const CpuReading>();
  for (uint32_t slot = 0; slot < cpu.size(); slot++) {
    const CpuReading& reading = cpu[slot];
    cells_[shape_.cpu_cell(row, slot)] =
        reading.status == CpuReading::Status::kGood ? static_cast<double>(reading.ns) + 1 : 0;
  }
  word(RingHeader::kHead).store(record + 1);
  return true;
}

}  // namespace wattle
