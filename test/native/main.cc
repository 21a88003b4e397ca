// Runs every test, or those whose name contains the first argument.
#include <cstring>

#include "check.h"

int main(int argc, char** argv) {
  int run = 0;
  for (const auto& test : wattle::test::cases()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    const int before = wattle::test::failures();
    test.body();
    std::printf("%s %s\n", wattle::test::failures() == before ? "ok" : "FAILED", test.name);
    run++;
  }
  std::printf("%d tests, %d failures\n", run, wattle::test::failures());
  return run > 0 && wattle::test::failures() == 0 ? 0 : 1;
}
