// The Node-API face. Thin: sampler.ts validates and words the errors; no JavaScript value reaches the sampling thread.
#include <napi.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "addon/options.h"
#include "core/clock.h"
#include "core/nudge_listener.h"
#include "core/sampling_thread.h"

namespace wattle {
namespace {

Napi::Value fail(Napi::Env env, const std::string& message) {
  Napi::Error::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Object describe(Napi::Env env, const DomainInfo& info, int parent, const std::string& meter) {
  auto object = Napi::Object::New(env);
  object["name"] = Napi::String::New(env, info.name);
  object["kind"] = Napi::String::New(env, name_of(info.kind));
  object["quality"] = Napi::String::New(env, name_of(info.quality));
  object["meter"] = Napi::String::New(env, meter);
  object["parent"] = parent < 0 ? env.Null() : Napi::Value(Napi::Number::New(env, parent));
  return object;
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
                           InstanceMethod<&SamplerObject::stats>("stats"),
                           InstanceAccessor<&SamplerObject::memory>("memory"),
                           InstanceAccessor<&SamplerObject::shape>("shape"),
                           InstanceAccessor<&SamplerObject::domains>("domains"),
                       });
  }

  explicit SamplerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SamplerObject>(info) {
    const auto options = info.Length() > 0 ? parse_options(info[0]) : std::nullopt;
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

  void build(Napi::Env env, const Options& options) {
    auto slots = std::make_shared<CpuSlots>(options.cpu_slots);
    std::vector<std::unique_ptr<Meter>> meters;
    bool has_package = false;
    for (const MeterOptions& meter_options : options.meters) {
      std::unique_ptr<Meter> meter = make_meter(meter_options, options.sysfs, has_package, *slots);
      if (!meter) continue;
      for (const DomainInfo& domain : meter->domains()) {
        has_package = has_package || domain.kind == DomainKind::kPackage;
        meter_names_.push_back(meter_options.kind);
      }
      meters.push_back(std::move(meter));
    }
    sampler_ = std::make_unique<Sampler>(std::move(meters), std::move(slots));

    shape_ = {std::bit_ceil(options.ring_records), static_cast<uint32_t>(sampler_->domains().size()),
              options.cpu_slots};
    // Memory that the engine owns works on every runtime, also on those that refuse external buffers; the reference
    // keeps it for as long as the thread may write.
    const auto memory = Napi::ArrayBuffer::New(env, shape_.bytes());
    if (env.IsExceptionPending()) return;
    memory_ = Napi::Persistent(memory);
    sampler_->attach(shape_, static_cast<std::byte*>(memory_.Value().Data()));
    thread_ = std::make_unique<SamplingThread>(*sampler_, std::llround(kNsPerSecond / options.rate_hz));
    hooked_ = napi_add_env_cleanup_hook(env, on_env_exit, this) == napi_ok;
  }

  // Null where the meter finds nothing here, or where one before it gives the node's packages already.
  static std::unique_ptr<Meter> make_meter(const MeterOptions& options, const std::string& sysfs, bool has_package,
                                           CpuSlots& slots) {
    if (has_package) return nullptr;
    if (options.kind == "rapl-powercap") return probe_rapl_powercap(sysfs).meter;
    if (options.kind != "model") return nullptr;
    const int32_t slot = slots.watch(options.cpu_format, options.cpu_path);
    if (slot < 0) return nullptr;
    return make_model({options.idle_watts, options.watts_per_core, options.gpu_watts, static_cast<uint32_t>(slot),
                       options.absent_is_idle});
  }

  Napi::Value start(const Napi::CallbackInfo& info) {
    if (!thread_) return fail(info.Env(), "the environment is shutting down");
    if (thread_->running()) return info.Env().Undefined();
    sampler_->reset();
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
    const auto format = info.Length() > 1 ? parse_cpu_format(info[0]) : std::nullopt;
    if (!format || !info[1].IsString()) return fail(info.Env(), "watchCpu: expected a format and a path");
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
    return object;
  }

  Napi::Value domains(const Napi::CallbackInfo& info) {
    auto list = Napi::Array::New(info.Env());
    for (uint32_t i = 0; i < sampler_->domains().size(); i++) {
      const SamplerDomain& domain = sampler_->domains()[i];
      list[i] = describe(info.Env(), domain.info, domain.parent, meter_names_[i]);
    }
    return list;
  }

  RingShape shape_;
  std::vector<std::string> meter_names_;
  Napi::Reference<Napi::ArrayBuffer> memory_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<SamplingThread> thread_;
  std::unique_ptr<NudgeListener> nudges_;
  bool hooked_ = false;
};

// probePowercap(sysfs): what the meter finds there.
Napi::Value probe_powercap(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsString()) return fail(env, "probePowercap: expected a path");
  const MeterProbe probe = probe_rapl_powercap(info[0].As<Napi::String>());
  auto object = Napi::Object::New(env);
  object["outcome"] = Napi::String::New(env, name_of(probe.outcome));
  object["path"] = Napi::String::New(env, probe.path);
  auto domains = Napi::Array::New(env);
  if (probe.meter) {
    uint32_t i = 0;
    for (const DomainInfo& domain : probe.meter->domains())
      domains[i++] = describe(env, domain, domain.parent, "rapl-powercap");
  }
  object["domains"] = domains;
  return object;
}

Napi::Value monotonic_now(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(monotonic_ns()));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports["NativeSampler"] = SamplerObject::define(env);
  exports["probePowercap"] = Napi::Function::New(env, probe_powercap, "probePowercap");
  exports["monotonicNs"] = Napi::Function::New(env, monotonic_now, "monotonicNs");
  return exports;
}

}  // namespace
}  // namespace wattle

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return wattle::init(env, exports); }
NODE_API_MODULE(wattle_sampler, InitAddon)
