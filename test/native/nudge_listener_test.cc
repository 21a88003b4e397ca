#include "core/nudge_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "check.h"
#include "core/clock.h"
#include "meters/meters.h"
#include "scratch.h"

namespace wattle {
namespace {

// A sampler that would tick once an hour if nobody asked.
struct Fixture {
  Fixture() {
    slots->push(0, 0);
    memory.resize(shape.bytes() / sizeof(double));
    sampler.attach(shape, reinterpret_cast<std::byte*>(memory.data()));
    sampling.start();
  }
  std::vector<PacedMeter> meters() {
    MeterContext context;
    context.settings.set("idleWatts", 100.0);
    context.settings.set("cpuFormat", "pushed");
    context.slots = slots.get();
    std::vector<PacedMeter> all;
    all.push_back({make_model(context).meter, 1});
    return all;
  }
  uint64_t forced() { return sampling.stats().forced_ticks.get(); }
  void until_forced(uint64_t count) {
    while (forced() < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  test::Scratch scratch;
  std::string path = scratch.path("n1.nudge");
  std::shared_ptr<CpuSlots> slots = std::make_shared<CpuSlots>(4);
  Sampler sampler{meters(), slots, kNsPerSecond};
  RingShape shape{64, 1, 4};
  std::vector<double> memory;
  SamplingThread sampling{sampler, 3600 * kNsPerSecond};
  NudgeListener listener{sampling};
};

bool send_to(const std::string& path, size_t size) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const char text[64] = "nudge";
  const ssize_t sent =
      sendto(fd, text, size, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  close(fd);
  return sent == static_cast<ssize_t>(size);
}

TEST(nudge_forces_a_tick_each_time) {
  Fixture fixture;
  CHECK_EQUAL(fixture.listener.start(fixture.path), 0);
  for (uint64_t count = 1; count <= 3; count++) {
    CHECK(send_to(fixture.path, 64));
    fixture.until_forced(count);
  }
}

TEST(nudge_empty_datagram_does_not_end_the_listener) {
  Fixture fixture;
  fixture.listener.start(fixture.path);
  CHECK(send_to(fixture.path, 0));
  CHECK(send_to(fixture.path, 1));
  fixture.until_forced(1);
  CHECK(send_to(fixture.path, 1));
  fixture.until_forced(2);
}

TEST(nudge_socket_is_its_owners_alone) {
  Fixture fixture;
  fixture.listener.start(fixture.path);
  struct stat status {};
  CHECK_EQUAL(stat(fixture.path.c_str(), &status), 0);
  CHECK_EQUAL(status.st_mode & 0777, 0600u);
}

TEST(nudge_replaces_a_socket_left_behind_and_can_start_again) {
  Fixture fixture;
  CHECK_EQUAL(fixture.listener.start(fixture.path), 0);
  fixture.listener.stop();
  CHECK(!send_to(fixture.path, 1));
  CHECK_EQUAL(fixture.listener.start(fixture.path), 0);
  CHECK(send_to(fixture.path, 1));
  fixture.until_forced(1);
}

TEST(nudge_says_why_a_path_is_none) {
  Fixture fixture;
  CHECK_EQUAL(fixture.listener.start("/nowhere/at/all"), ENOENT);
  CHECK_EQUAL(fixture.listener.start(std::string(200, 'x')), ENAMETOOLONG);
  fixture.listener.stop();
}

}  // namespace
}  // namespace wattle
