// The hook client's datagrams: each asks for a tick at once, without a detour through JavaScript.
#pragma once

#include <pthread.h>

#include <atomic>
#include <string>

#include "core/sampling_thread.h"

namespace wattle {

// A datagram only says that something happened. What happened is in the event's file, so that a lost datagram costs
// exactness of one edge and nothing else.
class NudgeListener {
 public:
  explicit NudgeListener(SamplingThread& sampling) noexcept : sampling_(sampling) {}
  ~NudgeListener() { stop(); }
  NudgeListener(const NudgeListener&) = delete;
  NudgeListener& operator=(const NudgeListener&) = delete;

  // Binds a socket that only its owner can send to; one that was left behind is replaced. 0, or an error number.
  int start(const std::string& path) noexcept;
  void stop() noexcept;

 private:
  static void* enter(void* self) noexcept;
  void run() noexcept;

  SamplingThread& sampling_;
  pthread_t thread_{};
  int socket_ = -1;
  std::atomic<bool> stopping_{false};
};

}  // namespace wattle
