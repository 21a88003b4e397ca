// dropPrivileges for TypeScript.
#pragma once

#include <napi.h>

namespace wattle {

// dropPrivileges(keep: string[]): string[], what of it the process has.
Napi::Value drop_privileges(const Napi::CallbackInfo& info);

}  // namespace wattle
