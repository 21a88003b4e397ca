#include "fuzz.h"
#include "meters/dcmi.h"

namespace wattle {

FUZZ(dcmi, input) {
  const std::span answer(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  fuzz::promise(!parse_dcmi_power(answer) || answer.size() >= kPowerAnswerBytes);
}

}  // namespace wattle
