// hot_calls: what a hot program does a million times, without a thread born or ended.
// Commands: "futex N": N futex calls that do not block; "getppid N"; "switch N": N round trips through two
// pipes between two threads, each a voluntary switch of both. Told: the switches of the main thread.
#include <linux/futex.h>
#include <sys/resource.h>

#include <atomic>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

int there[2], back[2];

void pass_on(int from, int to) {
  char byte;
  if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1) die("ping-pong");
}

void command(const std::string& line) {
  const int count = atoi(line.c_str() + line.find(' ') + 1);
  static std::atomic<int> word;
  if (line.starts_with("futex "))
    for (int i = 0; i < count; ++i) syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  if (line.starts_with("getppid "))
    for (int i = 0; i < count; ++i) syscall(SYS_getppid);
  if (line.starts_with("switch "))
    for (int i = 0; i < count; ++i) {
      if (write(there[1], "x", 1) != 1) die("write");
      char byte;
      if (read(back[0], &byte, 1) != 1) die("read");
    }
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  fact(R"({"fact": "switches", "voluntary": %ld})", usage.ru_nvcsw);
}

}  // namespace

int main() {
  if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC)) die("pipe2");
  start_thread([] {
    while (true) pass_on(there[0], back[1]);
  });
  return serve(command);
}
