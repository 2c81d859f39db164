#include "cli/check/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

#include "daemon/base/send_fd.h"

namespace loiter::cli {
namespace {

Error cannot(const std::string& what) {
  return {Error::Kind::internal, "cannot " + what + ": " + strerror(errno)};
}

// --- in the keeper ---------------------------------------------------------------------------------

// The number after "KEY:\t" in /proc/TID/status; 0: not there.
uint32_t status_number(uint32_t tid, const char* key) {
  const Fd file(open(("/proc/" + std::to_string(tid) + "/status").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 2048> text{};
  if (!file || read(file.get(), text.data(), text.size() - 1) <= 0) return 0;
  const char* found = strstr(text.data(), key);
  return found ? static_cast<uint32_t>(strtoul(found + strlen(key), nullptr, 10)) : 0;
}

// A vfork child runs in its parent's memory: what is there is not its own.
bool shares_memory(uint32_t pid, uint32_t parent) {
  return syscall(SYS_kcmp, pid, parent, KCMP_VM, 0, 0) == 0;
}

class Answerer {
 public:
  Answerer(Fd listener, Fd control, uint32_t command, bool follow)
      : listener_(std::move(listener)), control_(std::move(control)), command_(command), follow_(follow) {
    seccomp_notify_alloc(&call_, &answer_);
  }

  // Until no process is left under the filter.
  void run() {
    while (call_ && answer_) {
      std::array<pollfd, 2> ask{{{listener_.get(), POLLIN, 0}, {control_.get(), POLLIN, 0}}};
      if (poll(ask.data(), ask.size(), -1) < 0) continue;
      if (ask[1].revents != 0) on_control();
      if (ask[0].revents & POLLIN)
        on_call();
      else if (ask[0].revents != 0)
        return;
    }
  }

 private:
  void on_call() {
    // Its size is that of this kernel, which wants it empty.
    memset(call_, 0, sizeof(*call_));
    if (seccomp_notify_receive(listener_.get(), call_)) return;  // who called is gone
    const uint32_t pid = process_to_hold(call_->pid);
    HeldExit held{call_->id, pid, call_->pid, static_cast<uint32_t>(call_->data.args[0] & 0xff),
                  passed_over_};
    if (pid != 0 && control_) {
      if (send(control_.get(), &held, sizeof(held), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(held)) {
        held_.insert(call_->id);
        return;
      }
      ++passed_over_;
    }
    go_on(call_->id);
  }

  // 0: none of those to look at.
  uint32_t process_to_hold(uint32_t tid) const {
    const std::string task = "/proc/" + std::to_string(command_) + "/task/" + std::to_string(tid);
    if (tid == command_ || access(task.c_str(), F_OK) == 0) return command_;
    if (!follow_) return 0;
    const uint32_t pid = status_number(tid, "\nTgid:\t"), parent = status_number(tid, "\nPPid:\t");
    return pid == 0 || (parent != 0 && shares_memory(pid, parent)) ? 0 : pid;
  }

  void on_control() {
    uint64_t id = 0;
    if (recv(control_.get(), &id, sizeof(id), MSG_DONTWAIT) == sizeof(id)) {
      if (held_.erase(id)) go_on(id);
      return;
    }
    if (errno == EAGAIN || errno == EINTR) return;
    control_.reset();
    for (const uint64_t each : held_) go_on(each);
    held_.clear();
  }

  void go_on(uint64_t id) {
    memset(answer_, 0, sizeof(*answer_));
    answer_->id = id;
    answer_->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    seccomp_notify_respond(listener_.get(), answer_);  // fails where it was killed: as good
  }

  Fd listener_, control_;
  uint32_t command_;
  bool follow_;
  seccomp_notif* call_ = nullptr;
  seccomp_notif_resp* answer_ = nullptr;
  std::set<uint64_t> held_;
  uint32_t passed_over_ = 0;
};

// The listener and the command's pid, or an empty Fd where the child failed before it had one.
Fd receive_listener(int link, uint32_t& command) {
  iovec data{&command, sizeof(command)};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  ssize_t got;
  while ((got = recvmsg(link, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  const cmsghdr* rights = got == sizeof(command) ? CMSG_FIRSTHDR(&message) : nullptr;
  if (!rights || rights->cmsg_type != SCM_RIGHTS) return Fd();
  int fd = -1;
  memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
  return Fd(fd);
}

// Apart from terminal, session and open files: nobody waits for a pipe's end or an unmount because of it.
void stand_apart(int link, int control) {
  setsid();
  prctl(PR_SET_NAME, "loiter-keeper");
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE})
    signal(number, SIG_IGN);
  if (chdir("/")) _exit(3);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, number);
  const auto first = static_cast<unsigned>(std::min(link, control)),
             last = static_cast<unsigned>(std::max(link, control));
  if (first > 3) syscall(SYS_close_range, 3U, first - 1, 0U);
  if (last > first + 1) syscall(SYS_close_range, first + 1, last - 1, 0U);
  syscall(SYS_close_range, last + 1, ~0U, 0U);
}

[[noreturn]] void keep(int link, int control, bool follow) {
  stand_apart(link, control);
  uint32_t command = 0;
  Fd listener = receive_listener(link, command);
  if (!listener) _exit(0);
  Answerer answerer(std::move(listener), Fd(control), command, follow);
  const char ready = 'r';
  if (send(link, &ready, 1, MSG_NOSIGNAL) != 1) _exit(3);
  close(link);
  answerer.run();
  _exit(0);
}

}  // namespace

Result<Keeper> Keeper::start(bool follow) {
  std::array<int, 2> link, control;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link.data())) return cannot("make a socket pair");
  Fd child_link(link[0]), keeper_link(link[1]);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()))
    return cannot("make a socket pair");
  Keeper keeper;
  keeper.control_.reset(control[0]);
  Fd keeper_control(control[1]);
  keeper.pid_ = fork();
  if (keeper.pid_ < 0) return cannot("start a process");
  if (keeper.pid_ == 0) {
    child_link.reset();
    keeper.control_.reset();
    keep(keeper_link.get(), keeper_control.get(), follow);
  }
  keeper.pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, keeper.pid_, 0)));
  keeper.child_link_ = std::move(child_link);
  return keeper;
}

std::optional<HeldExit> Keeper::next() {
  HeldExit held;
  if (!control_ || recv(control_.get(), &held, sizeof(held), MSG_DONTWAIT) != sizeof(held))
    return std::nullopt;
  return held;
}

void Keeper::let_go(uint64_t id) const {
  send(control_.get(), &id, sizeof(id), MSG_NOSIGNAL);
}

bool Keeper::leave(int patience_ms) {
  child_link_.reset();
  control_.reset();
  pollfd ended{pidfd_.get(), POLLIN, 0};
  while (poll(&ended, 1, patience_ms) < 0 && errno == EINTR) {
  }
  return waitpid(pid_, nullptr, WNOHANG) == pid_;
}

bool Keeper::hand_over(int link, int listener) {
  const auto pid = static_cast<uint32_t>(getpid());
  if (send_with_fd(link, &pid, sizeof(pid), listener) != sizeof(pid)) return false;
  char ready = 0;
  ssize_t got;
  while ((got = recv(link, &ready, 1, 0)) < 0 && errno == EINTR) {
  }
  return got == 1;
}

}  // namespace loiter::cli
