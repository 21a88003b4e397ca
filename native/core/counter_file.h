// A small kernel file that holds one counter: kept open, and looked for again when it has gone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/file.h"

namespace wattle {

class CounterFile {
 public:
  // Opened at once: later the privilege to do so may be gone.
  explicit CounterFile(std::string path);

  // Nothing where the file holds no number; then it is opened anew, at most once a second. No allocation.
  std::optional<uint64_t> read(int64_t now_ns) noexcept;
  const std::string& path() const noexcept { return path_; }
  // Why the file is not open: an error number, or 0.
  int error() const noexcept { return error_; }

 private:
  std::optional<uint64_t> read() const noexcept;
  bool open() noexcept;

  std::string path_;
  File file_;
  int error_ = 0;
  int64_t reopen_at_ns_ = 0;
};

}  // namespace wattle
