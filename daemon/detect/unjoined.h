// Threads that ended, are joinable, and that nobody joined.
//
// Pure functions, any thread.
#pragma once

#include <optional>
#include <vector>

#include "daemon/detect/case.h"
#include "daemon/model/unjoined_book.h"

namespace loiter {

// One finding for each process with threads that ended Thresholds::unjoined_ns ago and more, `proven`. A
// warning where they are unjoined_least or their number grows: some came in each of the last three windows.
//
// While somebody of the process is in pthread_join() he may be working through a list: only threads that were
// made after all those joins began, and so are in no such list, are told then.
std::vector<Finding> find_unjoined(const HostCase& host, const UnjoinedBook& book);

// All that are unjoined now, for who asks about this process; nothing where there is none.
std::optional<Finding> all_unjoined(const ProcessView& process, const UnjoinedProcess& told);

}  // namespace loiter
