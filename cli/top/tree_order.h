// Puts rows into tree order: each below its parent, siblings in the order given.
//
// Pure functions, any thread; linear in the number of rows, and no recursion however deep the tree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/top/rows.h"

namespace loiter::top {

struct TreeNode {
  uint32_t row;
  uint32_t parent;  // position in the result of the node above; kNoRow for a root
  uint32_t depth;
  bool last;  // of its siblings
};

// `sorted`: the rows to show, in the order siblings shall have. A row whose parent is not among them hangs
// below the nearest ancestor that is, or becomes a root.
std::vector<TreeNode> tree_order(const Rows& rows, const std::vector<uint32_t>& sorted);

// "│ ├─": what stands before the name of `tree[position]`, two columns a level. Of a deep one the nearest
// `levels` (1 or more), after a "…".
std::string tree_branch(const std::vector<TreeNode>& tree, size_t position, size_t levels);

}  // namespace loiter::top
