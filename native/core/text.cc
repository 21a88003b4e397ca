#include "core/text.h"

#include <charconv>
#include <limits>

#include "core/clock.h"

namespace wattle {
namespace {

std::optional<int64_t> scaled(uint64_t value, int64_t factor) noexcept {
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / factor)) return std::nullopt;
  return static_cast<int64_t>(value) * factor;
}

}  // namespace

std::optional<uint64_t> take_number(std::string_view& text) noexcept {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

std::optional<uint64_t> parse_number(std::string_view text) noexcept {
  const auto value = take_number(text);
  if (!value || (!text.empty() && text != "\n")) return std::nullopt;
  return value;
}

std::optional<std::vector<int>> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.empty()) return cpus;
  for (;;) {
    const auto first = take_number(text);
    auto last = first;
    if (text.starts_with('-')) {
      text.remove_prefix(1);
      last = take_number(text);
    }
    if (!first || !last || *last < *first || *last > uint64_t{kMaxCpu}) return std::nullopt;
    if (!cpus.empty() && *first <= static_cast<uint64_t>(cpus.back())) return std::nullopt;
    for (uint64_t cpu = *first; cpu <= *last; cpu++) cpus.push_back(static_cast<int>(cpu));
    if (text.empty()) return cpus;
    if (!text.starts_with(',')) return std::nullopt;
    text.remove_prefix(1);
  }
}

std::optional<int64_t> parse_cpu_stat_ns(std::string_view text) noexcept {
  constexpr std::string_view key = "usage_usec ";
  while (!text.empty()) {
    const size_t end = text.find('\n');
    // A line without its end may be cut short, so its number may lack digits.
    if (end == std::string_view::npos) return std::nullopt;
    if (text.starts_with(key)) {
      const auto usec = parse_number(text.substr(key.size(), end - key.size()));
      return usec ? scaled(*usec, 1000) : std::nullopt;
    }
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<int64_t> parse_proc_stat_ns(std::string_view text, int64_t ticks_per_second) noexcept {
  constexpr std::string_view key = "cpu ";
  constexpr int kFields = 7;  // user nice system idle iowait irq softirq
  const size_t end = text.find('\n');
  if (!text.starts_with(key) || end == std::string_view::npos || ticks_per_second <= 0) return std::nullopt;
  text = text.substr(key.size(), end - key.size());
  uint64_t busy = 0;
  for (int field = 0; field < kFields; field++) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    const auto value = take_number(text);
    if (!value) return std::nullopt;
    const bool idle = field == 3 || field == 4;
    if (!idle && __builtin_add_overflow(busy, *value, &busy)) return std::nullopt;
  }
  return scaled(busy, kNsPerSecond / ticks_per_second);
}

}  // namespace wattle
