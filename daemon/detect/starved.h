// Threads that could run and are not let: their cgroup has used up its share (cpu.max), or somebody with a
// higher claim holds the CPU.
//
// Pure functions, on the thread that owns the history.
#pragma once

#include <vector>

#include "daemon/detect/case.h"
#include "daemon/detect/exhaustion.h"
#include "daemon/detect/history.h"

namespace loiter {

// Processes of which it is worth to read how their cgroup is throttled (KnownLimits): find_starved() may have
// something of them to tell. At most `most`.
std::vector<TaskKey> find_starving(const HostCase& host, const History& history, size_t most = 64);

// Threads that were runnable for Thresholds::starved_ns and did not run at all; and in cgroups that are
// throttled, as far as `limits` know, those that wanted to run all the while and got less than a hundredth of
// a CPU. Time in which the daemon was itself not let does not count. One finding for each process; for each
// cgroup where that is throttled.
std::vector<Finding> find_starved(const HostCase& host, const History& history, const KnownLimits& limits);

}  // namespace loiter
