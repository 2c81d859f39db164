// The other ways to look at every thread: what the census is measured against.
//
// Called by one thread. Plain system calls on purpose: as fast as reading /proc goes.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace loiter::bench {

// Reads stat and syscall of each thread in /proc/PID/task; returns how many had both.
size_t walk_proc(pid_t pid);

}  // namespace loiter::bench
