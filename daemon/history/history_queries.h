// What is asked of the history, answered from its file: numbers of threads over time, and findings.
//
// Pure functions of the file; used by the thread that reads. They throw DatabaseError.
#pragma once

#include <cstdint>

#include "daemon/history/database.h"
#include "daemon/history/types.h"

namespace loiter {

// `now_ns`: wall time. What is in the file may be damaged: numbers are bounded, bodies that cannot be decoded
// are left out and counted.
void answer_query(Database& database, const HistoryQuery& query, uint64_t now_ns, HistoryAnswer& answer);

}  // namespace loiter
