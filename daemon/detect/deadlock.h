// Threads that wait for one another, in a circle: none of them will ever go on.
//
// Pure functions, any thread.
#pragma once

#include <vector>

#include "daemon/detect/case.h"

namespace loiter {

// One finding for each cycle; threads that wait on it from without are counted with it. A cycle of locks,
// joins and file locks is told as soon as it stands, whatever the threshold: it stands since all its threads
// have slept from before the census until after they were looked at, and each one's holder is one of them.
// `likely` where a wait has a time limit, or where it was concluded which thread of a process is meant.
//
// Processes that read from each other may be a protocol at rest: where no lock is part of the cycle, it is
// one past the threshold, and only where all write, or wait for the other's end. And a thread that the kernel
// has refused to let wait (ChainEnd::deadlocked) is one.
std::vector<Finding> find_deadlocks(const HostCase& host);

}  // namespace loiter
