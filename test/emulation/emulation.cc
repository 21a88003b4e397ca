// The product's addon on emulated hardware, with a way to say what that hardware is.
#include <napi.h>

// The product's own face, without its registration: this addon exports it beside `emulation`.
#undef NODE_API_MODULE
#define NODE_API_MODULE(name, init)
#include "addon/addon.cc"
#include "emulation/emulated_hardware.h"

namespace wattle::emulation {
namespace {

double number(const Napi::Object& object, const char* name, double otherwise = 0) {
  const Napi::Value value = object.Get(name);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : otherwise;
}

std::string text(const Napi::Object& object, const char* name) { return object.Get(name).ToString(); }

template <typename Visit>
void each(const Napi::Object& object, const char* name, Visit visit) {
  const auto list = object.Get(name).As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) visit(list.Get(i));
}

std::set<int> numbers(const Napi::Object& object, const char* name) {
  std::set<int> found;
  each(object, name, [&](const Napi::Value& value) { found.insert(value.ToNumber().Int32Value()); });
  return found;
}

Waveform waveform(const Napi::Object& object) {
  const std::string shape = text(object, "shape");
  Waveform found;
  if (shape == "constant") return {Waveform::Shape::kConstant, 0, number(object, "watts")};
  if (shape == "square") found.shape = Waveform::Shape::kSquare;
  if (shape == "ramp") found.shape = Waveform::Shape::kRamp;
  if (shape == "random") found.shape = Waveform::Shape::kRandom;
  found.low_watts = number(object, "lowWatts");
  found.high_watts = number(object, "highWatts");
  found.period_s = number(object, "periodS", 1);
  found.seed = static_cast<uint32_t>(number(object, "seed", 1));
  return found;
}

CounterSpec counter(const Napi::Object& object) {
  return {text(object, "name"), text(object, "domain"), numbers(object, "cpus"),
          static_cast<uint32_t>(number(object, "exponent")), static_cast<uint64_t>(number(object, "unitsToWrap"))};
}

// add(node): NodeSpec of emulation/addon.ts.
void add(const Napi::CallbackInfo& info) {
  const auto given = info[0].As<Napi::Object>();
  NodeSpec node;
  node.start_ns = static_cast<int64_t>(number(given, "startNs"));
  const auto waveforms = given.Get("waveforms").As<Napi::Object>();
  const auto names = waveforms.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = names.Get(i).ToString();
    node.waveforms[name] = waveform(waveforms.Get(name).As<Napi::Object>());
  }
  each(given, "events", [&](const Napi::Value& value) {
    const auto event = value.As<Napi::Object>();
    node.events.push_back(
        {static_cast<uint32_t>(number(event, "type")), static_cast<uint64_t>(number(event, "config")), counter(event)});
  });
  each(given, "registers", [&](const Napi::Value& value) {
    const auto one = value.As<Napi::Object>();
    node.registers.push_back({static_cast<uint32_t>(number(one, "address")), counter(one)});
  });
  each(given, "constants", [&](const Napi::Value& value) {
    const auto one = value.As<Napi::Object>();
    node.constants.push_back({static_cast<uint32_t>(number(one, "address")), numbers(one, "cpus"),
                              static_cast<uint64_t>(number(one, "value"))});
  });
  each(given, "controllers", [&](const Napi::Value& value) {
    const auto one = value.As<Napi::Object>();
    node.controllers.push_back({text(one, "name"), text(one, "domain"), text(one, "device")});
  });
  emulated().add(node);
}

void clear(const Napi::CallbackInfo&) { emulated().clear(); }

// fault(name, kind). False where there is no such name or kind.
Napi::Value fault(const Napi::CallbackInfo& info) {
  static const std::map<std::string, Fault> kinds = {
      {"none", Fault::kNone},       {"failed-read", Fault::kFailedRead}, {"short", Fault::kShort},
      {"eof", Fault::kEof},         {"frozen", Fault::kFrozen},          {"reset", Fault::kReset},
      {"refuse", Fault::kRefuse},   {"timeout", Fault::kTimeout},        {"hang", Fault::kHang},
      {"garbage", Fault::kGarbage},
  };
  const auto kind = kinds.find(info[1].ToString());
  const bool done = kind != kinds.end() && emulated().fault(info[0].ToString(), kind->second);
  return Napi::Boolean::New(info.Env(), done);
}

// unplug(cpu, away)
void unplug(const Napi::CallbackInfo& info) { emulated().unplug(info[0].ToNumber().Int32Value(), info[1].ToBoolean()); }

// energyUj(waveform, elapsedNs)
Napi::Value energy_uj(const Napi::CallbackInfo& info) {
  Integral integral(waveform(info[0].As<Napi::Object>()));
  return Napi::Number::New(info.Env(),
                           static_cast<double>(integral.energy_uj(info[1].As<Napi::Number>().Int64Value())));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  InitAddon(env, exports);
  auto object = Napi::Object::New(env);
  object["add"] = Napi::Function::New(env, add);
  object["clear"] = Napi::Function::New(env, clear);
  object["fault"] = Napi::Function::New(env, fault);
  object["unplug"] = Napi::Function::New(env, unplug);
  object["energyUj"] = Napi::Function::New(env, energy_uj);
  exports["emulation"] = object;
  return exports;
}

}  // namespace
}  // namespace wattle::emulation

NAPI_MODULE_INIT() { return Napi::RegisterModule(env, exports, wattle::emulation::init); }
