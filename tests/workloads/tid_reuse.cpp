// tid_reuse: one tid for two lives. Told of each life: tid, creator, and the moments around its birth.
// Commands: "thread" ends the thread that lives and has a new one born with its tid; "process" does the same
// with a child process. The next pid is asked for through ns_last_pid, until nobody else takes it.
#include <sys/wait.h>

#include <atomic>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

void ask_for(pid_t next) {
  const int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
  char text[16];
  const int length = snprintf(text, sizeof(text), "%d", next - 1);
  if (file < 0 || write(file, text, static_cast<size_t>(length)) != length) die("ns_last_pid");
  close(file);
}

struct Life {
  pthread_t thread;
  std::atomic<pid_t> tid;
  std::atomic<bool> may_end;
};

Life* thread_life;
pid_t process_life;

void* live(void* arg) {
  Life* life = static_cast<Life*>(arg);
  life->tid = thread_id();
  while (!life->may_end) usleep(1000);
  return nullptr;
}

void end(Life* life) {
  life->may_end = true;
  pthread_join(life->thread, nullptr);
  delete life;
}

void tell(const char* what, pid_t tid, uint64_t before) {
  fact(R"({"fact": "%s", "tid": %d, "creator": %d, "before": %lu, "after": %lu})", what, tid, thread_id(),
       before, boottime_ns());
}

Life* new_thread() {
  Life* life = new Life{};
  if (pthread_create(&life->thread, nullptr, live, life)) die("pthread_create");
  while (life->tid == 0) usleep(100);
  return life;
}

void thread_again() {
  const pid_t tid = thread_life->tid;
  end(thread_life);
  while (true) {
    ask_for(tid);
    const uint64_t before = boottime_ns();
    thread_life = new_thread();
    if (thread_life->tid == tid) return tell("thread", tid, before);
    end(thread_life);
  }
}

pid_t new_process() {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    die_with_parent(parent);
    block_forever();
  }
  return pid;
}

void end_process(pid_t pid) {
  kill(pid, SIGKILL);
  if (waitpid(pid, nullptr, 0) != pid) die("waitpid");
}

void process_again() {
  const pid_t wanted = process_life;
  end_process(wanted);
  while (true) {
    ask_for(wanted);
    const uint64_t before = boottime_ns();
    process_life = new_process();
    if (process_life == wanted) return tell("process", wanted, before);
    end_process(process_life);
  }
}

}  // namespace

int main() {
  uint64_t before = boottime_ns();
  thread_life = new_thread();
  tell("thread", thread_life->tid, before);
  before = boottime_ns();
  process_life = new_process();
  tell("process", process_life, before);
  return serve([](const std::string& line) {
    if (line == "thread") thread_again();
    if (line == "process") process_again();
  });
}
