// What a scan found, as lines of text and as an exit code.
//
// Pure functions, any thread. They throw a std::exception where the document is not as API.md has
// it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace loiter::cli {

// 1 where a finding is of severity warning or above, else 0.
int scan_exit_code(const nlohmann::json& document);

// `looked_at`: "1203 threads", for the line that says that nothing was found.
std::vector<std::string> scan_lines(const nlohmann::json& document, const std::string& looked_at);

}  // namespace loiter::cli
