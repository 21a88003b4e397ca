// The power reading of the Data Center Manageability Interface (DCMI 1.5, section 6.6.1), as bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace wattle {

// The request: network function "group extension", then the body, which begins with DCMI's number.
inline constexpr uint8_t kGroupExtension = 0x2C;
inline constexpr uint8_t kGetPowerReading = 0x02;
// System power statistics; no attributes; reserved.
inline constexpr std::array<uint8_t, 4> kPowerReadingBody = {0xDC, 0x01, 0x00, 0x00};
inline constexpr size_t kPowerAnswerBytes = 19;

struct DcmiPower {
  uint16_t watts = 0;
  // Of the controller's statistics period.
  uint16_t least_watts = 0;
  uint16_t most_watts = 0;
  uint16_t mean_watts = 0;
  // Seconds since 1970 on the controller's clock. Some controllers always show 0.
  uint32_t stamp_s = 0;
  uint32_t period_ms = 0;
  // Whether the controller says that it measures. Some never say so although they do.
  bool active = false;
};

// The whole answer, its completion code first; nothing unless the command completed and the answer is complete.
std::optional<DcmiPower> parse_dcmi_power(std::span<const uint8_t> answer) noexcept;

}  // namespace wattle
