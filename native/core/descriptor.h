// A descriptor that some Hardware opened, closed where its owner ends.
#pragma once

#include <utility>

#include "core/hardware.h"

namespace wattle {

class Descriptor {
 public:
  Descriptor() = default;
  // Takes what an open_...() gave: a descriptor, or an error number below 0.
  Descriptor(Hardware& hardware, int opened) noexcept : hardware_(&hardware), value_(opened) {}
  Descriptor(Descriptor&& other) noexcept : hardware_(other.hardware_), value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(hardware_, other.hardware_);
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (is_open()) hardware_->close(value_);
  }

  bool is_open() const noexcept { return value_ >= 0; }
  // Where it is not open, the error number below 0.
  int get() const noexcept { return value_; }

 private:
  Hardware* hardware_ = nullptr;
  int value_ = -1;
};

}  // namespace wattle
