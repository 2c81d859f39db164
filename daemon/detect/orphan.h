// Threads that wait for what no one can give any more: a lock whose owner ended, or that a thread of the
// parent held when the process was forked.
//
// Pure functions, any thread.
#pragma once

#include <vector>

#include "daemon/detect/case.h"

namespace loiter {

// One finding for each such lock; all that wait for it, and on those who do, are counted with it. Told as
// soon as it is seen, whatever the threshold: nobody will come. `proven` where the owner's end, or the fork,
// was seen; `likely` where its number is just no thread's any more, or where the wait has a time limit.
std::vector<Finding> find_orphans(const HostCase& host);

}  // namespace loiter
