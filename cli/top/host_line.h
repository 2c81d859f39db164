// What stands above every view: the host's figures, what the daemon lost, and how old the picture is.
//
// Pure functions, any thread.
#pragma once

#include <string>

#include "cli/model.h"
#include "cli/top/frame.h"

namespace loiter::top {

// "host · 1032 threads in 214 processes · 3 overdue", and what was lost, in words.
std::vector<Span> host_parts(const cli::HostLine& host);

// "born 12.0/s, ended 11.5/s · census 13.2ms · no losses"
std::vector<Span> figure_parts(const cli::HostLine& host);

std::string count_of(uint64_t count, const char* one, const char* many);

// "06:44:17Z" of an RFC 3339 time.
std::string time_of_day(const std::string& rfc3339);

}  // namespace loiter::top
