#include "cli/top/tree_order.h"

namespace loiter::top {
namespace {

// Children of each row as one array: those of `row` are at [start[row], start[row + 1]).
struct Children {
  std::vector<uint32_t> start, rows, roots;
};

// For each row the nearest row above it that is shown. Parents come first: one pass does it.
std::vector<uint32_t> shown_ancestors(const Rows& rows, const std::vector<uint32_t>& sorted) {
  std::vector<bool> shown(rows.size());
  for (uint32_t row : sorted) shown[row] = true;
  std::vector<uint32_t> above(rows.size(), kNoRow);
  for (uint32_t row = 0; row < rows.size(); ++row) {
    uint32_t parent = rows.parent(row);
    if (parent != kNoRow) above[row] = shown[parent] ? parent : above[parent];
  }
  return above;
}

Children children_of(const Rows& rows, const std::vector<uint32_t>& sorted) {
  std::vector<uint32_t> parents = shown_ancestors(rows, sorted);
  Children children;
  children.start.assign(rows.size() + 1, 0);
  for (uint32_t row : sorted) {
    if (parents[row] == kNoRow)
      children.roots.push_back(row);
    else
      ++children.start[parents[row] + 1];
  }
  for (size_t i = 1; i < children.start.size(); ++i) children.start[i] += children.start[i - 1];
  children.rows.resize(sorted.size() - children.roots.size());
  std::vector<uint32_t> next(children.start.begin(), children.start.end() - 1);
  for (uint32_t row : sorted)
    if (parents[row] != kNoRow) children.rows[next[parents[row]]++] = row;
  return children;
}

}  // namespace

std::vector<TreeNode> tree_order(const Rows& rows, const std::vector<uint32_t>& sorted) {
  Children children = children_of(rows, sorted);
  std::vector<TreeNode> order, stack;
  order.reserve(sorted.size());
  auto push = [&](const uint32_t* begin, const uint32_t* end, uint32_t parent, uint32_t depth) {
    // Backwards, so that the first one is on top.
    for (const uint32_t* at = end; at != begin; --at) stack.push_back({at[-1], parent, depth, at == end});
  };
  push(children.roots.data(), children.roots.data() + children.roots.size(), kNoRow, 0);
  while (!stack.empty()) {
    TreeNode node = stack.back();
    stack.pop_back();
    auto position = static_cast<uint32_t>(order.size());
    order.push_back(node);
    push(children.rows.data() + children.start[node.row], children.rows.data() + children.start[node.row + 1],
         position, node.depth + 1);
  }
  return order;
}

std::string tree_branch(const std::vector<TreeNode>& tree, size_t position, size_t levels) {
  if (tree[position].depth == 0) return {};
  std::vector<const char*> parts{tree[position].last ? "└─" : "├─"};
  uint32_t above = tree[position].parent;
  while (tree[above].depth > 0 && parts.size() < levels) {
    parts.push_back(tree[above].last ? "  " : "│ ");
    above = tree[above].parent;
  }
  std::string branch = tree[above].depth > 0 ? "…" : "";
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) branch += *part;
  return branch;
}

}  // namespace loiter::top
