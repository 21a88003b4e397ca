// wattle-hook prolog|epilog: leaves one event file for the agent of this node, nudges the agent and exits 0.
//
// slurmd runs this as root between a user's submission and the job's first instruction, and drains the node when a
// prolog or epilog fails. So it has one rule: whatever is missing, full, read-only or hostile costs Wattle an event and
// never costs the job anything. It is static, allocates nothing, starts nothing and waits for no one.
//
// The event file holds fields that end in NUL:
//   wattle-event 1 | kind= | mono_ns= | real_ns= | boot_id= | SLURM_JOB_ID= | further variables ... | end
// docs/install.md names the directories; src/agent reads the files.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

constexpr size_t kMaxEntry = 4096;
constexpr size_t kMaxEvent = 64 * 1024;
constexpr size_t kMaxNodeName = 200;
constexpr unsigned kPatienceSeconds = 2;

// A hung file system must not hold a job's start: the alarm ends the hook instead.
void give_up(int) { _exit(0); }

[[noreturn]] void leave(const char* what, int error = 0) {
  char line[512];
  const int length =
      error == 0 ? snprintf(line, sizeof line, "wattle-hook: %s; the job goes on\n", what)
                 : snprintf(line, sizeof line, "wattle-hook: %s: %s; the job goes on\n", what, strerrordesc_np(error));
  if (length > 0) {
    const size_t bytes = static_cast<size_t>(length) < sizeof line ? static_cast<size_t>(length) : sizeof line - 1;
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line, bytes);
  }
  _exit(0);
}

// The event under construction; an entry goes in whole or not at all.
class Event {
 public:
  bool add(std::string_view entry) {
    if (entry.size() > kMaxEntry || size_ + entry.size() + 1 + kEnd.size() > kMaxEvent) return false;
    append(entry);
    return true;
  }
  std::string_view finish() {
    append(kEnd.substr(0, kEnd.size() - 1));
    return {buffer_, size_};
  }

 private:
  static constexpr std::string_view kEnd{"end\0", 4};
  void append(std::string_view entry) {
    memcpy(buffer_ + size_, entry.data(), entry.size());
    size_ += entry.size();
    buffer_[size_++] = '\0';
  }
  size_t size_ = 0;
  char buffer_[kMaxEvent];
};

Event event;

uint64_t nanoseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

// The name becomes a folder and a socket's name: letters, digits and . _ - only, not `.` or `..`.
bool is_node_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNodeName || name.front() == '.') return false;
  for (const char c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!plain) return false;
  }
  return true;
}

bool is_job_id(std::string_view id) {
  if (id.empty() || id.size() > 10) return false;
  for (const char c : id) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

// Slurm's variables and the GPUs, but nothing whose name says that it grants access (SLURM_JWT is a login).
bool is_wanted(const char* entry) {
  const char* equals = strchr(entry, '=');
  if (equals == nullptr) return false;
  const std::string_view name(entry, static_cast<size_t>(equals - entry));
  if (name == "CUDA_VISIBLE_DEVICES" || name == "GPU_DEVICE_ORDINAL") return true;
  if (!name.starts_with("SLURM_") || name == "SLURM_JOB_ID" || name.size() >= 128) return false;
  char text[128];
  memcpy(text, name.data(), name.size());
  text[name.size()] = '\0';
  for (const char* secret : {"JWT", "TOKEN", "SECRET", "KEY", "PASS", "CRED"}) {
    if (strcasestr(text, secret) != nullptr) return false;
  }
  return true;
}

void add_number(const char* name, uint64_t value) {
  char text[64];
  snprintf(text, sizeof text, "%s=%llu", name, static_cast<unsigned long long>(value));
  event.add(text);
}

// Monotonic time counts from boot, so it means something only beside the boot's own id.
void add_boot_id() {
  char text[64] = "boot_id=";
  constexpr size_t prefix = 8;
  constexpr size_t uuid = 36;
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t got = 0;
  if (fd >= 0) {
    got = read(fd, text + prefix, uuid);
    close(fd);
  }
  event.add({text, prefix + (got > 0 ? static_cast<size_t>(got) : 0)});
}

void fill_event(const char* kind, const char* job_id, uint64_t real_ns) {
  char entry[64];
  event.add("wattle-event 1");
  snprintf(entry, sizeof entry, "kind=%s", kind);
  event.add(entry);
  add_number("mono_ns", nanoseconds(CLOCK_MONOTONIC));
  add_number("real_ns", real_ns);
  add_boot_id();
  snprintf(entry, sizeof entry, "SLURM_JOB_ID=%s", job_id);
  event.add(entry);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (is_wanted(*variable)) event.add(*variable);
  }
}

// Opens a directory without following a link in its last component; anyone's may not be trusted with events.
int open_directory(int at, const char* path) {
  const int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat status {};
  if (fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & S_IWOTH) != 0) {
    close(fd);
    errno = EPERM;
    return -1;
  }
  return fd;
}

// The node's own folder inside the event directory. It belongs to whom the event directory belongs to, so that an
// agent need not be root to take the files away.
int open_node_directory(const char* event_dir, const char* node) {
  const int events = open_directory(AT_FDCWD, event_dir);
  if (events < 0) leave("cannot use the event directory", errno);
  const bool made = mkdirat(events, node, 0700) == 0;
  const int directory = open_directory(events, node);
  if (directory < 0) leave("cannot use the node's folder in the event directory", errno);
  struct stat owner {};
  if (made && fstat(events, &owner) == 0 && owner.st_uid != geteuid()) {
    if (fchown(directory, owner.st_uid, owner.st_gid) != 0) leave("cannot hand over the node's folder", errno);
  }
  // The reserve that a file system keeps for root is not ours: full for users is full for events.
  struct statvfs space {};
  if (fstatvfs(directory, &space) == 0 && space.f_blocks > 0 && space.f_bavail == 0) {
    leave("cannot write the event", ENOSPC);
  }
  return directory;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Write, then rename: the agent takes names that end in .event, so it never sees half an event. There is no fsync,
// which could take longer than the job's patience; what a power cut tears is set aside by the agent, and the job died
// with the power.
void publish(int directory, const char* name, std::string_view bytes) {
  char temporary[96];
  snprintf(temporary, sizeof temporary, ".%s.part", name);
  const int file = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) leave("cannot create the event", errno);
  struct stat owner {};
  bool done = fstat(directory, &owner) == 0;
  if (done && owner.st_uid != geteuid()) done = fchown(file, owner.st_uid, owner.st_gid) == 0;
  done = done && write_all(file, bytes);
  // Network file systems tell of a full disk at close.
  int error = errno;
  if (close(file) != 0 && done) {
    error = errno;
    done = false;
  }
  if (done && renameat(directory, temporary, directory, name) != 0) {
    error = errno;
    done = false;
  }
  if (!done) {
    unlinkat(directory, temporary, 0);
    leave("cannot write the event", error);
  }
}

// Tells a running agent to look at once. Without one the file waits for the agent's next look, so errors say nothing.
void nudge(const char* run_dir, const char* node, std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The path is taken relative to the run directory: sun_path holds 107 bytes, which a deep directory alone may use up.
  const int length = snprintf(address.sun_path, sizeof address.sun_path, "%s.nudge", node);
  if (length < 0 || static_cast<size_t>(length) >= sizeof address.sun_path) return;
  const int directory = open_directory(AT_FDCWD, run_dir);
  if (directory < 0 || fchdir(directory) != 0) return;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sendto(fd, name.data(), name.size(), MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
         sizeof address);
}

// slurmd's children may inherit blocked or fatal signals; a file size limit must be an error here, not a death.
void settle_signals() {
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGALRM, give_up);
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &alarm_only, nullptr);
  alarm(kPatienceSeconds);
}

const char* or_else(const char* value, const char* fallback) {
  return value != nullptr && *value != '\0' ? value : fallback;
}

}  // namespace

int main(int argc, char** argv) {
  settle_signals();
  const std::string_view kind = argc == 2 ? argv[1] : "";
  if (kind != "prolog" && kind != "epilog") leave("usage: wattle-hook prolog|epilog");
  const char* job_id = or_else(getenv("SLURM_JOB_ID"), "");
  if (!is_job_id(job_id)) leave("SLURM_JOB_ID is missing or not a number");
  const char* node = or_else(getenv("SLURMD_NODENAME"), "");
  if (!is_node_name(node)) leave("SLURMD_NODENAME is missing or not a node's name");

  const uint64_t real_ns = nanoseconds(CLOCK_REALTIME);
  fill_event(argv[1], job_id, real_ns);
  char name[64];
  snprintf(name, sizeof name, "%020llu-%d.event", static_cast<unsigned long long>(real_ns), getpid());
  const int directory = open_node_directory(or_else(getenv("WATTLE_EVENT_DIR"), "/var/spool/wattle/events"), node);
  publish(directory, name, event.finish());
  nudge(or_else(getenv("WATTLE_RUN_DIR"), "/run/wattle"), node, name);
  return 0;
}
