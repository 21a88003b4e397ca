// Small kernel files: kept open and read again from the start, without allocation.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace wattle {

class File {
 public:
  File() = default;
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept;
  ~File() { close(); }

  // Opens for reading; errno tells why where the result is not open.
  static File open(const char* path) noexcept;

  bool is_open() const noexcept { return fd_ >= 0; }
  void close() noexcept;
  // What the file holds from a place on, as much as fits; nothing on an error.
  std::optional<std::string_view> read(std::span<char> buffer, size_t from = 0) const noexcept;

 private:
  explicit File(int fd) noexcept : fd_(fd) {}
  int fd_ = -1;
};

// First line of a short file, without its end; nothing where it cannot be read.
std::optional<std::string> read_line(const std::string& path);

// All of a file; nothing where it cannot be read or is longer than `most` bytes.
std::optional<std::string> read_text(const std::string& path, size_t most);

}  // namespace wattle
