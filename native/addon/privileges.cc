#include "addon/privileges.h"

#include "addon/fail.h"
#include "core/privileges.h"

namespace wattle {

Napi::Value drop_privileges(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsArray()) return fail(env, "dropPrivileges: expected names of capabilities");
  const auto names = info[0].As<Napi::Array>();
  Capabilities keep = 0;
  for (uint32_t i = 0; i < names.Length(); i++) {
    const Napi::Value name = names[i];
    const auto capability =
        name.IsString() ? capability_named(name.As<Napi::String>().Utf8Value()) : std::optional<Capabilities>();
    if (!capability) return fail(env, "dropPrivileges: expected names of capabilities");
    keep |= *capability;
  }
  const PrivilegeDrop drop = drop_privileges(keep);
  if (!drop.error.empty()) return fail(env, drop.error);
  auto kept = Napi::Array::New(env);
  for (uint32_t i = 0, count = 0; i < names.Length(); i++) {
    const Napi::Value name = names[i];
    if ((drop.kept & capability_named(name.As<Napi::String>().Utf8Value()).value_or(0)) != 0) kept[count++] = name;
  }
  return kept;
}

}  // namespace wattle
