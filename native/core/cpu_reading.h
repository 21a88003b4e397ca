// One CPU-time counter at one tick.
#pragma once

#include <cstdint>

namespace wattle {

struct CpuReading {
  enum class Status : uint8_t {
    kUnused,
    kMissing,  // there, but unreadable
    kAbsent,   // the file does not exist: its group has no processes, so it burns no CPU time
    kGood,
  };
  Status status = Status::kUnused;
  int64_t ns = 0;
};

}  // namespace wattle
