#include "fuzz.h"
#include "meters/pm_counters.h"

namespace wattle {

FUZZ(pm_counters, input) {
  const auto value = parse_pm_value(input);
  // What the meter makes of them: microjoules, and nanoseconds with a sign.
  uint64_t ignored;
  fuzz::promise(!value || !__builtin_mul_overflow(value->joules, uint64_t{1'000'000}, &ignored));
  fuzz::promise(!value || value->stamp_us.value_or(0) <= INT64_MAX / 1000);
}

}  // namespace wattle
