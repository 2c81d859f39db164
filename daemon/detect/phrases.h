// Words for summaries and hints, the same from every detector. Pure functions, any thread. Foreign names in
// what they give are bytes.
#pragma once

#include <cstddef>
#include <string>

#include "daemon/detect/case.h"

namespace loiter {

// "1 thread", "3 threads".
std::string counted(size_t count, const char* singular, const char* plural);

// What a blocked thread waits in: "read() on tcp 10.0.0.2:41 -> 10.0.0.7:5432", "a lock (pthread_mutex_t) at
// 0x55…", "nanosleep()".
std::string wait_phrase(const CaseThread& thread);

// The same for one that may run: "which runs", "which waits in … for 3m".
std::string doing_phrase(const CaseThread& thread);

// How a thing is mended that comes of a thread in that state keeping others waiting.
std::string root_advice(const CaseThread& root);

}  // namespace loiter
