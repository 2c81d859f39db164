// Threads on course for what limits their number: pids.max of a cgroup, RLIMIT_NPROC of a user, the kernel's
// threads-max or pid_max.
//
// Pure functions, on the thread that owns the history.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/detect/case.h"
#include "daemon/detect/history.h"
#include "daemon/sensors/limits.h"

namespace loiter {

// What was read (LimitReader) of processes that grow (History::growing()) and of the host.
struct KnownLimits {
  std::map<uint32_t, ProcessLimits> processes;  // by pid
  HostLimits host;
};

// A limit, how near it is, and how that changes.
struct LimitUse {
  std::string name;   // "pids.max", "RLIMIT_NPROC", "threads-max", "pid_max"
  std::string scope;  // "cgroup /x", "user 1000", "the host"
  uint64_t used = 0;
  uint64_t max = 0;
  const Growth* growth = nullptr;  // of what counts; null: not followed

  // At that many threads more a minute, the time until there is no more room; nothing where it does not grow.
  std::optional<uint64_t> left_ns(double per_minute) const;
};

// All that limit this process, the nearest one to its limit first.
std::vector<LimitUse> limits_of(const ProcessView& process, const KnownLimits& limits,
                                const History& history);

// One finding for each limit that is reached within Thresholds::exhaustion_ns as things go, or of which nine
// tenths are used up and that is still growing; critical with a tenth of that time left, or where it has
// grown until nothing more can be made. It names the process that has grown most of those that count,
// and the threads that it made where it did.
std::vector<Finding> find_exhaustion(const HostCase& host, const History& history, const KnownLimits& limits);

}  // namespace loiter
