#include <algorithm>

#include "core/text.h"
#include "fuzz.h"

namespace wattle {

using fuzz::promise;

FUZZ(number, input) { parse_number(input); }

FUZZ(cpu_list, input) {
  const auto cpus = parse_cpu_list(input);
  if (!cpus) return;
  promise(std::is_sorted(cpus->begin(), cpus->end()));
  promise(cpus->empty() || (cpus->front() >= 0 && cpus->back() <= kMaxCpu));
}

FUZZ(cpu_stat, input) { promise(parse_cpu_stat_ns(input).value_or(0) >= 0); }

FUZZ(proc_stat, input) { promise(parse_proc_stat_ns(input, 100).value_or(0) >= 0); }

}  // namespace wattle
