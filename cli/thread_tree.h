// The threads of one process as lines of text: `loiter tree`.
//
// Pure function, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/model.h"
#include "cli/tree_layout.h"

namespace loiter::cli {

// `with_ended`: also those that ended a short while ago, as a table of their own. `columns`: what the table
// of threads shall not exceed as far as that can be; figures that matter least go first, then waits are cut.
std::vector<std::string> tree_lines(const Tree& tree, Glyphs glyphs, bool with_ended,
                                    std::optional<size_t> columns = std::nullopt);

}  // namespace loiter::cli
