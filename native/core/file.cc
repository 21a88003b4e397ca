#include "core/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace wattle {

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

File File::open(const char* path) noexcept {
  // O_NONBLOCK: a FIFO in a counter's place must not stop the sampling thread.
  return File(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

void File::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::optional<std::string_view> File::read(std::span<char> buffer, size_t from) const noexcept {
  ssize_t length = 0;
  do {
    length = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(from));
  } while (length < 0 && errno == EINTR);
  if (length < 0) return std::nullopt;
  return std::string_view(buffer.data(), static_cast<size_t>(length));
}

std::optional<std::string> read_line(const std::string& path) {
  std::array<char, 256> buffer;
  const File file = File::open(path.c_str());
  if (!file.is_open()) return std::nullopt;
  const auto text = file.read(buffer);
  if (!text) return std::nullopt;
  return std::string(text->substr(0, text->find('\n')));
}

std::optional<std::string> read_text(const std::string& path, size_t most) {
  std::array<char, 4096> buffer;
  const File file = File::open(path.c_str());
  if (!file.is_open()) return std::nullopt;
  std::string all;
  for (;;) {
    const auto part = file.read(buffer, all.size());
    if (!part) return std::nullopt;
    if (part->empty()) return all;
    all += *part;
    if (all.size() > most) return std::nullopt;
  }
}

}  // namespace wattle
