// The order and the branches of a thread tree: who stands below whom, and the lines drawn before each name.
// Takes any input: creators that are gone or not known, 20,000 threads in one chain, documents that lie.
//
// Pure functions, any thread; linear in the number of threads, without recursion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/model.h"

namespace loiter::cli {

// Levels drawn before a name; a deeper one begins with "…". A chain of thousands would fill lines with bars.
constexpr size_t kDrawnLevels = 16;

enum class Glyphs : uint8_t { unicode, ascii };

// Where a thread hangs: below threads[parent]. The leader is its own parent.
struct Creator {
  enum class Known : uint8_t { yes, ended, no };
  size_t parent = 0;
  Known known = Known::yes;  // else it hangs below the leader, for want of a better place
};

// One for each thread; the first one is the leader. A creator always stands before what it created, as the
// API has it: what says otherwise counts as not known, so there is no cycle.
std::vector<Creator> creators_of(const std::vector<ThreadRow>& threads);

struct TreeLine {
  size_t index = 0;    // into the threads given
  std::string branch;  // "│ ├─ ", empty for the leader; "├┄ " where the creator is not known or ended
};

// One line for each thread: each creator, followed by those it created in the order given.
std::vector<TreeLine> layout_tree(const std::vector<Creator>& creators, Glyphs glyphs);

}  // namespace loiter::cli
