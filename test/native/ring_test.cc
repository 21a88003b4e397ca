#include "core/ring.h"

#include <array>
#include <thread>
#include <vector>

#include "check.h"
#include "core/clock.h"

namespace wattle {
namespace {

// The reader's half of the protocol, as src/sampler/ring.ts has it.
class Reader {
 public:
  Reader(const RingShape& shape, std::byte* memory) : shape_(shape), memory_(memory) {}

  template <typename Visit>
  uint32_t drain(Visit visit) {
    for (;;) {
      word(RingHeader::kPin).store(cursor_);
      word(RingHeader::kPinned).store(1);
      const auto overtaken = static_cast<int32_t>(word(RingHeader::kReserved).load() - cursor_ - shape_.capacity);
      if (overtaken <= 0) break;
      cursor_ += static_cast<uint32_t>(overtaken);
      lost += static_cast<uint32_t>(overtaken);
    }
    uint32_t visited = 0;
    for (const uint32_t end = word(RingHeader::kHead).load(); cursor_ != end; visited++) {
      visit(cursor_ & (shape_.capacity - 1));
      word(RingHeader::kPin).store(++cursor_);
    }
    word(RingHeader::kPinned).store(0);
    return visited;
  }

  double field(uint32_t row, uint32_t number) const { return cells()[shape_.cell(row, number)]; }
  double cpu(uint32_t row, uint32_t slot) const { return cells()[shape_.cpu_cell(row, slot)]; }
  uint32_t dropped() { return word(RingHeader::kDropped).load(); }

  uint32_t lost = 0;

 private:
  const double* cells() const { return reinterpret_cast<const double*>(memory_ + RingShape::kHeaderBytes); }
  std::atomic_ref<uint32_t> word(RingHeader::Word word) {
    return std::atomic_ref<uint32_t>(reinterpret_cast<uint32_t*>(memory_)[word]);
  }
  const RingShape shape_;
  std::byte* const memory_;
  uint32_t cursor_ = 0;
};

struct Fixture {
  explicit Fixture(const RingShape& ring_shape)
      : shape(ring_shape),
        memory(ring_shape.bytes() / sizeof(double)),
        writer(shape, bytes()),
        reader(shape, bytes()) {}
  std::byte* bytes() { return reinterpret_cast<std::byte*>(memory.data()); }

  bool write(uint64_t n) {
    const std::array<CpuReading, 2> cpu{CpuReading{CpuReading::Status::kGood, static_cast<int64_t>(n)}, CpuReading{}};
    std::vector<DomainTotals> totals(shape.domains, DomainTotals{n, n, static_cast<int64_t>(n)});
    return writer.write({static_cast<int64_t>(n), static_cast<int64_t>(n) * 1'000'000, n % 2 == 0, true, cpu}, totals);
  }

  RingShape shape;
  std::vector<double> memory;
  RingWriter writer;
  Reader reader;
};

TEST(ring_hands_over_every_field) {
  Fixture ring({8, 2, 3});
  ring.write(0);
  ring.write(5);
  uint32_t row = 0;
  CHECK_EQUAL(ring.reader.drain([&](uint32_t r) { row = r; }), 2u);
  CHECK_EQUAL(ring.reader.field(row, RingShape::kMonoNs), 5.0);
  CHECK_EQUAL(ring.reader.field(row, RingShape::kRealMs), 5.0);
  CHECK_EQUAL(ring.reader.field(row, RingShape::kFlags), static_cast<double>(kCpu));
  CHECK_EQUAL(ring.reader.field(row, ring.shape.energy_field(1)), 5.0);
  CHECK_EQUAL(ring.reader.field(row, ring.shape.coverage_field(1)), 5.0);
  CHECK_EQUAL(ring.reader.field(row, ring.shape.known_at_field(1)), 5.0);
  // Stored plus 1: an unread counter and untouched memory are both 0.
  CHECK_EQUAL(ring.reader.cpu(row, 0), 6.0);
  CHECK_EQUAL(ring.reader.cpu(row, 1), 0.0);
  CHECK_EQUAL(ring.reader.cpu(row, 2), 0.0);
  CHECK_EQUAL(ring.reader.field(0, RingShape::kFlags), static_cast<double>(kForced | kCpu));
}

TEST(ring_counts_what_a_slow_reader_lost) {
  Fixture ring({8, 1, 2});
  for (uint64_t n = 0; n < 30; n++) CHECK(ring.write(n));
  std::vector<double> seen;
  ring.reader.drain([&](uint32_t row) { seen.push_back(ring.reader.field(row, RingShape::kMonoNs)); });
  CHECK_EQUAL(ring.reader.lost, 22u);
  CHECK_EQUAL(seen.size(), 8u);
  CHECK_EQUAL(seen.front(), 22.0);
  CHECK_EQUAL(seen.back(), 29.0);
}

TEST(ring_leaves_alone_what_the_reader_holds) {
  Fixture ring({8, 1, 2});
  for (uint64_t n = 0; n < 8; n++) ring.write(n);
  bool first = true;
  const uint32_t visited = ring.reader.drain([&](uint32_t row) {
    if (first) {
      for (uint64_t n = 8; n < 20; n++) CHECK(!ring.write(n));
    }
    first = false;
    CHECK(ring.reader.field(row, RingShape::kMonoNs) < 8);
  });
  CHECK_EQUAL(visited, 8u);
  CHECK_EQUAL(ring.reader.dropped(), 12u);
  CHECK(ring.write(20));
  CHECK_EQUAL(ring.reader.drain([](uint32_t) {}), 1u);
}

TEST(thread_ring_never_shows_a_torn_record) {
  Fixture ring({16, 3, 2});
  constexpr uint64_t kRecords = 300'000;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (uint64_t n = 0; n < kRecords; n++) ring.write(n);
    done = true;
  });
  uint64_t seen = 0;
  double last = -1;
  const auto visit = [&](uint32_t row) {
    const double n = ring.reader.field(row, RingShape::kMonoNs);
    CHECK(n > last);
    last = n;
    seen++;
    for (uint32_t domain = 0; domain < 3; domain++) {
      CHECK_EQUAL(ring.reader.field(row, ring.shape.energy_field(domain)), n);
      CHECK_EQUAL(ring.reader.field(row, ring.shape.coverage_field(domain)), n);
    }
    CHECK_EQUAL(ring.reader.cpu(row, 0), n + 1);
  };
  while (!done) ring.reader.drain(visit);
  writer.join();
  ring.reader.drain(visit);
  CHECK_EQUAL(seen + ring.reader.lost + ring.reader.dropped(), kRecords);
}

}  // namespace
}  // namespace wattle
