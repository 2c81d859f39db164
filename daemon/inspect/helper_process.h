// A child of this daemon that does what may hang or be harmed: reading of foreign processes (the opener),
// parsing of foreign files (the parser). It is this very executable, started again with --helper ROLE on a
// socket.
//
// Owned by one thread. The child dies with that thread's process, or when the owner drops it; nothing is lost
// with it, so whoever waits for it in vain kills it and starts another.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter {

// The descriptor a helper finds its socket at, and the one of the memory it shares with its owner.
constexpr int kHelperSocketFd = 3;
constexpr int kHelperMemoryFd = 4;

class HelperProcess {
 public:
  // `memory`: a memfd that the child gets as kHelperMemoryFd. `cancel`: set by another thread, ends a wait
  // for the child early; outlives this.
  static Result<HelperProcess> start(const std::string& role, int memory_fd, const std::atomic<bool>& cancel);

  HelperProcess(HelperProcess&&) noexcept;
  HelperProcess& operator=(HelperProcess&&) = delete;
  ~HelperProcess();  // kills it; a child that the kernel holds fast is left for init

  pid_t pid() const { return pid_; }

  // One message with up to one descriptor. False: the child is gone.
  bool send(const void* data, size_t size, int fd = -1);

  // The next message whole, within `patience_ns`; that the child waits for a CPU does not count, up to a
  // bound. False: gone, too late, longer than `max_size`, or `cancel` became true meanwhile.
  bool receive(std::vector<std::byte>& message, size_t max_size, uint64_t patience_ns, Fd* fd = nullptr);

 private:
  HelperProcess(pid_t pid, Fd pidfd, Fd socket, const std::atomic<bool>& cancel);
  class Patience;
  bool receive_exactly(std::byte* to, size_t size, Patience& patience, Fd* fd);

  pid_t pid_ = -1;
  Fd pidfd_;
  Fd socket_;
  const std::atomic<bool>& cancel_;
};

// The child's side of the same, blocking. False: the owner is gone.
bool helper_send(int socket, const void* data, size_t size, int fd = -1);
bool helper_receive(int socket, std::vector<std::byte>& message, size_t max_size, Fd* fd = nullptr);

}  // namespace loiter
