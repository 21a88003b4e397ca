// Runs every test, or those whose name contains the argument, or, after a `-`, those whose name does not.
#include <cstring>

#include "check.h"

int main(int argc, char** argv) {
  const char* part = argc > 1 ? argv[1] : "";
  const bool without = *part == '-';
  if (without) part++;
  int run = 0;
  for (const auto& test : wattle::test::cases()) {
    if ((std::strstr(test.name, part) == nullptr) != without) continue;
    const int before = wattle::test::failures();
    test.body();
    std::printf("%s %s\n", wattle::test::failures() == before ? "ok" : "FAILED", test.name);
    run++;
  }
  std::printf("%d tests, %d failures\n", run, wattle::test::failures());
  return run > 0 && wattle::test::failures() == 0 ? 0 : 1;
}
