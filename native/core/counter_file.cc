#include "core/counter_file.h"

#include <array>
#include <cerrno>
#include <utility>

#include "core/clock.h"
#include "core/text.h"

namespace wattle {
namespace {

constexpr int64_t kReopenNs = kNsPerSecond;

// The longest number, its end, and room to see that something else follows.
constexpr size_t kNumberBytes = 32;

}  // namespace

CounterFile::CounterFile(std::string path) : path_(std::move(path)) { open(); }

// The old descriptor stays until there is a new one: it may recover where opening is forbidden by now.
bool CounterFile::open() noexcept {
  File anew = File::open(path_.c_str());
  const int error = anew.is_open() ? 0 : errno;
  if (error == 0) file_ = std::move(anew);
  error_ = file_.is_open() ? 0 : error;
  return error == 0;
}

std::optional<uint64_t> CounterFile::read() const noexcept {
  if (!file_.is_open()) return std::nullopt;
  std::array<char, kNumberBytes> buffer;
  const auto text = file_.read(buffer);
  return text ? parse_number(*text) : std::nullopt;
}

std::optional<uint64_t> CounterFile::read(int64_t now_ns) noexcept {
  const auto value = read();
  // After a driver's reload the old descriptor fails for ever.
  if (value || now_ns < reopen_at_ns_) return value;
  reopen_at_ns_ = now_ns + kReopenNs;
  return open() ? read() : std::nullopt;
}

}  // namespace wattle
