// blocker KIND...: one thread for each KIND, blocked for good in the way that it names. Told of each: its
// tid, the system call, and two moments on CLOCK_BOOTTIME between which it went to sleep: its own stamp
// just before, and the main thread's after it saw it asleep in that call.
// Commands: "add KIND" blocks one more.
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <atomic>
#include <map>
#include <mutex>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

int silent_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) die("pipe2");
  return ends[0];
}

void block_in_futex() {
  static std::atomic<int> word;
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
}

void block_in_mutex() {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  pthread_mutex_lock(&mutex);
}

void block_in_pipe() {
  char byte;
  if (read(silent_pipe(), &byte, 1) != 1) die("read");
}

void block_in_poll() {
  pollfd one{silent_pipe(), POLLIN, 0};
  // The system call itself: libc's poll() is ppoll on some architectures.
  syscall(SYS_ppoll, &one, 1, nullptr, nullptr, 0);
}

void block_in_epoll() {
  epoll_event event{};
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  syscall(SYS_epoll_pwait, epoll, &event, 1, -1, nullptr, 0);
}

void block_in_sleep() {
  const timespec long_time{100'000, 0};
  syscall(SYS_nanosleep, &long_time, nullptr);
}

void block_in_sigwait() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigwaitinfo(&set, nullptr);
}

void block_in_accept() {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un unnamed{AF_UNIX, {}};
  if (bind(listener, reinterpret_cast<const sockaddr*>(&unnamed), sizeof(sa_family_t)) || listen(listener, 1))
    die("listen");
  syscall(SYS_accept4, listener, nullptr, nullptr, 0);
}

void block_in_flock() {
  const int holder = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const int waiter = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  flock(holder, LOCK_SH);  // shared among all instances, so that only our own waiter is in its way
  flock(waiter, LOCK_EX);
}

pid_t fork_silent_child() {
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    die_with_parent(parent);
    block_forever();
  }
  return child;
}

void block_in_wait() {
  const pid_t child = fork_silent_child();
  syscall(SYS_wait4, child, nullptr, 0, nullptr);
}

struct Kind {
  void (*block)();
  long number;
  const char* syscall;
};

const std::map<std::string, Kind> kinds = {
    {"futex", {block_in_futex, SYS_futex, "futex"}},
    {"mutex", {block_in_mutex, SYS_futex, "futex"}},
    {"pipe", {block_in_pipe, SYS_read, "read"}},
    {"poll", {block_in_poll, SYS_ppoll, "ppoll"}},
    {"epoll", {block_in_epoll, SYS_epoll_pwait, "epoll_pwait"}},
    {"nanosleep", {block_in_sleep, SYS_nanosleep, "nanosleep"}},
    {"sigwait", {block_in_sigwait, SYS_rt_sigtimedwait, "rt_sigtimedwait"}},
    {"accept", {block_in_accept, SYS_accept4, "accept4"}},
    {"flock", {block_in_flock, SYS_flock, "flock"}},
    {"wait", {block_in_wait, SYS_wait4, "wait4"}},
};

// Asleep in that call: the kernel tells the number only of a thread that is off its run queue.
bool asleep_in(pid_t tid, long number) {
  char path[64], text[64] = "";
  snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t n = read(file, text, sizeof(text) - 1);
  close(file);
  return n > 0 && text[0] != 'r' && atol(text) == number;
}

void add(const std::string& name) {
  const auto kind = kinds.find(name);
  if (kind == kinds.end()) die("no such kind");
  static std::atomic<pid_t> tid;
  static std::atomic<uint64_t> before;
  tid = 0;
  start_thread([block = kind->second.block] {
    before = boottime_ns();
    tid = thread_id();
    block();
    die("a thread that was to block has returned");
  });
  while (tid == 0 || !asleep_in(tid, kind->second.number)) usleep(200);
  fact(R"({"fact": "blocked", "kind": "%s", "tid": %d, "syscall": "%s", "before": %lu, "after": %lu})",
       name.c_str(), tid.load(), kind->second.syscall, before.load(), boottime_ns());
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) add(argv[i]);
  return serve([](const std::string& line) {
    if (line.starts_with("add ")) add(line.substr(4));
  });
}
