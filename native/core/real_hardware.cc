// The machine itself: perf events, model-specific registers, the management controller.
#include <fcntl.h>
#include <linux/ipmi.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/clock.h"
#include "core/hardware.h"

namespace wattle {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;

class RealHardware final : public Hardware {
 public:
  int open_perf(const PerfEvent& event, int cpu, int group) noexcept override {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = event.type;
    attributes.config = event.config;
    attributes.read_format = PERF_FORMAT_GROUP;
    const auto descriptor = syscall(SYS_perf_event_open, &attributes, -1, cpu, group, PERF_FLAG_FD_CLOEXEC);
    return descriptor < 0 ? -errno : static_cast<int>(descriptor);
  }

  int64_t read_perf(int descriptor, std::span<uint64_t> words) noexcept override {
    const ssize_t bytes = ::read(descriptor, words.data(), words.size_bytes());
    return bytes < 0 ? -errno : bytes;
  }

  int open_msr(int cpu) noexcept override {
    char path[64];
    snprintf(path, sizeof path, "/dev/cpu/%d/msr", cpu);
    return open_or_error(path, O_RDONLY);
  }

  int read_msr(int descriptor, uint32_t address, uint64_t& value) noexcept override {
    const ssize_t bytes = ::pread(descriptor, &value, sizeof value, address);
    if (bytes < 0) return -errno;
    return bytes == sizeof value ? 0 : -EIO;
  }

  int open_ipmi(const std::string& device) noexcept override { return open_or_error(device.c_str(), O_RDWR); }

  int64_t ask_ipmi(int descriptor, const IpmiRequest& request, std::span<uint8_t> answer,
                   int timeout_ms) noexcept override {
    ipmi_system_interface_addr address{};
    address.addr_type = IPMI_SYSTEM_INTERFACE_ADDR_TYPE;
    address.channel = IPMI_BMC_CHANNEL;
    ipmi_req message{};
    message.addr = reinterpret_cast<unsigned char*>(&address);
    message.addr_len = sizeof address;
    message.msgid = ++last_id_;
    message.msg.netfn = request.net_fn;
    message.msg.cmd = request.command;
    // The driver only reads it; its declaration does not say so.
    message.msg.data = const_cast<uint8_t*>(request.data.data());
    message.msg.data_len = static_cast<unsigned short>(request.data.size());
    if (::ioctl(descriptor, IPMICTL_SEND_COMMAND, &message) < 0) return -errno;

    const int64_t until_ns = monotonic_ns() + timeout_ms * kNsPerMs;
    for (;;) {
      const int64_t left_ms = (until_ns - monotonic_ns()) / kNsPerMs;
      pollfd waiting{descriptor, POLLIN, 0};
      const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left_ms, 0)));
      if (ready < 0 && errno == EINTR) continue;
      if (ready < 0) return -errno;
      if (ready == 0) return -ETIMEDOUT;
      // An error that stands would end every wait at once.
      if ((waiting.revents & POLLIN) == 0) return -EIO;
      // Room for any kind of address: a message whose address does not fit goes back to the head of the queue for ever.
      ipmi_addr from{};
      ipmi_recv received{};
      received.addr = reinterpret_cast<unsigned char*>(&from);
      received.addr_len = sizeof from;
      received.msg.data = answer.data();
      received.msg.data_len = static_cast<unsigned short>(std::min<size_t>(answer.size(), UINT16_MAX));
      // EMSGSIZE: the answer was cut to what fits, and is taken off the queue all the same.
      if (::ioctl(descriptor, IPMICTL_RECEIVE_MSG_TRUNC, &received) < 0 && errno != EMSGSIZE) {
        if (errno == EINTR || errno == EAGAIN) continue;
        return -errno;
      }
      // An event, or the answer to a request that was given up earlier: taken off the queue too.
      if (received.msgid != message.msgid || received.recv_type != IPMI_RESPONSE_RECV_TYPE) continue;
      return std::min<int64_t>(received.msg.data_len, static_cast<int64_t>(answer.size()));
    }
  }

  void close(int descriptor) noexcept override { ::close(descriptor); }

 private:
  static int open_or_error(const char* path, int flags) noexcept {
    const int descriptor = ::open(path, flags | O_CLOEXEC | O_NOCTTY);
    return descriptor < 0 ? -errno : descriptor;
  }

  std::atomic<long> last_id_{0};
};

}  // namespace

Hardware& machine() noexcept {
  static RealHardware hardware;
  return hardware;
}

}  // namespace wattle
