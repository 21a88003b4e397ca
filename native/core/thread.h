// Starting threads that signals leave alone.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <cstdint>

#include "core/clock.h"

namespace wattle {

// 0, or the error number of pthread_create. Signals belong to the program's own threads, so the new one takes none.
inline int start_thread(pthread_t& thread, void* (*enter)(void*), void* argument) noexcept {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread, nullptr, enter, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

// CPU time that a thread has burnt so far.
inline int64_t thread_cpu_ns(pthread_t thread) noexcept {
  clockid_t clock;
  return pthread_getcpuclockid(thread, &clock) == 0 ? read_clock_ns(clock) : 0;
}

}  // namespace wattle
