#include "cli/tree_layout.h"

#include <algorithm>
#include <unordered_map>

namespace loiter::cli {
namespace {

struct Strokes {
  const char *more, *last, *more_unknown, *last_unknown, *bar, *blank, *deeper;
};
constexpr Strokes kUnicode{"├─ ", "└─ ", "├┄ ", "└┄ ", "│  ", "   ", "… "};
constexpr Strokes kAscii{"|- ", "`- ", "|. ", "`. ", "|  ", "   ", "> "};

constexpr size_t kNone = static_cast<size_t>(-1);

// Children as linked lists through the array: first_child[i], then next_sibling.
struct Links {
  std::vector<size_t> first_child, next_sibling;

  explicit Links(const std::vector<Creator>& creators)
      : first_child(creators.size(), kNone), next_sibling(creators.size(), kNone) {
    for (size_t i = creators.size(); i-- > 1;) {
      next_sibling[i] = first_child[creators[i].parent];
      first_child[creators[i].parent] = i;
    }
  }
};

std::string branch_of(const std::vector<Creator>& creators, const Links& links, size_t index,
                      const Strokes& strokes) {
  if (index == 0) return "";
  const bool last = links.next_sibling[index] == kNone;
  const bool known = creators[index].known == Creator::Known::yes;
  std::vector<const char*> levels{known ? (last ? strokes.last : strokes.more)
                                        : (last ? strokes.last_unknown : strokes.more_unknown)};
  size_t above = creators[index].parent;
  for (; above != 0 && levels.size() < kDrawnLevels; above = creators[above].parent)
    levels.push_back(links.next_sibling[above] == kNone ? strokes.blank : strokes.bar);
  std::string branch = above != 0 ? strokes.deeper : "";
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) branch += *level;
  return branch;
}

}  // namespace

std::vector<Creator> creators_of(const std::vector<ThreadRow>& threads) {
  std::vector<Creator> creators(threads.size());
  std::unordered_map<uint32_t, size_t> position;
  for (size_t i = 0; i < threads.size(); ++i) {
    const ThreadRow& thread = threads[i];
    if (i > 0) {
      const auto found = thread.parent_tid ? position.find(*thread.parent_tid) : position.end();
      if (thread.parent_tid && !thread.parent_alive)
        creators[i].known = Creator::Known::ended;
      else if (found == position.end())
        creators[i].known = Creator::Known::no;
      else
        creators[i].parent = found->second;
    }
    position.emplace(thread.tid, i);
  }
  return creators;
}

std::vector<TreeLine> layout_tree(const std::vector<Creator>& creators, Glyphs glyphs) {
  const Strokes& strokes = glyphs == Glyphs::unicode ? kUnicode : kAscii;
  const Links links(creators);
  std::vector<TreeLine> lines;
  lines.reserve(creators.size());
  for (size_t at = creators.empty() ? kNone : 0; at != kNone;) {
    lines.push_back({at, branch_of(creators, links, at, strokes)});
    size_t next = links.first_child[at];
    // Nothing below it: on with the next sibling of the nearest one above that has one.
    for (; next == kNone && at != 0; at = creators[at].parent) next = links.next_sibling[at];
    at = next;
  }
  return lines;
}

}  // namespace loiter::cli
