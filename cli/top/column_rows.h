// Rows made of the command line's shared tables of columns (cli/columns.h).
//
// Immutable; see rows.h.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "cli/columns.h"
#include "cli/top/layout.h"
#include "cli/top/rows.h"

namespace loiter::top {

template <typename Row>
std::vector<Heading> headings_of(std::span<const cli::Column<Row>> columns) {
  std::vector<Heading> headings;
  for (const auto& column : columns)
    headings.push_back(
        {std::string(column.header), column.width, column.most, column.right_aligned, column.descending});
  return headings;
}

template <typename Row>
size_t column_named(std::span<const cli::Column<Row>> columns, std::string_view name) {
  const cli::Column<Row>* found = cli::find_column(columns, name);
  return found ? static_cast<size_t>(found - columns.data()) : 0;
}

inline Style style_of(const cli::FindingMark& mark) {
  return cli::severity_weight(mark.severity) > 0 ? Style::overdue : Style::quiet;
}

template <typename Row>
class ColumnRows : public Rows {
 public:
  ColumnRows(std::span<const cli::Column<Row>> columns, std::vector<Row> rows)
      : columns_(columns), rows_(std::move(rows)) {}

  uint32_t size() const override { return static_cast<uint32_t>(rows_.size()); }
  std::string cell(uint32_t row, size_t column, size_t width) const override {
    const auto& shown = columns_[column];
    return shown.text_within ? shown.text_within(rows_[row], width) : shown.text(rows_[row]);
  }
  int compare(uint32_t a, uint32_t b, size_t column) const override {
    std::weak_ordering order = columns_[column].compare(rows_[a], rows_[b]);
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }

  const Row& operator[](uint32_t row) const { return rows_[row]; }

 protected:
  std::span<const cli::Column<Row>> columns_;
  std::vector<Row> rows_;
};

}  // namespace loiter::top
