// A meter whose domains are small files of microjoules: powercap zones, hwmon sensors.
#pragma once

#include <utility>
#include <vector>

#include "core/counter_file.h"
#include "core/meter.h"

namespace wattle {

struct FileDomain {
  DomainInfo info;
  CounterFile counter;
};

class CounterFiles final : public Meter {
 public:
  explicit CounterFiles(std::vector<FileDomain> domains) {
    for (FileDomain& domain : domains) {
      domains_.push_back(std::move(domain.info));
      counters_.push_back(std::move(domain.counter));
    }
  }

  std::span<const DomainInfo> domains() const noexcept override { return domains_; }

  void poll(const Tick& tick, std::span<Reading> out) noexcept override {
    for (size_t i = 0; i < counters_.size(); i++) {
      const auto energy_uj = counters_[i].read(tick.mono_ns);
      out[i] = energy_uj ? Reading{Reading::Status::kGood, *energy_uj, tick.mono_ns} : Reading{};
    }
  }

  void reset() noexcept override {}

 private:
  std::vector<DomainInfo> domains_;
  std::vector<CounterFile> counters_;
};

}  // namespace wattle
