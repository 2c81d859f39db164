#include "daemon/inspect/helper_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "daemon/base/clock.h"
#include "daemon/base/send_fd.h"

namespace loiter {
namespace {

constexpr time_t kSendPatienceSeconds = 5;
constexpr uint64_t kLookMs = 100;  // how often a wait looks whether it is over

// A machine so busy that a child waits for a CPU longer than this is none to look into processes on.
constexpr uint64_t kMostStarvedNs = 30'000'000'000;

// What goes first: the length of what follows. A descriptor rides with it.
using Length = uint64_t;

// Sends all of it; a descriptor goes with the first byte.
bool send_all(int socket, const std::byte* data, size_t size, int fd) {
  while (size > 0) {
    const ssize_t sent = send_with_fd(socket, data, size, fd);
    if (sent <= 0) return false;
    fd = -1;
    data += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

// What the scheduler tells of a process of one thread: /proc/PID/stat and schedstat
// (Documentation/scheduler/sched-stats.rst). All 0 where this kernel does not tell.
struct CpuUse {
  bool runnable = false;
  unsigned long long ran_ns = 0;
  unsigned long long waited_ns = 0;  // for a CPU, up to when it last got one
};

CpuUse cpu_use(pid_t pid) {
  CpuUse use;
  char text[512] = "";
  const std::string directory = "/proc/" + std::to_string(pid);
  Fd stat(open((directory + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  if (!stat || read(stat.get(), text, sizeof(text) - 1) <= 0) return use;
  const char* behind_name = std::strrchr(text, ')');
  use.runnable = behind_name && std::strncmp(behind_name, ") R", 3) == 0;
  Fd schedstat(open((directory + "/schedstat").c_str(), O_RDONLY | O_CLOEXEC));
  std::memset(text, 0, sizeof(text));
  if (schedstat && read(schedstat.get(), text, sizeof(text) - 1) > 0)
    std::sscanf(text, "%llu %llu", &use.ran_ns, &use.waited_ns);
  return use;
}

// Some bytes, and a descriptor where one came and `fd` wants it. Flags as recvmsg's. <= 0 as recvmsg.
ssize_t receive_some(int socket, std::byte* to, size_t size, Fd* fd) {
  iovec part{to, size};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  if (got <= 0) return got;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS ||
        item->cmsg_len != CMSG_LEN(sizeof(int)))
      continue;
    int number = -1;
    std::memcpy(&number, CMSG_DATA(item), sizeof(number));
    Fd came(number);
    if (fd) *fd = std::move(came);
  }
  return got;
}

// Between fork and exec of a process with threads: system calls only.
[[noreturn]] void become_helper(pid_t parent, const char* role, int socket, int memory) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  // Above what they become, so that neither overwrites the other.
  int high_socket = fcntl(socket, F_DUPFD, 10);
  int high_memory = fcntl(memory, F_DUPFD, 10);
  if (high_socket < 0 || high_memory < 0 || dup2(high_socket, kHelperSocketFd) < 0 ||
      dup2(high_memory, kHelperMemoryFd) < 0)
    _exit(1);
  syscall(SYS_close_range, kHelperMemoryFd + 1, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::array<char*, 4> args{const_cast<char*>("loiterd"), const_cast<char*>("--helper"),
                            const_cast<char*>(role), nullptr};
  std::array<char*, 1> environment{nullptr};
  execve("/proc/self/exe", args.data(), environment.data());
  _exit(1);
}

}  // namespace

// How long a child is waited for. Not counted is the time in which it is given no CPU: it is then no more
// hung than everybody else.
class HelperProcess::Patience {
 public:
  Patience(pid_t pid, uint64_t length_ns)
      : pid_(pid), length_ns_(length_ns), looked_ns_(monotonic_now_ns()), before_(cpu_use(pid)) {}

  // To be asked each kLookMs or so.
  bool is_over() {
    const uint64_t now = monotonic_now_ns();
    if (now - looked_ns_ < kLookMs * 1'000'000) return spent_ns_ >= length_ns_;
    const CpuUse use = cpu_use(pid_);
    uint64_t starved = use.waited_ns - before_.waited_ns;
    if (use.runnable && use.ran_ns == before_.ran_ns) starved = now - looked_ns_;
    starved = std::min({starved, now - looked_ns_, kMostStarvedNs - starved_ns_});
    starved_ns_ += starved;
    spent_ns_ += now - looked_ns_ - starved;
    looked_ns_ = now;
    before_ = use;
    return spent_ns_ >= length_ns_;
  }

 private:
  pid_t pid_;
  uint64_t length_ns_;
  uint64_t looked_ns_;
  CpuUse before_;
  uint64_t spent_ns_ = 0;
  uint64_t starved_ns_ = 0;
};

// PR_SET_PDEATHSIG fires when the *thread* that forked ends: so a helper's owner is a thread that lives as
// long as it does.
Result<HelperProcess> HelperProcess::start(const std::string& role, int memory_fd,
                                           const std::atomic<bool>& cancel) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()))
    return Error{Error::Kind::internal, std::string("cannot make a socket pair: ") + std::strerror(errno)};
  Fd ours(ends[0]), theirs(ends[1]);
  timeval patience{kSendPatienceSeconds, 0};  // a child that hangs reads nothing
  setsockopt(ours.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return Error{Error::Kind::internal, std::string("cannot fork: ") + std::strerror(errno)};
  if (pid == 0) become_helper(parent, role.c_str(), theirs.get(), memory_fd);
  Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return HelperProcess(pid, std::move(pidfd), std::move(ours), cancel);
}

HelperProcess::HelperProcess(pid_t pid, Fd pidfd, Fd socket, const std::atomic<bool>& cancel)
    : pid_(pid), pidfd_(std::move(pidfd)), socket_(std::move(socket)), cancel_(cancel) {}

HelperProcess::HelperProcess(HelperProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      socket_(std::move(other.socket_)),
      cancel_(other.cancel_) {}

HelperProcess::~HelperProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  // One that hangs in the kernel (a dead NFS server) goes when the kernel lets it: not waited for.
  constexpr uint64_t kPatienceNs = 200'000'000;
  Patience patience(pid_, kPatienceNs);
  pollfd state{pidfd_.get(), POLLIN, 0};
  bool ended = !pidfd_;
  while (!ended && !patience.is_over()) ended = poll(&state, 1, kLookMs) == 1;
  if (ended)
    waitpid(pid_, nullptr, 0);
  else
    spdlog::warn("helper process {} does not die: it hangs in the kernel", pid_);
}

bool HelperProcess::send(const void* data, size_t size, int fd) {
  return helper_send(socket_.get(), data, size, fd);
}

bool HelperProcess::receive_exactly(std::byte* to, size_t size, Patience& patience, Fd* fd) {
  while (size > 0) {
    if (cancel_ || patience.is_over()) return false;
    pollfd state{socket_.get(), POLLIN, 0};
    int ready = poll(&state, 1, kLookMs);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    if (ready < 0) return false;
    ssize_t got = receive_some(socket_.get(), to, size, fd);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

bool HelperProcess::receive(std::vector<std::byte>& message, size_t max_size, uint64_t patience_ns, Fd* fd) {
  Patience patience(pid_, patience_ns);
  Length length = 0;
  if (!receive_exactly(reinterpret_cast<std::byte*>(&length), sizeof(length), patience, fd)) return false;
  if (length > max_size) return false;
  message.resize(length);
  return receive_exactly(message.data(), length, patience, nullptr);
}

bool helper_send(int socket, const void* data, size_t size, int fd) {
  Length length = size;
  return send_all(socket, reinterpret_cast<const std::byte*>(&length), sizeof(length), fd) &&
         send_all(socket, static_cast<const std::byte*>(data), size, -1);
}

bool helper_receive(int socket, std::vector<std::byte>& message, size_t max_size, Fd* fd) {
  auto exactly = [&](std::byte* to, size_t size, Fd* wanted) {
    while (size > 0) {
      ssize_t got = receive_some(socket, to, size, wanted);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      to += got;
      size -= static_cast<size_t>(got);
    }
    return true;
  };
  Length length = 0;
  if (!exactly(reinterpret_cast<std::byte*>(&length), sizeof(length), fd) || length > max_size) return false;
  message.resize(length);
  return exactly(message.data(), length, nullptr);
}

}  // namespace loiter
