#include "meters/dcmi.h"

namespace wattle {
namespace {

constexpr uint8_t kCompleted = 0x00;
constexpr uint8_t kMeasuring = 1 << 6;

uint16_t word(std::span<const uint8_t> bytes, size_t at) noexcept {
  return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
}

uint32_t double_word(std::span<const uint8_t> bytes, size_t at) noexcept {
  return word(bytes, at) | static_cast<uint32_t>(word(bytes, at + 2)) << 16;
}

}  // namespace

std::optional<DcmiPower> parse_dcmi_power(std::span<const uint8_t> answer) noexcept {
  if (answer.size() < kPowerAnswerBytes || answer[0] != kCompleted || answer[1] != kPowerReadingBody[0])
    return std::nullopt;
  return DcmiPower{word(answer, 2),
                   word(answer, 4),
                   word(answer, 6),
                   word(answer, 8),
                   double_word(answer, 10),
                   double_word(answer, 14),
                   (answer[18] & kMeasuring) != 0};
}

}  // namespace wattle
