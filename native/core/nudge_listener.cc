#include "core/nudge_listener.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace wattle {

int NudgeListener::start(const std::string& path) noexcept {
  stop();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  path.copy(address.sun_path, path.size());

  stopping_.store(false);
  socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return errno;
  // Before bind, so that there is no moment in which anybody may send.
  int error = fchmod(socket_, S_IRUSR | S_IWUSR) == 0 ? 0 : errno;
  if (error == 0 && unlink(path.c_str()) != 0 && errno != ENOENT) error = errno;
  if (error == 0 && bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) error = errno;
  if (error == 0) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread_, nullptr, enter, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  if (error != 0) {
    close(socket_);
    socket_ = -1;
  }
  return error;
}

void NudgeListener::stop() noexcept {
  if (socket_ < 0) return;
  stopping_.store(true);
  // Ends the wait in recv. The path stays: a successor may have bound it already.
  shutdown(socket_, SHUT_RDWR);
  pthread_join(thread_, nullptr);
  close(socket_);
  socket_ = -1;
}

void* NudgeListener::enter(void* self) noexcept {
  static_cast<NudgeListener*>(self)->run();
  return nullptr;
}

void NudgeListener::run() noexcept {
  prctl(PR_SET_NAME, "wattle-nudge");
  for (;;) {
    char ignored;
    const ssize_t size = recv(socket_, &ignored, sizeof ignored, 0);
    if (size < 0 && errno == EINTR) continue;
    // The end of the socket reads as 0, and so does an empty datagram.
    if (size < 0 || stopping_.load()) return;
    // A burst (a job array that starts) is one tick.
    while (recv(socket_, &ignored, sizeof ignored, MSG_DONTWAIT) > 0) {
    }
    sampling_.force_tick();
  }
}

}  // namespace wattle
