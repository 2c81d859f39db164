// What the daemon may do, and why it must: an explicit set of capabilities, nothing else (DESIGN.md section
// 9).
//
// Called once by main, before any thread is made.
#pragma once

#include <vector>

#include "daemon/base/result.h"
#include "daemon/serve/picture.h"

namespace loiter {

// Gives up every capability but those of the table in privileges.cpp, in all sets, for good; forbids new
// privileges, core dumps, and being looked into by processes of the same user. Returns what is held and what
// is missing; an error (unavailable) where one is missing without which nothing works.
Result<std::vector<DaemonFacts::Capability>> reduce_privileges();

}  // namespace loiter
