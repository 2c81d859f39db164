// A table with a cursor: what of its rows is shown, in which order, and where on them the user stands.
// The cursor stays on its row, and that row on its line of the screen, when a new picture or another order
// moves it; only a cursor that was never moved (or sent Home) stays at the top.
//
// Pure state, without a terminal. Owned by a view, used by the thread that owns the terminal.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/top/frame.h"
#include "cli/top/keys.h"
#include "cli/top/layout.h"
#include "cli/top/rows.h"
#include "cli/top/tree_order.h"

namespace loiter::top {

class Table {
 public:
  // `name_column`: the one that carries the branches of a tree.
  Table(std::vector<Heading> headings, size_t sort_column, size_t name_column);

  void set_rows(std::shared_ptr<const Rows> rows);

  // Arrows, pages, Home, End (also j, k, g, G). False: not a key of the table.
  bool move(const Key& key);

  void sort_beside(int step);  // the next column, or the one before
  void invert();
  void set_tree(bool tree);
  bool tree() const { return tree_; }

  void set_show_ended(bool show);
  bool shows_ended() const { return show_ended_; }

  void set_filter(const std::string& text);

  // To the nearest row at or after the cursor that matches; what matches is marked until the text is empty.
  // False: none does, and the cursor stays.
  bool search(const std::string& text);
  // To the next such row (1) or the one before (-1), around the ends.
  bool search_again(int step);

  // To that row. False: it is not shown, and the cursor stays.
  bool go_to(const RowId& id);

  // Where the cursor is, for a search that is given up.
  struct Place {
    size_t cursor, top;
    bool pinned;
  };
  Place place() const { return {cursor_, top_, pinned_}; }
  void go_back_to(const Place& place);

  // From now on the cursor follows its row, also if it was never moved.
  void pin() { pinned_ = true; }

  std::optional<uint32_t> row_at_cursor() const;
  size_t shown() const { return order_.size(); }
  const std::string& filter() const { return filter_; }
  std::string sorted_by() const;  // "OLDEST↓"

  // The headings and `lines` - 1 rows; of a single line, the row under the cursor.
  void draw(std::vector<Line>& out, size_t lines, size_t columns);

 private:
  void rebuild();
  std::vector<uint32_t> filtered() const;
  void sort(std::vector<uint32_t>& rows) const;
  void follow(std::optional<RowId> id);
  void keep_in_view(size_t page);
  void go_to_position(size_t position);
  Line heading_line(const std::vector<Placed>& places, size_t columns) const;
  Line row_line(size_t position, const std::vector<Placed>& places, size_t columns) const;

  std::vector<Heading> headings_;
  size_t sort_column_, name_column_;
  bool descending_, tree_ = false, show_ended_ = false;
  std::string filter_, search_;  // in lower case
  std::shared_ptr<const Rows> rows_;
  std::vector<TreeNode> order_;  // what is shown; flat: all of depth 0
  size_t cursor_ = 0, top_ = 0;  // positions in order_
  size_t page_ = 1;              // rows on the screen when last drawn
  bool pinned_ = false;
};

}  // namespace loiter::top
