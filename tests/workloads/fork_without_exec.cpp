// fork_without_exec: forks from a thread that is not the leader; the child goes on in the same program, with
// a thread of its own. Told: the thread that forked, the child, the child's thread.
// Commands: "end" has the child exit with code 3 and be reaped.
#include <sys/wait.h>

#include <atomic>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

std::atomic<pid_t> child;
int child_end[2];
int child_told[2];

// In the child: one thread more, and an end when the parent asks for it.
[[noreturn]] void child_body(pid_t parent) {
  die_with_parent(parent);
  start_thread([] {
    const pid_t tid = thread_id();
    if (write(child_told[1], &tid, sizeof(tid)) != sizeof(tid)) die("write");
    block_forever();
  });
  char byte;
  if (read(child_end[0], &byte, 1) != 1) die("read");
  _exit(3);
}

}  // namespace

int main() {
  if (pipe2(child_end, O_CLOEXEC) || pipe2(child_told, O_CLOEXEC)) die("pipe2");
  start_thread([parent = getpid()] {
    const pid_t pid = fork();
    if (pid == 0) child_body(parent);
    fact(R"({"fact": "forked", "creator": %d, "child": %d})", thread_id(), pid);
    child = pid;
    block_forever();
  });
  pid_t child_thread = 0;
  if (read(child_told[0], &child_thread, sizeof(child_thread)) != sizeof(child_thread)) die("read");
  while (child == 0) usleep(200);
  fact(R"({"fact": "child_thread", "tid": %d})", child_thread);
  return serve([](const std::string& line) {
    if (line == "end" && (write(child_end[1], "x", 1) != 1 || waitpid(child, nullptr, 0) != child))
      die("end");
  });
}
