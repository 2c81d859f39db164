// Threads blocked past the threshold in a wait that must end, told by what keeps them: one finding for each
// root of a chain, whoever waits on it.
//
// Pure functions, any thread.
#pragma once

#include <vector>

#include "daemon/detect/case.h"
#include "daemon/detect/turn_watch.h"

namespace loiter {

// A finding where a thread past the threshold waits for what must be given back or answered (must_end()), for
// the root of its chain; that may run, or wait itself in what would be no matter without waiters. Not where
// the root waits for the next client (accept, epoll), or has done so since the thread began to wait: that is
// how leader and followers take turns, and how an event loop shuts out helpers that it does not need. Roots
// that are deadlocks or orphans are found as those.
std::vector<Finding> find_stuck(const HostCase& host, const TurnWatch& turns = {});

}  // namespace loiter
