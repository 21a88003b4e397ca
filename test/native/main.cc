// Runs every test whose name contains all arguments, and none of those that follow a `-`.
#include <algorithm>
#include <cstring>
#include <span>

#include "check.h"

namespace {

bool wanted(const char* name, std::span<char*> arguments) {
  return std::all_of(arguments.begin(), arguments.end(), [name](const char* part) {
    return *part == '-' ? std::strstr(name, part + 1) == nullptr : std::strstr(name, part) != nullptr;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = std::span(argv, static_cast<size_t>(argc)).subspan(1);
  int run = 0;
  for (const auto& test : wattle::test::cases()) {
    if (!wanted(test.name, arguments)) continue;
    const int before = wattle::test::failures();
    test.body();
    std::printf("%s %s\n", wattle::test::failures() == before ? "ok" : "FAILED", test.name);
    run++;
  }
  std::printf("%d tests, %d failures\n", run, wattle::test::failures());
  return run > 0 && wattle::test::failures() == 0 ? 0 : 1;
}
