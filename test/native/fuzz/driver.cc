// Runs the fuzz targets. Built with libFuzzer: the target that WATTLE_FUZZ names, for as long as libFuzzer is told
// (`npm run fuzz`). Built without: every target over its corpus and over mutations of it, the same ones in every run,
// so that the test command needs no more than a compiler.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>

#include "fuzz.h"

#ifdef WATTLE_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const char* const name = std::getenv("WATTLE_FUZZ");
  for (const auto& target : wattle::fuzz::targets()) {
    if (name == nullptr || std::strcmp(target.name, name) != 0) continue;
    target.body({reinterpret_cast<const char*>(data), size});
    return 0;
  }
  std::fprintf(stderr, "WATTLE_FUZZ names no target; there are:");
  for (const auto& target : wattle::fuzz::targets()) std::fprintf(stderr, " %s", target.name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

#else

namespace wattle::fuzz {
namespace {

constexpr int kInputs = 10'000;
constexpr size_t kLongest = 4096;

// What parsers of numbers, lists and lines trip over.
constexpr std::array kWords = {"0",
                               "-1",
                               "18446744073709551615",
                               "18446744073709551616",
                               "9223372036854775808",
                               "\n",
                               " ",
                               ",",
                               "-",
                               ":",
                               "=",
                               "0x",
                               "1e308",
                               "nan",
                               "inf"};

std::vector<std::string> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::string> inputs;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  // Not in the folder's own order, which differs from machine to machine.
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& corpus) : corpus_(corpus) {}

  std::string next() {
    std::string input = corpus_[below(corpus_.size())];
    for (size_t changes = 1 + below(4); changes > 0; changes--) change(input);
    input.resize(std::min(input.size(), kLongest));
    return input;
  }

 private:
  size_t below(size_t bound) { return random_() % bound; }
  size_t place(const std::string& input) { return below(input.size() + 1); }

  void change(std::string& input) {
    const size_t at = place(input);
    switch (below(7)) {
      case 0:
        input.insert(at, 1, static_cast<char>(random_()));
        break;
      case 1:
        input.insert(at, kWords[below(kWords.size())]);
        break;
      case 2:
        input.erase(at, 1 + below(8));
        break;
      case 3:
        input.resize(at);
        break;
      case 4:
        input.insert(at, input.substr(place(input), 1 + below(64)));
        break;
      case 5: {
        const std::string& other = corpus_[below(corpus_.size())];
        input = input.substr(0, at) + other.substr(place(other));
        break;
      }
      default:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
    }
  }

  const std::vector<std::string>& corpus_;
  std::mt19937 random_{1};
};

void run(const Target& target, const std::string& input) {
  const std::unique_ptr<char[]> exact(new char[input.size()]);
  std::copy(input.begin(), input.end(), exact.get());
  target.body({exact.get(), input.size()});
}

}  // namespace
}  // namespace wattle::fuzz

// driver CORPUS [TARGET]
int main(int argc, char** argv) {
  using namespace wattle::fuzz;
  if (argc < 2) return 2;
  int run_targets = 0;
  for (const Target& target : targets()) {
    if (argc > 2 && std::strcmp(argv[2], target.name) != 0) continue;
    const auto corpus = read_corpus(std::filesystem::path(argv[1]) / target.name);
    if (corpus.empty()) {
      std::fprintf(stderr, "no corpus for %s\n", target.name);
      return 1;
    }
    std::fprintf(stderr, "%s\n", target.name);
    for (const std::string& input : corpus) run(target, input);
    Mutator mutator(corpus);
    for (int i = 0; i < kInputs; i++) run(target, mutator.next());
    run_targets++;
  }
  std::printf("%d targets stood %d inputs each\n", run_targets, kInputs);
  return run_targets > 0 ? 0 : 2;
}

#endif
