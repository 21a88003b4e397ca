#include "core/text.h"
#include "fuzz.h"

namespace wattle {

using fuzz::promise;

FUZZ(number, input) { parse_number(input); }

FUZZ(cpu_stat, input) { promise(parse_cpu_stat_ns(input).value_or(0) >= 0); }

FUZZ(proc_stat, input) { promise(parse_proc_stat_ns(input, 100).value_or(0) >= 0); }

}  // namespace wattle
