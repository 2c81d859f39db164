// Text as a paragraph: broken at blanks, and within a word only where that is wider than the line.
//
// Pure function, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace loiter::cli {

// `text`: as from escape_for_terminal. `columns`: 1 or more; a character wider than that stands alone.
std::vector<std::string> word_wrap(std::string_view text, size_t columns);

}  // namespace loiter::cli
