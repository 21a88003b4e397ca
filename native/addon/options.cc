#include "addon/options.h"

namespace wattle {
namespace {

template <typename T>
std::optional<T> field(const Napi::Object& object, const char* name);

template <>
std::optional<double> field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsNumber()) return std::nullopt;
  return value.As<Napi::Number>().DoubleValue();
}

template <>
std::optional<std::string> field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsString()) return std::nullopt;
  return value.As<Napi::String>().Utf8Value();
}

std::optional<MeterOptions> parse_meter(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  const auto kind = field<std::string>(object, "kind");
  if (!kind) return std::nullopt;
  MeterOptions meter{.kind = *kind};
  if (meter.kind != "model") return meter;

  const auto idle_watts = field<double>(object, "idleWatts");
  const auto watts_per_core = field<double>(object, "wattsPerCore");
  const auto gpu_watts = field<double>(object, "gpuWatts");
  const auto format = parse_cpu_format(object.Get("cpuFormat"));
  const auto path = field<std::string>(object, "cpuPath");
  if (!idle_watts || !watts_per_core || !gpu_watts || !format || !path) return std::nullopt;
  meter.idle_watts = *idle_watts;
  meter.watts_per_core = *watts_per_core;
  meter.gpu_watts = *gpu_watts;
  meter.cpu_format = *format;
  meter.cpu_path = *path;
  meter.absent_is_idle = object.Get("absentIsIdle").ToBoolean();
  return meter;
}

}  // namespace

std::optional<CpuFormat> parse_cpu_format(const Napi::Value& value) {
  if (!value.IsString()) return std::nullopt;
  const std::string name = value.As<Napi::String>();
  if (name == "cpuacct.usage") return CpuFormat::kCpuacctUsage;
  if (name == "cpu.stat") return CpuFormat::kCpuStat;
  if (name == "proc-stat") return CpuFormat::kProcStat;
  if (name == "pushed") return CpuFormat::kPushed;
  return std::nullopt;
}

std::optional<Options> parse_options(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  const auto rate_hz = field<double>(object, "rateHz");
  const auto ring_records = field<double>(object, "ringRecords");
  const auto cpu_slots = field<double>(object, "cpuSlots");
  const auto sysfs = field<std::string>(object, "sysfs");
  const Napi::Value meters = object.Get("meters");
  if (!rate_hz || *rate_hz <= 0 || !ring_records || !cpu_slots || !sysfs || !meters.IsArray()) return std::nullopt;

  Options options{*rate_hz, static_cast<uint32_t>(*ring_records), static_cast<uint32_t>(*cpu_slots), *sysfs, {}};
  const auto list = meters.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    auto meter = parse_meter(list.Get(i));
    if (!meter) return std::nullopt;
    options.meters.push_back(std::move(*meter));
  }
  return options;
}

const char* name_of(DomainKind kind) {
  switch (kind) {
    case DomainKind::kPackage:
      return "package";
    case DomainKind::kCore:
      return "core";
    case DomainKind::kUncore:
      return "uncore";
    case DomainKind::kDram:
      return "dram";
    case DomainKind::kPsys:
      return "psys";
    case DomainKind::kGpu:
      return "gpu";
    case DomainKind::kNode:
      return "node";
  }
  return "";
}

const char* name_of(Quality quality) {
  switch (quality) {
    case Quality::kMeasured:
      return "measured";
    case Quality::kCalibrated:
      return "calibrated";
    case Quality::kEstimated:
      return "estimated";
  }
  return "";
}

const char* name_of(MeterProbe::Outcome outcome) {
  switch (outcome) {
    case MeterProbe::Outcome::kAvailable:
      return "available";
    case MeterProbe::Outcome::kAbsent:
      return "absent";
    case MeterProbe::Outcome::kForbidden:
      return "forbidden";
    case MeterProbe::Outcome::kUnreadable:
      return "unreadable";
  }
  return "";
}

}  // namespace wattle
