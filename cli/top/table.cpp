#include "cli/top/table.h"

#include <algorithm>
#include <numeric>

#include "cli/top/text.h"
#include "daemon/base/bytes.h"

namespace loiter::top {
namespace {

constexpr size_t kNameColumns = 10;  // of a name that are seen however deep it stands

size_t branch_levels(size_t width) {
  return width > kNameColumns + 2 ? (width - kNameColumns) / 2 : 1;
}

}  // namespace

Table::Table(std::vector<Heading> headings, size_t sort_column, size_t name_column)
    : headings_(std::move(headings)),
      sort_column_(sort_column),
      name_column_(name_column),
      descending_(headings_[sort_column].largest_first) {}

void Table::set_rows(std::shared_ptr<const Rows> rows) {
  std::optional<RowId> id;
  if (auto row = row_at_cursor()) id = rows_->id(*row);
  rows_ = std::move(rows);
  rebuild();
  follow(id);
}

std::vector<uint32_t> Table::filtered() const {
  std::vector<uint32_t> found;
  if (!rows_) return found;
  found.reserve(rows_->size());
  for (uint32_t row = 0; row < rows_->size(); ++row) {
    if (!show_ended_ && rows_->ended(row)) continue;
    if (filter_.empty() || rows_->matches(row, filter_)) found.push_back(row);
  }
  return found;
}

void Table::sort(std::vector<uint32_t>& rows) const {
  int sign = descending_ ? -1 : 1;
  // Equal ones stay in the order of their birth, so that nothing flickers.
  std::stable_sort(rows.begin(), rows.end(),
                   [&](uint32_t a, uint32_t b) { return sign * rows_->compare(a, b, sort_column_) < 0; });
}

void Table::rebuild() {
  std::vector<uint32_t> rows = filtered();
  sort(rows);
  if (tree_ && rows_) {
    order_ = tree_order(*rows_, rows);
    return;
  }
  order_.clear();
  order_.reserve(rows.size());
  for (uint32_t row : rows) order_.push_back({row, kNoRow, 0, false});
}

void Table::follow(std::optional<RowId> id) {
  if (!pinned_) {
    cursor_ = top_ = 0;
    return;
  }
  size_t line = cursor_ - top_;
  for (size_t i = 0; id && i < order_.size(); ++i) {
    if (rows_->id(order_[i].row) != *id) continue;
    cursor_ = i;
    top_ = i > line ? i - line : 0;
    return;
  }
  // It is gone: whatever stands in its place now.
  cursor_ = order_.empty() ? 0 : std::min(cursor_, order_.size() - 1);
  top_ = cursor_ > line ? cursor_ - line : 0;
}

void Table::go_to_position(size_t position) {
  cursor_ = order_.empty() ? 0 : std::min(position, order_.size() - 1);
  pinned_ = true;
  keep_in_view(page_);
}

bool Table::go_to(const RowId& id) {
  const auto found =
      std::ranges::find_if(order_, [&](const TreeNode& node) { return rows_->id(node.row) == id; });
  if (found == order_.end()) return false;
  go_to_position(static_cast<size_t>(found - order_.begin()));
  return true;
}

bool Table::move(const Key& key) {
  size_t page = std::max<size_t>(page_, 2) - 1;
  if (key.code == KeyCode::down || key.is('j')) {
    go_to_position(cursor_ + 1);
  } else if (key.code == KeyCode::up || key.is('k')) {
    go_to_position(cursor_ > 0 ? cursor_ - 1 : 0);
  } else if (key.code == KeyCode::page_down) {
    top_ += page;
    go_to_position(cursor_ + page);
  } else if (key.code == KeyCode::page_up) {
    top_ -= std::min(top_, page);
    go_to_position(cursor_ - std::min(cursor_, page));
  } else if (key.code == KeyCode::end || key.is('G')) {
    go_to_position(order_.size());
  } else if (key.code == KeyCode::home || key.is('g')) {
    cursor_ = top_ = 0;
    pinned_ = false;
  } else {
    return false;
  }
  return true;
}

void Table::sort_beside(int step) {
  auto count = static_cast<int>(headings_.size());
  sort_column_ = static_cast<size_t>((static_cast<int>(sort_column_) + step + count) % count);
  descending_ = headings_[sort_column_].largest_first;
  set_rows(rows_);
}

void Table::invert() {
  descending_ = !descending_;
  set_rows(rows_);
}

void Table::set_tree(bool tree) {
  tree_ = tree;
  set_rows(rows_);
}

void Table::set_show_ended(bool show) {
  show_ended_ = show;
  set_rows(rows_);
}

void Table::set_filter(const std::string& text) {
  filter_ = lower_case(text);
  set_rows(rows_);
}

bool Table::search(const std::string& text) {
  search_ = lower_case(text);
  if (search_.empty()) return true;
  for (size_t i = 0; i < order_.size(); ++i) {
    size_t position = (cursor_ + i) % order_.size();
    if (!rows_->matches(order_[position].row, search_)) continue;
    go_to_position(position);
    return true;
  }
  return false;
}

bool Table::search_again(int step) {
  if (search_.empty()) return false;
  size_t count = order_.size();
  for (size_t i = 1; i <= count; ++i) {
    size_t position = (cursor_ + (step > 0 ? i : count - i)) % count;
    if (!rows_->matches(order_[position].row, search_)) continue;
    go_to_position(position);
    return true;
  }
  return false;
}

void Table::go_back_to(const Place& place) {
  cursor_ = order_.empty() ? 0 : std::min(place.cursor, order_.size() - 1);
  top_ = place.top;
  pinned_ = place.pinned;
}

std::optional<uint32_t> Table::row_at_cursor() const {
  if (cursor_ >= order_.size()) return std::nullopt;
  return order_[cursor_].row;
}

std::string Table::sorted_by() const {
  return headings_[sort_column_].title + (descending_ ? "↓" : "↑");
}

void Table::keep_in_view(size_t page) {
  size_t lowest_top = order_.size() > page ? order_.size() - page : 0;
  top_ = std::min(top_, lowest_top);
  if (cursor_ < top_) top_ = cursor_;
  if (page > 0 && cursor_ >= top_ + page) top_ = cursor_ - page + 1;
}

Line Table::heading_line(const std::vector<Placed>& places, size_t columns) const {
  Line line;
  for (const Placed& place : places) {
    const Heading& heading = headings_[place.column];
    bool sorted = place.column == sort_column_;
    if (place.column != places.front().column) line.add(std::string(kGap, ' '), Style::heading);
    line.add(fit_columns(sorted ? sorted_by() : heading.title, place.width, heading.right),
             sorted ? Style::sorted : Style::heading);
  }
  line.fit(columns, Style::heading);
  return line;
}

Line Table::row_line(size_t position, const std::vector<Placed>& places, size_t columns) const {
  uint32_t row = order_[position].row;
  bool found = !search_.empty() && rows_->matches(row, search_);
  Line line;
  for (const Placed& place : places) {
    if (place.column != places.front().column) line.add(std::string(kGap, ' '));
    std::string cell = rows_->cell(row, place.column, place.width);
    bool name = place.column == name_column_;
    if (name && tree_) cell.insert(0, tree_branch(order_, position, branch_levels(place.width)));
    line.add(fit_columns(cell, place.width, headings_[place.column].right),
             found && name ? Style::match : rows_->style(row, place.column));
  }
  line.fit(columns);
  if (position == cursor_) line.restyle(Style::cursor);
  return line;
}

void Table::draw(std::vector<Line>& out, size_t lines, size_t columns) {
  if (lines == 0) return;
  std::vector<Placed> places = place_columns(headings_, columns);
  if (lines > 1) out.push_back(heading_line(places, columns));
  page_ = lines > 1 ? lines - 1 : 1;
  keep_in_view(page_);
  for (size_t i = top_; i < order_.size() && i < top_ + page_; ++i)
    out.push_back(row_line(i, places, columns));
}

}  // namespace loiter::top
