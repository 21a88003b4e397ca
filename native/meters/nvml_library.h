// Where the NVML functions come from: the driver's library, or in tests an emulated one.
#pragma once

#include <string>
#include <utility>

#include "meters/nvml_api.h"

namespace wattle {

class NvmlLibrary {
 public:
  enum class State {
    kOpen,
    kAbsent,    // there is no such library
    kUnusable,  // it lacks what no driver's library lacks
  };

  virtual ~NvmlLibrary() = default;
  virtual State open(nvml::Api& api) = 0;
  virtual void close() noexcept = 0;
  // What was opened, or looked for.
  virtual std::string path() const = 0;
  // Why it is not open.
  virtual std::string error() const { return {}; }
};

// The library of that name or path; empty: the driver's, where distributions and containers put it.
class DynamicNvml final : public NvmlLibrary {
 public:
  explicit DynamicNvml(std::string configured) : configured_(std::move(configured)) {}
  ~DynamicNvml() override { close(); }
  DynamicNvml(const DynamicNvml&) = delete;
  DynamicNvml& operator=(const DynamicNvml&) = delete;

  State open(nvml::Api& api) override;
  void close() noexcept override;
  std::string path() const override;
  std::string error() const override { return error_; }

 private:
  const std::string configured_;
  std::string opened_;
  std::string error_;
  void* library_ = nullptr;
};

}  // namespace wattle
