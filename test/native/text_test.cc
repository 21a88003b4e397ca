#include "core/text.h"

#include <random>
#include <string>

#include "check.h"

namespace wattle {
namespace {

TEST(number_takes_what_sysfs_prints) {
  CHECK_EQUAL(parse_number("0\n").value_or(1), 0u);
  CHECK_EQUAL(parse_number("262143328850\n").value_or(0), 262143328850u);
  CHECK_EQUAL(parse_number("00000000000000000042\n").value_or(0), 42u);
  CHECK_EQUAL(parse_number("18446744073709551615").value_or(0), UINT64_MAX);
}

TEST(number_refuses_everything_else) {
  for (const char* text : {"", "\n", " 1\n", "-1\n", "+1\n", "1 \n", "1\n\n", "1\n2\n", "1x", "0x10\n", "1.5\n",
                           "nan\n", "18446744073709551616\n", "99999999999999999999999\n"})
    CHECK(!parse_number(text));
  CHECK(!parse_number(std::string_view("1\0", 2)));
}

TEST(cpu_stat_gives_usage_in_nanoseconds) {
  CHECK_EQUAL(parse_cpu_stat_ns("usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n").value_or(0), 1'500'000);
  CHECK_EQUAL(parse_cpu_stat_ns("user_usec 1\nusage_usec 7\n").value_or(0), 7000);
}

TEST(cpu_stat_refuses_torn_and_foreign_text) {
  for (const char* text : {"", "usage_usec", "usage_usec ", "usage_usec \n", "usage_usec 15", "usage_usec x\n",
                           "user_usec 5\n", "xusage_usec 5\n", "usage_usec 18446744073709551615\n", "usage_usec -3\n"})
    CHECK(!parse_cpu_stat_ns(text));
}

TEST(proc_stat_counts_work_and_not_waiting) {
  // user nice system idle iowait irq softirq steal guest guest_nice
  CHECK_EQUAL(parse_proc_stat_ns("cpu  1 2 4 1000 1000 8 16 1000 1000 1000\ncpu0 1 2", 100).value_or(0), 310'000'000);
}

TEST(proc_stat_refuses_torn_and_foreign_text) {
  for (const char* text :
       {"", "cpu", "cpu \n", "cpu  1 2 3\n", "cpu  1 2 4 5 6 7 8", "cpu0 1 2 3 4 5 6 7\n", "cpu  1 2 x 4 5 6 7\n",
        "cpu  18446744073709551615 1 1 1 1 1 1\n", "cpu  9223372036854775807 0 0 0 0 0 0\n"})
    CHECK(!parse_proc_stat_ns(text, 100));
}

TEST(parsers_stand_random_bytes) {
  std::mt19937 random(1);
  const std::string alphabet = "0123456789 \ncpuusage_usec-.x\0";
  for (int i = 0; i < 50'000; i++) {
    std::string text(random() % 64, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    if (i % 2 == 0) text = (i % 4 == 0 ? "usage_usec " : "cpu  ") + text;
    parse_number(text);
    const auto cpu = parse_cpu_stat_ns(text);
    const auto host = parse_proc_stat_ns(text, 100);
    CHECK(cpu.value_or(0) >= 0);
    CHECK(host.value_or(0) >= 0);
  }
}

}  // namespace
}  // namespace wattle
