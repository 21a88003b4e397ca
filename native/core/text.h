// Parsers of what the kernel prints. Every byte is treated as hostile: what is not exactly right is not a number.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace wattle {

// Takes the decimal number that `text` starts with; nothing where there is none or it does not fit 64 bits.
std::optional<uint64_t> take_number(std::string_view& text) noexcept;

// A decimal number alone on its line, as sysfs and cpuacct.usage print it.
std::optional<uint64_t> parse_number(std::string_view text) noexcept;

// A list of CPUs as the kernel prints it, `0-3,8,10-11`: ascending. Nothing where it is not exactly that, or names a
// CPU above kMaxCpu.
inline constexpr int kMaxCpu = 16383;
std::optional<std::vector<int>> parse_cpu_list(std::string_view text);

// cgroup v2 cpu.stat: the `usage_usec` line, in nanoseconds.
std::optional<int64_t> parse_cpu_stat_ns(std::string_view text) noexcept;

// The first line of /proc/stat: user + nice + system + irq + softirq in nanoseconds. Idle, iowait and steal are not
// work done here; guest time is part of user already.
std::optional<int64_t> parse_proc_stat_ns(std::string_view text, int64_t ticks_per_second) noexcept;

}  // namespace wattle
