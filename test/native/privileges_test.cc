#include "core/privileges.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "check.h"
#include "core/thread.h"

namespace wattle {
namespace {

// Runs `body` in a process of its own that has every capability: in a user namespace where it is not root. Its CHECKs
// count here, and a process that hangs fails.
void with_privileges(void (*body)()) {
  constexpr int kNoNamespace = 99;
  constexpr unsigned kPatienceSeconds = 120;
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() != 0 && unshare(CLONE_NEWUSER) != 0) _exit(kNoNamespace);
    alarm(kPatienceSeconds);
    test::failures() = 0;
    body();
    _exit(test::failures() == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoNamespace) {
    std::puts("not tried: needs root, or a kernel that lets this user make a user namespace");
  } else {
    CHECK_EQUAL(status, 0);
  }
}

// What the lines of this name say in the status of each thread.
std::set<std::string> in_all_threads(const std::string& name) {
  std::set<std::string> values;
  std::error_code ignored;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    std::ifstream status(thread.path() / "status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with(name + ":\t")) values.insert(line.substr(name.size() + 2));
  }
  return values;
}

using Values = std::set<std::string>;
bool all_are(const std::string& name, const char* value) { return in_all_threads(name) == Values{value}; }

constexpr const char* kNone = "0000000000000000";
// CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
constexpr const char* kTwo = "0000000000080004";
const Capabilities kKeep = *capability_named("CAP_DAC_READ_SEARCH") | *capability_named("CAP_SYS_PTRACE");

void check_dropped() {
  for (const char* name : {"CapEff", "CapPrm", "CapBnd"}) CHECK(all_are(name, kTwo));
  for (const char* name : {"CapInh", "CapAmb"}) CHECK(all_are(name, kNone));
  CHECK(all_are("NoNewPrivs", "1"));
}

void* wait_for_end(void* pipe) {
  char byte;
  return reinterpret_cast<void*>(read(*static_cast<int*>(pipe), &byte, 1));
}

TEST(privileges_have_the_kernels_names) {
  CHECK_EQUAL(*capability_named("CAP_CHOWN"), 1u);
  CHECK_EQUAL(*capability_named("CAP_CHECKPOINT_RESTORE"), uint64_t{1} << 40);
  CHECK(!capability_named("CAP_EVERYTHING"));
  CHECK(!capability_named(""));
  CHECK_EQUAL(names_of(kKeep), "CAP_DAC_READ_SEARCH CAP_SYS_PTRACE");
  CHECK_EQUAL(names_of(uint64_t{1} << 63), "CAP_63");
  CHECK_EQUAL(names_of(0), "");
}

TEST(privileges_go_from_all_also_from_who_blocks_all_signals) {
  with_privileges([] {
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    pthread_t deaf;
    CHECK_EQUAL(start_thread(deaf, wait_for_end, ends), 0);
    std::thread ordinary([&] { wait_for_end(ends); });

    const PrivilegeDrop drop = drop_privileges(kKeep);
    CHECK_EQUAL(drop.error, "");
    CHECK_EQUAL(drop.kept, kKeep);
    check_dropped();
    CHECK_EQUAL(in_all_threads("Pid").size(), 3u);

    CHECK_EQUAL(write(ends[1], "xx", 2), 2);
    ordinary.join();
    pthread_join(deaf, nullptr);
  });
}

// As with systemd's AmbientCapabilities= of a user's service whose CapabilityBoundingSet= lacks one of them.
TEST(privileges_outside_the_bounding_set_are_not_kept) {
  with_privileges([] {
    CHECK_EQUAL(prctl(PR_CAPBSET_DROP, 19, 0, 0, 0), 0);
    CHECK(!all_are("CapPrm", "0000000000000004"));
    const PrivilegeDrop drop = drop_privileges(kKeep);
    CHECK_EQUAL(drop.error, "");
    CHECK_EQUAL(drop.kept, *capability_named("CAP_DAC_READ_SEARCH"));
    for (const char* name : {"CapEff", "CapPrm", "CapBnd"}) CHECK(all_are(name, "0000000000000004"));
  });
}

TEST(privileges_go_from_those_born_meanwhile) {
  with_privileges([] {
    std::atomic<bool> stop{false};
    std::thread parent([&] {
      // Each is the child of the one before, as that ends.
      while (!stop) std::thread([] { std::thread([] { usleep(500); }).join(); }).join();
    });
    const PrivilegeDrop drop = drop_privileges(kKeep);
    CHECK_EQUAL(drop.error, "");
    check_dropped();
    stop = true;
    parent.join();
  });
}

TEST(privileges_once_gone_do_not_come_back) {
  with_privileges([] {
    CHECK_EQUAL(drop_privileges(kKeep).kept, kKeep);
    // The second time there is no CAP_SETPCAP, and nothing to give up with it.
    const PrivilegeDrop again = drop_privileges(kKeep | *capability_named("CAP_KILL"));
    CHECK_EQUAL(again.error, "");
    CHECK_EQUAL(again.kept, kKeep);
    const PrivilegeDrop rest = drop_privileges(0);
    CHECK_EQUAL(rest.error, "");
    CHECK_EQUAL(rest.kept, 0u);
    CHECK(all_are("CapPrm", kNone));
    // The bounding set stays as small as it was.
    CHECK(all_are("CapBnd", kTwo));
  });
}

TEST(privileges_drop_leaves_the_c_librarys_signal_as_it_was) {
  with_privileges([] {
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    pthread_t deaf;
    CHECK_EQUAL(start_thread(deaf, wait_for_end, ends), 0);
    // Changes nothing, but makes the library install its own handler, and use it after ours has come and gone.
    CHECK_EQUAL(setresuid(-1, -1, -1), 0);
    CHECK_EQUAL(drop_privileges(kKeep).error, "");
    CHECK_EQUAL(setresuid(-1, -1, -1), 0);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    pthread_join(deaf, nullptr);
  });
}

TEST(privileges_not_there_are_no_error) {
  with_privileges([] {
    CHECK_EQUAL(drop_privileges(0).error, "");
    const PrivilegeDrop drop = drop_privileges(kKeep);
    CHECK_EQUAL(drop.error, "");
    CHECK_EQUAL(drop.kept, 0u);
  });
}

}  // namespace
}  // namespace wattle
