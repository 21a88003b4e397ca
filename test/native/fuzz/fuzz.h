// Fuzz targets in one header: FUZZ(name, input) { parse(input); }, and a folder corpus/NAME with a few good inputs.
// `input` is a std::string_view on memory of its own of exactly that size, so that AddressSanitizer sees every read
// beyond it.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::fuzz {

struct Target {
  const char* name;
  void (*body)(std::string_view input);
};

inline std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

struct Registered {
  Registered(const char* name, void (*body)(std::string_view)) { targets().push_back({name, body}); }
};

// What a parser promises of everything that it accepts.
inline void promise(bool holds) {
  if (!holds) std::abort();
}

// For inputs of several files: the next line, without its end.
inline std::string take_line(std::string_view& input) {
  const size_t end = input.find('\n');
  std::string line(input.substr(0, end));
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return line;
}

// In memory where there is such a place: on a disk, thousands of new files take minutes.
inline std::filesystem::path fast_folder() {
  const std::filesystem::path memory = "/dev/shm";
  return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

}  // namespace wattle::fuzz

#define FUZZ(name, input)                                                 \
  static void name(std::string_view input);                               \
  static const ::wattle::fuzz::Registered registered_##name(#name, name); \
  static void name(std::string_view input)
