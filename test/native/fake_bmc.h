// A management controller in virtual time: a question takes no time of the test, only of `now_ns`.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/hardware.h"

namespace wattle::test {

class FakeBmc : public Hardware {
 public:
  // The node's power over time, and the controller's clock.
  std::function<double(int64_t ns)> watts = [](int64_t) { return 300.0; };
  std::function<uint32_t(int64_t ns)> stamp = [](int64_t ns) {
    return static_cast<uint32_t>(1'700'000'000 + ns / 1'000'000'000);
  };
  bool active = true;
  // How it fails: an error number instead of a descriptor; an error number, or ETIMEDOUT, instead of an answer.
  int refuses_open = 0;
  int fails = 0;
  // What becomes of its answer on the way.
  std::function<void(std::vector<uint8_t>& answer)> spoil = [](std::vector<uint8_t>&) {};

  int64_t now_ns = 0;
  // What it was asked.
  int asks = 0;
  int longest_timeout_ms = 0;
  std::vector<uint8_t> last_request;
  int open_descriptors = 0;
  int opens = 0;

  int open_ipmi(const std::string&) noexcept override {
    if (refuses_open != 0) return -refuses_open;
    open_descriptors++;
    return 100 + opens++;
  }

  int64_t ask_ipmi(int, const IpmiRequest& request, std::span<uint8_t> answer, int timeout_ms) noexcept override {
    asks++;
    longest_timeout_ms = std::max(longest_timeout_ms, timeout_ms);
    last_request = {request.net_fn, request.command};
    last_request.insert(last_request.end(), request.data.begin(), request.data.end());
    if (fails != 0) return -fails;
    std::vector<uint8_t> bytes = power_reading();
    spoil(bytes);
    const size_t length = std::min(bytes.size(), answer.size());
    std::copy_n(bytes.begin(), length, answer.begin());
    return static_cast<int64_t>(length);
  }

  void close(int) noexcept override { open_descriptors--; }

  int open_perf(const PerfEvent&, int, int) noexcept override { return -ENODEV; }
  int64_t read_perf(int, std::span<uint64_t>) noexcept override { return -ENODEV; }
  int open_msr(int) noexcept override { return -ENODEV; }
  int read_msr(int, uint32_t, uint64_t&) noexcept override { return -ENODEV; }

  std::vector<uint8_t> power_reading() const {
    std::vector<uint8_t> bytes = {0x00, 0xDC};
    const auto put = [&](uint32_t value, int count) {
      for (int i = 0; i < count; i++) bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
    };
    const auto now_watts = static_cast<uint32_t>(watts(now_ns) + 0.5);
    for (int i = 0; i < 4; i++) put(now_watts, 2);
    put(stamp(now_ns), 4);
    put(1000, 4);
    put(active ? 0x40 : 0x00, 1);
    return bytes;
  }
};

}  // namespace wattle::test
