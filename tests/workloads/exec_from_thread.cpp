// exec_from_thread: a leader and three more threads. At the command "exec", the second of the three, not the
// leader, executes this very program again ("after" as its argument), which tells "after". The leader and
// the siblings end by that, and the thread that executed takes the leader's tid.
// The command "exec_leader" has the leader do the same.
#include <semaphore.h>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

sem_t go;

[[noreturn]] void exec_again() {
  fact(R"({"fact": "exec", "tid": %d, "before": %lu})", thread_id(), boottime_ns());
  const char* const argv[] = {"exec_from_thread", "after", nullptr};
  execv("/proc/self/exe", const_cast<char* const*>(argv));
  die("execv");
}

void start(const char* role) {
  static sem_t told;
  sem_init(&told, 0, 0);
  start_thread([role] {
    fact(R"({"fact": "thread", "role": "%s", "tid": %d})", role, thread_id());
    sem_post(&told);
    if (strcmp(role, "executor") != 0) block_forever();
    while (sem_wait(&go)) {
    }
    exec_again();
  });
  while (sem_wait(&told)) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "after") == 0) {
    fact(R"({"fact": "after", "pid": %d, "tid": %d, "time": %lu})", getpid(), thread_id(), boottime_ns());
    start_thread([] {
      fact(R"({"fact": "new_thread", "tid": %d})", thread_id());
      fact(R"({"fact": "settled"})");
      block_forever();
    });
  } else {
    sem_init(&go, 0, 0);
    start("sibling");
    start("executor");
    start("sibling");
  }
  return serve([](const std::string& line) {
    if (line == "exec") sem_post(&go);
    if (line == "exec_leader") exec_again();
  });
}
