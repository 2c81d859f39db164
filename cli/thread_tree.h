// The threads of one process as lines of text: `loiter tree`.
//
// Pure function, any thread.
#pragma once

#include <string>
#include <vector>

#include "cli/model.h"
#include "cli/tree_layout.h"

namespace loiter::cli {

// `with_ended`: also those that ended a short while ago, as a table of their own.
std::vector<std::string> tree_lines(const Tree& tree, Glyphs glyphs, bool with_ended);

}  // namespace loiter::cli
