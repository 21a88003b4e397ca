// A test harness in one header: TEST(name) { CHECK(...); }.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace wattle::test {

struct Case {
  const char* name;
  void (*body)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Registered {
  Registered(const char* name, void (*body)()) { cases().push_back({name, body}); }
};

// Integers of either sign compare by value.
template <typename A, typename B>
bool same(const A& a, const B& b) {
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
    return std::cmp_equal(a, b);
  } else {
    return a == b;
  }
}

template <typename A, typename B>
void check_equal(const A& found, const B& expected, const char* text, const char* file, int line) {
  if (same(found, expected)) return;
  std::ostringstream message;
  message << file << ":" << line << ": " << text << ": found " << found << ", expected " << expected << "\n";
  std::fputs(message.str().c_str(), stderr);
  failures()++;
}

inline void check(bool holds, const char* text, const char* file, int line) {
  if (holds) return;
  std::fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
  failures()++;
}

}  // namespace wattle::test

#define TEST(name)                                                        \
  static void name();                                                     \
  static const ::wattle::test::Registered registered_##name(#name, name); \
  static void name()
#define CHECK(condition) ::wattle::test::check((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(found, expected) ::wattle::test::check_equal((found), (expected), #found, __FILE__, __LINE__)
