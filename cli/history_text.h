// `loiter history` as text: findings that came and went, when nobody watched, and numbers of threads over
// time.
//
// Pure functions, any thread. They throw a std::exception where a document is not what API.md says. All
// results are fit for a terminal.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/tree_layout.h"

namespace loiter::cli {

// `document`: of /v1/history.
std::vector<std::string> history_lines(const nlohmann::json& document, Glyphs glyphs);

// The most threads in each period as a bar, the tallest for the most of all; a blank where that is not known.
std::string bar_line(const nlohmann::json& periods, Glyphs glyphs);

}  // namespace loiter::cli
