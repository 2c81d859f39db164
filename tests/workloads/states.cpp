// A process for every state a thread can be held in; told are pid, tid and the state: sleeping, stopped,
// traced, zombie, uninterruptible (the parent of a vfork), busy (never blocks). They end with this one.
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <atomic>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

void tell(const char* state, pid_t pid, pid_t tid) {
  fact(R"({"fact": "state", "state": "%s", "pid": %d, "tid": %d})", state, pid, tid);
}

// Returns when the child is bound to end with us: what stops it from then on cannot keep it from that.
pid_t child(void (*body)()) {
  const pid_t parent = getpid();
  int bound[2];
  if (pipe2(bound, O_CLOEXEC)) die("pipe2");
  const pid_t pid = fork();
  if (pid == 0) {
    die_with_parent(parent);
    close(bound[0]);
    close(bound[1]);
    body();
    _exit(0);
  }
  close(bound[1]);
  char byte;
  if (read(bound[0], &byte, 1) != 0) die("read");
  close(bound[0]);
  return pid;
}

void await_end_or_stop(pid_t pid, int flags) {
  siginfo_t info;
  if (waitid(P_PID, static_cast<id_t>(pid), &info, flags | WNOWAIT)) die("waitid");
}

void make_stopped() {
  const pid_t pid = child(block_forever);
  kill(pid, SIGSTOP);
  await_end_or_stop(pid, WSTOPPED);
  tell("stopped", pid, pid);
}

void make_traced() {
  const pid_t pid = child(block_forever);
  if (ptrace(PTRACE_ATTACH, pid, nullptr, nullptr)) die("ptrace");
  await_end_or_stop(pid, WSTOPPED);
  tell("traced", pid, pid);
}

void make_zombie() {
  const pid_t pid = child([] {});
  await_end_or_stop(pid, WEXITED);
  tell("zombie", pid, pid);
}

// The thread that vforks cannot be interrupted until its child execs or ends. Only vfork gives that.
void make_uninterruptible() {
  static std::atomic<pid_t> tid;
  static pid_t parent;
  parent = getpid();
  start_thread([] {
    tid = thread_id();
    if (vfork() == 0) {
      die_with_parent(parent);
      block_forever();
    }
    die("the child of the vfork has ended");
  });
  char path[64], text[512], state = 0;
  while (state != 'D') {
    usleep(200);
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid.load());
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = read(file, text, sizeof(text) - 1);
    close(file);
    text[n > 0 ? n : 0] = 0;
    const char* close_paren = strrchr(text, ')');
    state = close_paren ? close_paren[2] : 0;
  }
  tell("uninterruptible", getpid(), tid);
}

void make_busy() {
  const pid_t pid = child([] {
    const sched_param none{};
    sched_setscheduler(0, SCHED_IDLE, &none);  // in nobody's way
    alarm(120);
    spin();
  });
  tell("busy", pid, pid);
}

}  // namespace

int main() {
  make_stopped();
  make_traced();
  make_zombie();
  make_busy();
  make_uninterruptible();
  tell("sleeping", getpid(), getpid());
  return serve([](const std::string&) {});
}
