// The processes of one picture of the host.
//
// Immutable; see rows.h.
#pragma once

#include "cli/top/column_rows.h"

namespace loiter::top {

class ProcessRows : public ColumnRows<cli::ProcessRow> {
 public:
  explicit ProcessRows(const cli::ProcessList& list);

  RowId id(uint32_t row) const override;
  Style style(uint32_t row, size_t column) const override;
  bool matches(uint32_t row, std::string_view needle) const override;
};

}  // namespace loiter::top
