// `loiter explain`: what led to one finding, as text.
//
// Pure functions, any thread. They throw a std::exception where a document is not what API.md says. All
// results are fit for a terminal.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace loiter::cli {

// Of a document of /v1/findings the finding that it was asked for; null: it has none. One that a rule ignores
// stands in another list.
const nlohmann::json* only_finding(const nlohmann::json& document, bool& ignored);

// `config_path`: of the file that rules stand in; empty: not known.
std::vector<std::string> explain_lines(const nlohmann::json& finding, bool ignored,
                                       const std::string& config_path);

}  // namespace loiter::cli
