// The programs that the bench measures: the bench itself, started again as `bench workload NAME ARGUMENT`.
// They do what they are asked on stdin and answer on stdout, in binary: both ends are the same executable.
//
// Workload is used by the thread that started it, and the process ends with it however that happens.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/lib/subprocess.h"

namespace loiter::bench {

// What the workloads can do. In the child; returns its exit code.
int run_workload(const std::string& name, const std::string& argument);

struct Batch {
  uint64_t cpu_ns = 0;   // of the whole process
  uint64_t own_ns = 0;   // CPU time of the thread alone that carries them out
  uint64_t wall_ns = 0;  // of the clock
};

class Workload {
 public:
  // Returns when it is ready.
  // "blocked" N: that many threads asleep in a futex, for good; "deep" N: the same, each eleven frames deep.
  // "pthreads" N: half of that many asleep, the other half ended and never joined.
  // "storm" N: on run_storm(), that many threads are born and end, spread evenly over a second; eight stay.
  // "spinning" CPU: a hundred asleep, eleven frames deep, and one that spins on that CPU once it is asked.
  // "ping_pong", "futex_wake", "getppid", "create_join" CPU: operations in a row, pinned to that CPU.
  Workload(const std::string& name, const std::string& argument);

  pid_t pid() const { return process_.pid(); }

  // Of "ping_pong" and its like: each batch does `operations`.
  std::vector<Batch> run_batches(uint32_t operations, uint32_t batches);

  // Of "spinning": from begin_spinning() on it reads the clock in a row; largest_gap_ns() is the longest time
  // between two readings since, and lets it sleep again.
  void begin_spinning();
  uint64_t largest_gap_ns();

  // Of "storm": how long it took, in ns.
  uint64_t run_storm();

 private:
  void ask(const void* data, size_t size);
  void receive(void* data, size_t size);

  std::string name_;
  test::Subprocess process_;
};

}  // namespace loiter::bench
