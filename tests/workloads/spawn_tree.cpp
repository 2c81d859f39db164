// spawn_tree DEPTH WIDTH: a tree of threads under the main one. Every thread above depth DEPTH creates
// WIDTH others, one after another, and then blocks in a futex. Each new thread is told with its creator and
// with the moments between which it was born.
// Commands: "end TID" ends that thread; "add" has the main thread create one more.
#include <linux/futex.h>
#include <sys/syscall.h>

#include <atomic>
#include <map>
#include <mutex>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

std::mutex gates_mutex;
std::map<pid_t, std::atomic<int>> gates;  // 1: may end

void futex(std::atomic<int>& word, int operation, int value) {
  syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

std::atomic<int>& gate_of(pid_t tid) {
  const std::lock_guard lock(gates_mutex);
  return gates[tid];
}

void wait_at(std::atomic<int>& gate) {
  while (gate == 0) futex(gate, FUTEX_WAIT_PRIVATE, 0);
}

// Returns when the new thread has made all of its own and is about to block.
void create(int depth, int max_depth, int width);

void thread_body(int depth, int max_depth, int width, pid_t creator, uint64_t before,
                 std::atomic<int>* settled) {
  fact(R"({"fact": "thread", "tid": %d, "creator": %d, "depth": %d, "before": %lu, "after": %lu})",
       thread_id(), creator, depth, before, boottime_ns());
  if (depth < max_depth)
    for (int i = 0; i < width; ++i) create(depth + 1, max_depth, width);
  std::atomic<int>& gate = gate_of(thread_id());
  *settled = 1;
  futex(*settled, FUTEX_WAKE_PRIVATE, 1);
  wait_at(gate);
}

void create(int depth, int max_depth, int width) {
  // Kept: the new thread may still be in its wake-up call when this one goes on.
  auto* settled = new std::atomic<int>(0);
  start_thread([=, creator = thread_id(), before = boottime_ns()] {
    thread_body(depth, max_depth, width, creator, before, settled);
  });
  wait_at(*settled);
}

void command(const std::string& line) {
  if (line == "add") {
    create(1, 1, 0);
  } else if (line.starts_with("end ")) {
    std::atomic<int>& gate = gate_of(atoi(line.c_str() + 4));
    gate = 1;
    futex(gate, FUTEX_WAKE_PRIVATE, 1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int depth = argc > 1 ? atoi(argv[1]) : 3;
  const int width = argc > 2 ? atoi(argv[2]) : 2;
  if (depth > 0)
    for (int i = 0; i < width; ++i) create(1, depth, width);
  return serve(command);
}
