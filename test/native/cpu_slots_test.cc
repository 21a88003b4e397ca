#include "core/cpu_slots.h"

#include <thread>

#include "check.h"
#include "core/clock.h"
#include "scratch.h"

namespace wattle {
namespace {

using Status = CpuReading::Status;

// Slots judge their age by the real clock.
int64_t in_seconds(int64_t seconds) { return monotonic_ns() + seconds * kNsPerSecond; }

TEST(cpu_slots_read_every_format) {
  test::Scratch scratch;
  scratch.write("cpuacct.usage", "123456789\n");
  scratch.write("cpu.stat", "usage_usec 42\nuser_usec 1\n");
  scratch.write("stat", "cpu  1 1 1 9 9 1 1 9 9 9\ncpu0 0 0\n");
  CpuSlots slots(4);
  CHECK_EQUAL(slots.watch(CpuFormat::kCpuacctUsage, scratch.path("cpuacct.usage")), 0);
  CHECK_EQUAL(slots.watch(CpuFormat::kCpuStat, scratch.path("cpu.stat")), 1);
  CHECK_EQUAL(slots.watch(CpuFormat::kProcStat, scratch.path("stat")), 2);
  CHECK_EQUAL(slots.watch(CpuFormat::kPushed, ""), 3);
  CHECK_EQUAL(slots.watch(CpuFormat::kPushed, ""), -1);
  CHECK(slots.push(3, 77));
  CHECK(!slots.push(3, -1));
  CHECK(!slots.push(0, 77));
  const auto readings = slots.read(in_seconds(0));
  CHECK_EQUAL(readings.size(), 4u);
  CHECK_EQUAL(readings[0].ns, 123456789);
  CHECK_EQUAL(readings[1].ns, 42'000);
  CHECK_EQUAL(readings[2].ns, 5 * kNsPerSecond / 100);
  CHECK_EQUAL(readings[3].ns, 77);
}

TEST(cpu_slots_cost_nothing_beyond_the_highest_in_use) {
  CpuSlots slots(512);
  CHECK(slots.read(in_seconds(0)).empty());
  slots.watch(CpuFormat::kPushed, "");
  const auto readings = slots.read(in_seconds(0));
  CHECK_EQUAL(readings.size(), 1u);
  CHECK(readings[0].status == Status::kMissing);
}

TEST(cpu_slots_wait_for_a_file_and_look_again_only_now_and_then) {
  test::Scratch scratch;
  CpuSlots slots(1);
  slots.watch(CpuFormat::kCpuacctUsage, scratch.path("usage"));
  CHECK(slots.read(in_seconds(100))[0].status == Status::kAbsent);
  scratch.write("usage", "5\n");
  CHECK(slots.read(in_seconds(100))[0].status == Status::kAbsent);
  CHECK_EQUAL(slots.read(in_seconds(102))[0].ns, 5);
}

TEST(cpu_slots_tell_unreadable_from_absent) {
  test::Scratch scratch;
  scratch.write("usage", "not a number\n");
  CpuSlots slots(2);
  slots.watch(CpuFormat::kCpuacctUsage, scratch.path("usage"));
  slots.watch(CpuFormat::kCpuacctUsage, scratch.root());
  const auto readings = slots.read(in_seconds(0));
  CHECK(readings[0].status == Status::kMissing);
  CHECK(readings[1].status == Status::kMissing);
}

TEST(cpu_slots_are_used_again_once_the_sampling_side_let_go) {
  CpuSlots slots(1);
  CHECK_EQUAL(slots.watch(CpuFormat::kPushed, ""), 0);
  slots.push(0, 9);
  slots.read(in_seconds(0));
  CHECK(slots.unwatch(0));
  CHECK(!slots.unwatch(0));
  CHECK(!slots.unwatch(7));
  CHECK_EQUAL(slots.watch(CpuFormat::kPushed, ""), -1);
  CHECK(slots.read(in_seconds(0))[0].status == Status::kUnused);
  CHECK_EQUAL(slots.watch(CpuFormat::kPushed, ""), 0);
  // The former owner's value is gone.
  CHECK(slots.read(in_seconds(0))[0].status == Status::kMissing);
  slots.unwatch(0);
  slots.reap();
  CHECK_EQUAL(slots.watch(CpuFormat::kPushed, ""), 0);
}

TEST(thread_cpu_slots_change_hands_without_locks) {
  test::Scratch scratch;
  scratch.write("usage", "5\n");
  CpuSlots slots(8);
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) slots.read(monotonic_ns());
  });
  for (int i = 0; i < 3000; i++) {
    const int32_t file = slots.watch(CpuFormat::kCpuacctUsage, scratch.path("usage"));
    const int32_t pushed = slots.watch(CpuFormat::kPushed, "");
    if (pushed >= 0) slots.push(static_cast<uint32_t>(pushed), i);
    if (file >= 0) slots.unwatch(static_cast<uint32_t>(file));
    if (pushed >= 0) slots.unwatch(static_cast<uint32_t>(pushed));
    std::this_thread::yield();
  }
  done = true;
  reader.join();
}

}  // namespace
}  // namespace wattle
