// Threads that keep a CPU busy and never wait for anything: a loop without an end, or long work.
//
// Pure functions, on the thread that owns the history.
#pragma once

#include <vector>

#include "daemon/detect/case.h"
#include "daemon/detect/history.h"

namespace loiter {

// Threads that ran or could at each census for Thresholds::spin_ns, without one voluntary switch, and used a
// tenth of that time at least. Nothing tells a loop from work that takes long: `possible`, an info. One
// finding for the threads of a process that were made at one place. Kernel threads are left out.
std::vector<Finding> find_spinning(const HostCase& host, const History& history);

}  // namespace loiter
