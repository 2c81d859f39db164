// How a table's columns share the width of the screen: narrower drops columns from the right, wider gives
// room to those that can use it.
//
// Pure functions, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace loiter::top {

struct Heading {
  std::string title;
  size_t width;                // what it needs
  size_t most;                 // what it can use; `width` where more is of no use
  bool right = false;          // figures
  bool largest_first = false;  // the useful order when sorted by it
};

struct Placed {
  size_t column;  // index into the headings
  size_t width;
};

// Gap between two columns.
constexpr size_t kGap = 2;

// The columns that fit into `columns`, from the left; the first one always, cut if need be.
std::vector<Placed> place_columns(const std::vector<Heading>& headings, size_t columns);

// Of `lines` of the screen, how many go to a pane below the table: half of them, none where the table would
// be left without room.
size_t pane_lines(size_t lines);

}  // namespace loiter::top
