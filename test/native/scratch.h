// A folder of small files for one test, gone at its end.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace wattle::test {

class Scratch {
 public:
  explicit Scratch(const std::filesystem::path& below = std::filesystem::temp_directory_path()) {
    std::string pattern = (below / "wattle-native-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string path(const std::string& name) const { return root_ + "/" + name; }

  // Overwrites in place, as a kernel counter changes under an open descriptor.
  void write(const std::string& name, const std::string& text) const {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path(), ignored);
    const int fd = open(path(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text.data(), text.size(), 0) < 0) abort();
    close(fd);
  }

  void remove(const std::string& name) const {
    std::error_code ignored;
    std::filesystem::remove_all(path(name), ignored);
  }

  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

}  // namespace wattle::test
