// The threads of one picture of a process: those that live and those that ended of late, in the order of
// their birth, each below the thread that created it.
//
// Immutable; see rows.h.
#pragma once

#include <vector>

#include "cli/top/column_rows.h"

namespace loiter::top {

class ThreadRows : public ColumnRows<cli::ThreadRow> {
 public:
  explicit ThreadRows(const cli::Tree& tree);

  RowId id(uint32_t row) const override;
  Style style(uint32_t row, size_t column) const override;
  bool matches(uint32_t row, std::string_view needle) const override;
  bool ended(uint32_t row) const override { return rows_[row].ended.has_value(); }

  // Its creator. A thread whose creator is not known hangs below the leader; the column CREATOR says so.
  uint32_t parent(uint32_t row) const override { return parents_[row]; }

 private:
  std::vector<uint32_t> parents_;
};

}  // namespace loiter::top
