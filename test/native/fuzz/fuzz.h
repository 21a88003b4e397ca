// Fuzz targets in one header: FUZZ(name, input) { parse(input); }, and a folder corpus/NAME with a few good inputs.
// `input` is a std::string_view on memory of its own of exactly that size, so that AddressSanitizer sees every read
// beyond it.
#pragma once

#include <cstdlib>
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

}  // namespace wattle::fuzz

#define FUZZ(name, input)                                                 \
  static void name(std::string_view input);                               \
  static const ::wattle::fuzz::Registered registered_##name(#name, name); \
  static void name(std::string_view input)
