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

MeterSettings parse_settings(const Napi::Object& object) {
  MeterSettings settings;
  const auto names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = names.Get(i).ToString();
    const Napi::Value value = object.Get(name);
    if (value.IsBoolean()) settings.set(name, value.As<Napi::Boolean>().Value());
    if (value.IsNumber()) settings.set(name, value.As<Napi::Number>().DoubleValue());
    if (value.IsString()) settings.set(name, value.As<Napi::String>().Utf8Value());
  }
  return settings;
}

}  // namespace

std::optional<MeterOptions> parse_meter(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  const auto maker = field<std::string>(object, "maker");
  const auto sysfs = field<std::string>(object, "sysfs");
  const auto procfs = field<std::string>(object, "procfs");
  const Napi::Value settings = object.Get("settings");
  const Napi::Value only = object.Get("only");
  if (!maker || find_meter(*maker) == nullptr || !sysfs || !procfs || !settings.IsObject() || !only.IsArray())
    return std::nullopt;

  MeterOptions meter{*maker, field<double>(object, "rateHz").value_or(0), {}};
  meter.context.sysfs = *sysfs;
  meter.context.procfs = *procfs;
  meter.context.settings = parse_settings(settings.As<Napi::Object>());
  meter.context.hardware = &machine();
  const auto names = only.As<Napi::Array>();
  for (uint32_t i = 0; i < names.Length(); i++) meter.context.only.push_back(names.Get(i).ToString());
  return meter;
}

std::optional<Options> parse_options(const Napi::Value& value) {
  if (!value.IsObject()) return std::nullopt;
  const auto object = value.As<Napi::Object>();
  const auto rate_hz = field<double>(object, "rateHz");
  const auto cpu_rate_hz = field<double>(object, "cpuRateHz");
  const auto ring_records = field<double>(object, "ringRecords");
  const auto cpu_slots = field<double>(object, "cpuSlots");
  const Napi::Value meters = object.Get("meters");
  if (!rate_hz || *rate_hz <= 0 || !cpu_rate_hz || *cpu_rate_hz <= 0 || !ring_records || !cpu_slots ||
      !meters.IsArray())
    return std::nullopt;

  Options options{*rate_hz, *cpu_rate_hz, static_cast<uint32_t>(*ring_records), static_cast<uint32_t>(*cpu_slots), {}};
  const auto list = meters.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    auto meter = parse_meter(list.Get(i));
    if (!meter || meter->rate_hz <= 0) return std::nullopt;
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

const char* name_of(Urgency urgency) {
  switch (urgency) {
    case Urgency::kNormal:
      return "normal";
    case Urgency::kNice:
      return "nice";
    case Urgency::kRealtime:
      return "realtime";
  }
  return "";
}

}  // namespace wattle
