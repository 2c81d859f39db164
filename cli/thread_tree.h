// The threads of one process as lines of text: `loiter tree`.
//
// Pure function, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/model.h"
#include "cli/tree_layout.h"

namespace loiter::cli {

// `with_ended`: also those that ended a short while ago, as a table of their own. `columns`: what the table
// of threads shall not exceed as far as that can be; figures that matter least go first, then waits are cut.
// `sites`: where each was made, by tid (sites_of_threads()); null: not to be told.
std::vector<std::string> tree_lines(const Tree& tree, Glyphs glyphs, bool with_ended,
                                    std::optional<size_t> columns = std::nullopt,
                                    const std::map<uint32_t, std::string>* sites = nullptr);

}  // namespace loiter::cli
