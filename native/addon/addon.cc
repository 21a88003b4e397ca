// The Node-API face. Thin: sampler.ts validates and words the errors; no JavaScript value reaches the sampling thread.
#include <napi.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "addon/fail.h"
#include "addon/options.h"
#include "addon/privileges.h"
#include "core/clock.h"
#include "core/nudge_listener.h"
#include "core/sampling_thread.h"

namespace wattle {
namespace {

Napi::Array describe(Napi::Env env, std::span<const DomainInfo> domains) {
  auto list = Napi::Array::New(env);
  uint32_t count = 0;
  for (const DomainInfo& info : domains) {
    auto object = Napi::Object::New(env);
    object["name"] = Napi::String::New(env, info.name);
    object["kind"] = Napi::String::New(env, name_of(info.kind));
    object["quality"] = Napi::String::New(env, name_of(info.quality));
    object["witnessOf"] = Napi::String::New(env, info.witness_of);
    const int64_t gap_ns = trusted_gap_ns(info.limits);
    object["trustedGapNs"] = Napi::Number::New(
        env, gap_ns == kNoBoundNs ? std::numeric_limits<double>::infinity() : static_cast<double>(gap_ns));
    list[count++] = object;
  }
  return list;
}

int64_t period_ns(double rate_hz) { return std::llround(kNsPerSecond / rate_hz); }

Napi::Array describe_gpus(Napi::Env env, const std::vector<GpuStatus>& gpus) {
  const auto number = [&](auto value) { return Napi::Number::New(env, static_cast<double>(value)); };
  // What the driver does not tell is null.
  const auto ratio = [&](double value) { return value < 0 ? env.Null() : Napi::Value(number(value)); };
  auto list = Napi::Array::New(env);
  for (uint32_t i = 0; i < gpus.size(); i++) {
    const GpuStatus& gpu = gpus[i];
    auto object = Napi::Object::New(env);
    object["uuid"] = Napi::String::New(env, gpu.uuid);
    object["busId"] = Napi::String::New(env, gpu.bus_id);
    object["name"] = Napi::String::New(env, gpu.name);
    object["lost"] = Napi::Boolean::New(env, gpu.lost);
    object["atNs"] = number(gpu.at_ns);
    object["busyRatio"] = ratio(gpu.busy_ratio);
    object["busySeconds"] = number(gpu.busy_seconds);
    object["busyKnownSeconds"] = number(gpu.busy_known_seconds);
    object["memoryUsedBytes"] = number(gpu.memory_used_bytes);
    object["memoryBytes"] = number(gpu.memory_bytes);
    object["powerLimitWatts"] = number(gpu.power_limit_watts);
    object["mig"] = Napi::Boolean::New(env, gpu.mig);
    auto instances = Napi::Array::New(env);
    for (uint32_t k = 0; k < gpu.instances.size(); k++) {
      const GpuInstance& instance = gpu.instances[k];
      auto slice = Napi::Object::New(env);
      slice["uuid"] = Napi::String::New(env, instance.uuid);
      slice["gpuInstance"] = number(instance.gpu_instance);
      slice["computeInstance"] = number(instance.compute_instance);
      slice["slices"] = number(instance.slices);
      slice["memoryBytes"] = number(instance.memory_bytes);
      slice["memoryUsedBytes"] = number(instance.memory_used_bytes);
      slice["busyRatio"] = ratio(instance.busy_ratio);
      instances[k] = slice;
    }
    object["instances"] = instances;
    auto processes = Napi::Array::New(env);
    for (uint32_t k = 0; k < gpu.processes.size(); k++) processes[k] = number(gpu.processes[k]);
    object["processes"] = processes;
    list[i] = object;
  }
  return list;
}

class SamplerObject final : public Napi::ObjectWrap<SamplerObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeSampler",
                       {
                           InstanceMethod<&SamplerObject::start>("start"),
                           InstanceMethod<&SamplerObject::stop>("stop"),
                           InstanceMethod<&SamplerObject::force_tick>("forceTick"),
                           InstanceMethod<&SamplerObject::listen>("listen"),
                           InstanceMethod<&SamplerObject::watch_cpu>("watchCpu"),
                           InstanceMethod<&SamplerObject::unwatch_cpu>("unwatchCpu"),
                           InstanceMethod<&SamplerObject::push_cpu>("pushCpu"),
                           InstanceMethod<&SamplerObject::report>("report"),
                           InstanceMethod<&SamplerObject::gpus>("gpus"),
                           InstanceMethod<&SamplerObject::stats>("stats"),
                           InstanceAccessor<&SamplerObject::memory>("memory"),
                           InstanceAccessor<&SamplerObject::shape>("shape"),
                           InstanceAccessor<&SamplerObject::domains>("domains"),
                       });
  }

  explicit SamplerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SamplerObject>(info) {
    auto options = info.Length() > 0 ? parse_options(info[0]) : std::nullopt;
    if (!options) {
      fail(info.Env(), "NativeSampler: malformed options");
      return;
    }
    build(info.Env(), *options);
  }

  ~SamplerObject() override {
    // Also reached when the constructor failed half-way.
    if (hooked_) napi_remove_env_cleanup_hook(Env(), on_env_exit, this);
    end_threads();
  }

 private:
  // The thread must end before the environment (a worker, or the main one) takes the ring's memory away.
  static void on_env_exit(void* self) {
    auto* object = static_cast<SamplerObject*>(self);
    object->hooked_ = false;
    object->end_threads();
  }

  // The listener first: it asks the sampling thread for ticks.
  void end_threads() {
    nudges_.reset();
    thread_.reset();
  }

  void build(Napi::Env env, Options& options) {
    auto slots = std::make_shared<CpuSlots>(options.cpu_slots);
    std::vector<PacedMeter> meters;
    for (MeterOptions& meter_options : options.meters) {
      meter_options.context.slots = slots.get();
      MeterProbe probe = find_meter(meter_options.maker)(meter_options.context);
      if (!probe.meter) {
        // It was there when the tree was laid out.
        fail(env, meter_options.maker + ": " + probe.path + ": " + name_of(probe.outcome));
        return;
      }
      meters.push_back({std::move(probe.meter), period_ns(meter_options.rate_hz)});
    }
    sampler_ = std::make_unique<Sampler>(std::move(meters), std::move(slots), period_ns(options.cpu_rate_hz));

    shape_ = {std::bit_ceil(options.ring_records), static_cast<uint32_t>(sampler_->domains().size()),
              options.cpu_slots};
    // Memory that the engine owns works on every runtime, also on those that refuse external buffers; the reference
    // keeps it for as long as the thread may write.
    const auto memory = Napi::ArrayBuffer::New(env, shape_.bytes());
    if (env.IsExceptionPending()) return;
    memory_ = Napi::Persistent(memory);
    sampler_->attach(shape_, static_cast<std::byte*>(memory_.Value().Data()));
    thread_ = std::make_unique<SamplingThread>(*sampler_, period_ns(options.rate_hz));
    hooked_ = napi_add_env_cleanup_hook(env, on_env_exit, this) == napi_ok;
  }

  Napi::Value start(const Napi::CallbackInfo& info) {
    if (!thread_) return fail(info.Env(), "the environment is shutting down");
    if (thread_->running()) return info.Env().Undefined();
    const int error = thread_->start();
    if (error != 0) return fail(info.Env(), std::string("cannot start the sampling thread: ") + std::strerror(error));
    return info.Env().Undefined();
  }

  Napi::Value stop(const Napi::CallbackInfo& info) {
    nudges_.reset();
    if (thread_) thread_->stop();
    return info.Env().Undefined();
  }

  Napi::Value force_tick(const Napi::CallbackInfo& info) {
    if (thread_) thread_->force_tick();
    return info.Env().Undefined();
  }

  Napi::Value listen(const Napi::CallbackInfo& info) {
    if (!thread_) return fail(info.Env(), "the environment is shutting down");
    if (info.Length() < 1 || !info[0].IsString()) return fail(info.Env(), "listen: expected a path");
    const std::string path = info[0].As<Napi::String>();
    if (!nudges_) nudges_ = std::make_unique<NudgeListener>(*thread_);
    const int error = nudges_->start(path);
    if (error != 0) return fail(info.Env(), path + ": " + std::strerror(error));
    return info.Env().Undefined();
  }

  Napi::Value watch_cpu(const Napi::CallbackInfo& info) {
    const bool named = info.Length() > 1 && info[0].IsString() && info[1].IsString();
    const auto format = named ? cpu_format(info[0].As<Napi::String>().Utf8Value()) : std::nullopt;
    if (!format) return fail(info.Env(), "watchCpu: expected a format and a path");
    if (!thread_ || !thread_->running()) sampler_->slots().reap();
    return Napi::Number::New(info.Env(), sampler_->slots().watch(*format, info[1].As<Napi::String>()));
  }

  Napi::Value unwatch_cpu(const Napi::CallbackInfo& info) {
    const bool done =
        info.Length() > 0 && info[0].IsNumber() && sampler_->slots().unwatch(info[0].As<Napi::Number>().Uint32Value());
    return Napi::Boolean::New(info.Env(), done);
  }

  Napi::Value push_cpu(const Napi::CallbackInfo& info) {
    const bool done =
        info.Length() > 1 && info[0].IsNumber() && info[1].IsNumber() &&
        sampler_->slots().push(info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Int64Value());
    return Napi::Boolean::New(info.Env(), done);
  }

  // report(domain, "watts" | "joules", value, atNs)
  Napi::Value report(const Napi::CallbackInfo& info) {
    if (info.Length() < 4 || !info[0].IsNumber() || !info[1].IsString() || !info[2].IsNumber() || !info[3].IsNumber())
      return fail(info.Env(), "report: expected a domain, a unit, a value and a time");
    const bool joules = info[1].As<Napi::String>().Utf8Value() == "joules";
    const Report report{joules ? Report::Kind::kJoules : Report::Kind::kWatts, info[2].As<Napi::Number>().DoubleValue(),
                        info[3].As<Napi::Number>().Int64Value()};
    return Napi::Boolean::New(info.Env(), sampler_->report(info[0].As<Napi::Number>().Uint32Value(), report));
  }

  Napi::Value gpus(const Napi::CallbackInfo& info) { return describe_gpus(info.Env(), sampler_->gpus()); }

  Napi::Value stats(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto object = Napi::Object::New(env);
    const auto set = [&](Napi::Object& target, const char* name, uint64_t value) {
      target[name] = Napi::Number::New(env, static_cast<double>(value));
    };
    if (thread_) {
      const ThreadStats& stats = thread_->stats();
      set(object, "ticks", stats.ticks.get());
      set(object, "forced", stats.forced_ticks.get());
      set(object, "late", stats.late_ticks.get());
      set(object, "missed", stats.missed_ticks.get());
      set(object, "firstTickNs", stats.first_tick_ns.get());
      set(object, "lastTickNs", stats.last_tick_ns.get());
      set(object, "threadCpuNs", static_cast<uint64_t>(thread_->cpu_ns()));
      set(object, "couriersCpuNs", static_cast<uint64_t>(sampler_->couriers_cpu_ns()));
      set(object, "suspends", sampler_->suspends());
      set(object, "periodNs", stats.period_ns.get());
      set(object, "slowdowns", stats.slowdowns.get());
      set(object, "timerResolutionNs", stats.timer_resolution_ns.get());
      set(object, "latenessP50Ns", stats.lateness_ns.quantile(0.5));
      set(object, "latenessP99Ns", stats.lateness_ns.quantile(0.99));
      set(object, "latenessMaxNs", stats.lateness_ns.quantile(1));
      object["urgency"] = Napi::String::New(env, name_of(thread_->urgency()));
    }
    auto domains = Napi::Array::New(env);
    for (uint32_t i = 0; i < sampler_->domains().size(); i++) {
      const DomainHealth& health = sampler_->health(i);
      auto domain = Napi::Object::New(env);
      set(domain, "failedReads", health.failed_reads.get());
      set(domain, "wraps", health.wraps.get());
      set(domain, "resets", health.resets.get());
      set(domain, "gaps", health.gaps.get());
      set(domain, "freezes", health.freezes.get());
      domains[i] = domain;
    }
    object["domains"] = domains;
    return object;
  }

  Napi::Value memory(const Napi::CallbackInfo&) { return memory_.Value(); }

  Napi::Value shape(const Napi::CallbackInfo& info) {
    auto object = Napi::Object::New(info.Env());
    object["capacity"] = Napi::Number::New(info.Env(), shape_.capacity);
    object["domains"] = Napi::Number::New(info.Env(), shape_.domains);
    object["cpuSlots"] = Napi::Number::New(info.Env(), shape_.cpu_slots);
    object["rowCells"] = Napi::Number::New(info.Env(), static_cast<double>(shape_.row_cells()));
    object["columnCells"] = Napi::Number::New(info.Env(), static_cast<double>(shape_.column_cells()));
    return object;
  }

  Napi::Value domains(const Napi::CallbackInfo& info) { return describe(info.Env(), sampler_->domains()); }

  RingShape shape_;
  Napi::Reference<Napi::ArrayBuffer> memory_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<SamplingThread> thread_;
  std::unique_ptr<NudgeListener> nudges_;
  bool hooked_ = false;
};

// probeMeter(options): what the meter finds there.
Napi::Value probe_meter(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto options = info.Length() > 0 ? parse_meter(info[0]) : std::nullopt;
  if (!options) return fail(env, "probeMeter: malformed options");
  const MeterProbe probe = find_meter(options->maker)(options->context);
  auto object = Napi::Object::New(env);
  object["outcome"] = Napi::String::New(env, name_of(probe.outcome));
  object["path"] = Napi::String::New(env, probe.path);
  object["domains"] = describe(env, probe.meter ? probe.meter->domains() : std::span<const DomainInfo>());
  auto notes = Napi::Array::New(env);
  for (uint32_t i = 0; i < probe.notes.size(); i++) notes[i] = Napi::String::New(env, probe.notes[i]);
  object["notes"] = notes;
  return object;
}

Napi::Value monotonic_now(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(monotonic_ns()));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports["NativeSampler"] = SamplerObject::define(env);
  exports["probeMeter"] = Napi::Function::New(env, probe_meter, "probeMeter");
  exports["monotonicNs"] = Napi::Function::New(env, monotonic_now, "monotonicNs");
  exports["dropPrivileges"] = Napi::Function::New(env, drop_privileges, "dropPrivileges");
  return exports;
}

}  // namespace
}  // namespace wattle

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return wattle::init(env, exports); }
NODE_API_MODULE(wattle_sampler, InitAddon)
