// What ended in a process and was never taken note of, as text: threads that nobody joined by their start
// routine, child processes that nobody waited for.
//
// Pure functions, any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace loiter::cli {

// Throws a std::exception where the document is not what API.md says.
std::vector<std::string> unjoined_lines(const nlohmann::json& document);

}  // namespace loiter::cli
