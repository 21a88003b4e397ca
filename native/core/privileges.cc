#include "core/privileges.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <vector>

#include "core/clock.h"
#include "core/file.h"

namespace wattle {
namespace {

// By number: linux/capability.h of the machine that builds may be older than the kernel that runs.
constexpr std::array<std::string_view, 41> kNames = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};
constexpr unsigned kBits = 64;

// glibc's signal for setuid() in all threads, one of those that its pthread_sigmask leaves unblocked (so does musl's).
constexpr int kSignal = 33;

// A thread answers when it is next scheduled; one that sleeps in a driver may take long, or never answer.
constexpr int64_t kPatienceNs = 10 * kNsPerSecond;
constexpr timespec kPause{0, 1'000'000};

constexpr Capabilities bit(unsigned number) noexcept { return Capabilities{1} << number; }

struct ThreadSets {
  Capabilities effective = 0;
  Capabilities permitted = 0;
};

// The calling thread's own, by the system call itself: libcap would only do the same.
struct RawSets {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> words{};
};

ThreadSets own_sets() noexcept {
  RawSets raw;
  if (syscall(SYS_capget, &raw.header, raw.words.data()) != 0) return {};
  return {raw.words[0].effective | Capabilities{raw.words[1].effective} << 32,
          raw.words[0].permitted | Capabilities{raw.words[1].permitted} << 32};
}

// The bounding set: what whoever started us lets us have.
Capabilities allowed() noexcept {
  Capabilities all = 0;
  for (unsigned number = 0; number < kBits; number++) {
    const int present = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (present < 0) break;
    if (present == 1) all |= bit(number);
  }
  return all;
}

// In the calling thread. System calls only: it runs in a signal's handler. What fails is seen in the thread's status.
void give_up_all_but(Capabilities keep) noexcept {
  // A program that user 0 starts would get back all that the bounding set leaves; with this it gets nothing. Both are
  // first, as they take CAP_SETPCAP themselves.
  const int securebits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  if (securebits >= 0) prctl(PR_SET_SECUREBITS, securebits | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0);
  // Beyond the last capability of this kernel the question is an error.
  for (unsigned number = 0; number < kBits; number++) {
    const int present = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (present < 0) break;
    if (present == 1 && (keep & bit(number)) == 0) prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const Capabilities kept = own_sets().permitted & keep;
  RawSets raw;
  raw.words[0].effective = raw.words[0].permitted = static_cast<uint32_t>(kept);
  raw.words[1].effective = raw.words[1].permitted = static_cast<uint32_t>(kept >> 32);
  syscall(SYS_capset, &raw.header, raw.words.data());
}

std::atomic<Capabilities> asked_to_keep{0};
static_assert(std::atomic<Capabilities>::is_always_lock_free);

void answer(int) noexcept {
  const int before = errno;
  give_up_all_but(asked_to_keep.load());
  errno = before;
}

// What the kernel does on a signal, as it is handed over: no processor's structure is larger.
struct KernelAction {
  alignas(uint64_t) std::array<std::byte, 64> bytes{};
};

bool set_action(int signal, const KernelAction* next, KernelAction* before) noexcept {
  constexpr size_t kMaskBytes = 8;
  return syscall(SYS_rt_sigaction, signal, next, before, kMaskBytes) == 0;
}

// libc refuses to install a handler for its own signal. So it is asked for one of an ordinary signal, which shows how
// a handler returns on this processor, and the kernel is told the same of the other.
bool install(KernelAction& before) noexcept {
  struct sigaction ours {};
  ours.sa_handler = answer;
  ours.sa_flags = SA_RESTART | SA_ONSTACK;
  sigfillset(&ours.sa_mask);
  struct sigaction ordinary;
  KernelAction raw;
  if (sigaction(SIGRTMAX, &ours, &ordinary) != 0) return false;
  const bool copied = set_action(SIGRTMAX, nullptr, &raw);
  sigaction(SIGRTMAX, &ordinary, nullptr);
  return copied && set_action(kSignal, &raw, &before);
}

// A line of /proc/.../status, without its name.
std::string_view field(std::string_view status, std::string_view name) noexcept {
  const size_t line = status.find(name);
  if (line == std::string_view::npos) return {};
  status.remove_prefix(line + name.size());
  status = status.substr(0, status.find('\n'));
  const size_t value = status.find_first_not_of(" \t");
  return value == std::string_view::npos ? std::string_view() : status.substr(value);
}

std::optional<uint64_t> parse(std::string_view text, int base) noexcept {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class Round {
 public:
  // `bounding`: the process may shrink the bounding set.
  Round(Capabilities keep, bool bounding) : keep_(keep), bounding_(bounding), status_(kStatusBytes) {}

  // Looks at every thread and signals those that have something left. Empty where none has.
  std::string look() {
    std::string left;
    uint64_t listed = 0;
    DIR* directory = opendir("/proc/self/task");
    if (directory == nullptr) return std::string("/proc/self/task: ") + std::strerror(errno);
    while (const dirent* entry = readdir(directory)) {
      const auto thread = parse(entry->d_name, 10);
      if (!thread) continue;
      listed++;
      std::string rest = look_at(static_cast<pid_t>(*thread));
      if (!rest.empty()) left = std::move(rest);
    }
    closedir(directory);
    // A thread that ends while the list is read can cut it short.
    const auto alive = parse(field(read("/proc/self/status"), "\nThreads:"), 10);
    if (left.empty() && (!alive || listed < *alive)) left = "threads come and go too fast to look at each";
    return left;
  }

 private:
  // The line of supplementary groups can be long, and what is looked for stands behind it.
  static constexpr size_t kStatusBytes = 256 * 1024;

  // Empty where there is no such file.
  std::string_view read(const std::string& path) {
    const File file = File::open(path.c_str());
    return file.is_open() ? file.read(status_).value_or(std::string_view()) : std::string_view();
  }

  std::string look_at(pid_t thread) {
    const std::string id = std::to_string(thread);
    const std::string_view status = read("/proc/self/task/" + id + "/status");
    // It has ended.
    if (status.empty()) return {};
    const auto set = [&](std::string_view name) { return parse(field(status, name), 16).value_or(~Capabilities{0}); };
    Capabilities left = (set("\nCapEff:") | set("\nCapPrm:")) & ~keep_;
    left |= set("\nCapInh:") | set("\nCapAmb:");
    if (bounding_) left |= set("\nCapBnd:") & ~keep_;
    const bool may_gain = field(status, "\nNoNewPrivs:") != "1";
    // Also one that is done: the handler has to stay for as long as its signal is on the way.
    const bool signalled = (set("\nSigPnd:") & bit(kSignal - 1)) != 0;
    if (left == 0 && !may_gain && !signalled) return {};
    if (!signalled) syscall(SYS_tgkill, getpid(), thread, kSignal);
    std::string text = "thread " + id + " (" + std::string(field(status, "Name:")) + ")";
    if (left != 0) return text + " still has " + names_of(left);
    return text + (may_gain ? " may still gain privileges" : " does not answer");
  }

  const Capabilities keep_;
  const bool bounding_;
  std::vector<char> status_;
};

}  // namespace

std::optional<Capabilities> capability_named(std::string_view name) noexcept {
  for (unsigned number = 0; number < kNames.size(); number++)
    if (kNames[number] == name) return bit(number);
  return std::nullopt;
}

std::string names_of(Capabilities capabilities) {
  std::string text;
  for (unsigned number = 0; number < kBits; number++) {
    if ((capabilities & bit(number)) == 0) continue;
    if (!text.empty()) text += ' ';
    text += number < kNames.size() ? std::string(kNames[number]) : "CAP_" + std::to_string(number);
  }
  return text;
}

PrivilegeDrop drop_privileges(Capabilities keep) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);

  // What came as an ambient capability is not held to the bounding set by the kernel.
  keep &= allowed();
  const bool bounding = (own_sets().effective & bit(CAP_SETPCAP)) != 0;
  asked_to_keep.store(keep);
  KernelAction before;
  if (!install(before)) return {0, std::string("no handler for signal 33: ") + std::strerror(errno)};
  give_up_all_but(keep);

  Round round(keep, bounding);
  const int64_t until_ns = monotonic_ns() + kPatienceNs;
  // A thread that was born of one that had not given up yet may have missed the first look at all of them; after it
  // no such parent is left, so the second one sees them all.
  for (int in_a_row = 0; in_a_row < 2;) {
    const std::string left = round.look();
    in_a_row = left.empty() ? in_a_row + 1 : 0;
    if (left.empty()) continue;
    // The handler stays: a signal that is still on its way would end the process.
    if (monotonic_ns() >= until_ns) return {0, left};
    nanosleep(&kPause, nullptr);
  }
  set_action(kSignal, &before, nullptr);
  return {own_sets().permitted, {}};
}

}  // namespace wattle
