// Gives up every privilege but a named few, in all threads of the process and for good.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wattle {

// A set of Linux capabilities: the bit of each is its number.
using Capabilities = uint64_t;

// `CAP_SYS_PTRACE` as a set of one; nothing where Linux has no such capability.
std::optional<Capabilities> capability_named(std::string_view name) noexcept;
// `CAP_KILL CAP_SYS_PTRACE`; one without a name, of a newer Linux, is `CAP_41`.
std::string names_of(Capabilities capabilities);

struct PrivilegeDrop {
  // What of the asked-for the process has: a process that never had one does not get it.
  Capabilities kept = 0;
  // Empty, or which thread still has what.
  std::string error;
};

// Afterwards every thread of the process has at most `keep`, as effective and permitted; nothing is inheritable or
// ambient; what the bounding set lacks is not kept either, wherever it came from; the bounding set is as small, where
// the process may shrink it (CAP_SETPCAP); and no program that it executes gains a privilege (no_new_privs), whatever
// its owner, its mode or its user. Not an error where there is nothing to give up. Descriptors that are open stay open.
//
// Capabilities belong to threads, and Node has several before any of our code runs: each has to give them up itself,
// so each is sent a signal. It is one that a C library keeps for itself and lets no thread block, because threads that
// block all others exist: our own (core/thread.h), and the one in which Node waits for a debugger. It may therefore be
// called at any time; while it runs no other thread may call setuid() and its like, which use that signal.
PrivilegeDrop drop_privileges(Capabilities keep);

}  // namespace wattle
