#include "cli/top/layout.h"

#include <algorithm>

namespace loiter::top {

std::vector<Placed> place_columns(const std::vector<Heading>& headings, size_t columns) {
  std::vector<Placed> placed;
  size_t used = 0;
  for (size_t i = 0; i < headings.size(); ++i) {
    size_t need = headings[i].width + (placed.empty() ? 0 : kGap);
    if (used + need > columns) break;
    placed.push_back({i, headings[i].width});
    used += need;
  }
  if (placed.empty() && !headings.empty()) return {{0, std::min(columns, headings[0].width)}};
  // What is left over goes to those that can use it, a column to each in turn.
  for (bool given = true; given && used < columns;) {
    given = false;
    for (Placed& place : placed) {
      if (place.width >= headings[place.column].most || used >= columns) continue;
      ++place.width;
      ++used;
      given = true;
    }
  }
  return placed;
}

size_t pane_lines(size_t lines) {
  constexpr size_t kLeastTable = 4, kLeastPane = 3;  // titles and three rows; a head line and two frames
  return lines < kLeastTable + kLeastPane ? 0 : std::max(lines / 2, kLeastPane);
}

}  // namespace loiter::top
