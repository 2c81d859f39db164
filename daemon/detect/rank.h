// The order in which findings are told: the worst first. Pure functions, any thread.
#pragma once

#include <vector>

#include "daemon/detect/finding_book.h"

namespace loiter {

// By severity, certainty, number of threads, then the older; else as they were.
void rank(std::vector<KeptFindingPtr>& findings);

}  // namespace loiter
