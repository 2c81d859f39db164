// The word that somebody meant who wrote another one: "did you mean …".
//
// Pure function, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace loiter {

// Of `names` the one that fewest letters (added, left out, changed, or two swapped) tell from `text`; empty:
// none is near, at most two letters and less than half of the name.
std::string near_name(std::string_view text, const std::vector<std::string>& names);

}  // namespace loiter
