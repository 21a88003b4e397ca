// How a call from JavaScript fails: with an error that is thrown there.
#pragma once

#include <napi.h>

#include <string>

namespace wattle {

inline Napi::Value fail(Napi::Env env, const std::string& message) {
  Napi::Error::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace wattle
