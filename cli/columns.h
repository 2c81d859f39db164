// The columns of processes and of threads: each stands in one table with its name, title, width, text and
// order, and every view (ps, top) takes them from there. The tables begin with what matters most: a screen
// too narrow for all leaves out the last ones.
//
// Constant tables and pure functions, any thread.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/model.h"

namespace loiter::cli {

template <typename Row>
struct Column {
  std::string_view name;    // for --sort and for keys: "oldest"
  std::string_view header;  // "OLDEST"
  std::string_view about;   // one line for help
  size_t width;             // columns of a screen that it needs, the header included
  size_t most;              // that it can use; `width` where more is of no use
  bool right_aligned;
  bool descending;  // sorted by it, the largest comes first unless reversed
  std::string (*text)(
      const Row&);  // escaped: valid UTF-8 without control characters; may be wider than `width`
  std::weak_ordering (*compare)(const Row&, const Row&);
  // The same as `text` in at most so many columns, where that is more than cutting it; null: it is not.
  std::string (*text_within)(const Row&, size_t columns) = nullptr;
};

using ProcessColumn = Column<ProcessRow>;
using ThreadColumn = Column<ThreadRow>;

std::span<const ProcessColumn> process_columns();  // the one called "pid" is the first
std::span<const ThreadColumn> thread_columns();    // "tid" is the first

// By `name`, in any case of letters; null where there is none.
template <typename Row>
const Column<Row>* find_column(std::span<const Column<Row>> table, std::string_view name) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (const Column<Row>& column : table)
    if (std::ranges::equal(column.name, name, {}, lower, lower)) return &column;
  return nullptr;
}

uint32_t row_id(const ProcessRow& row);  // pid
uint32_t row_id(const ThreadRow& row);   // tid

// In the column's own direction, or the other one where `reversed`; equal rows by pid or tid, ascending.
template <typename Row>
void sort_rows(std::vector<Row>& rows, const Column<Row>& column, bool reversed = false) {
  const bool descending = column.descending != reversed;
  std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    const std::weak_ordering order = descending ? column.compare(b, a) : column.compare(a, b);
    return order == 0 ? row_id(a) < row_id(b) : order < 0;
  });
}

}  // namespace loiter::cli
