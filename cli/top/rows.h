// The rows of one picture behind a table: what a Table sorts, filters and draws.
//
// Immutable once made; a Rows lives as long as the Table shows it. Cells are made when drawn, so that a
// picture of 20,000 threads costs only what is on the screen.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "cli/top/frame.h"

namespace loiter::top {

// Names a row from one picture to the next: a pid or tid, and when that task started.
struct RowId {
  uint64_t number = 0;
  uint64_t start_ns = 0;
  bool operator==(const RowId&) const = default;
};

constexpr uint32_t kNoRow = std::numeric_limits<uint32_t>::max();

class Rows {
 public:
  virtual ~Rows() = default;
  virtual uint32_t size() const = 0;
  virtual RowId id(uint32_t row) const = 0;

  // Fit for a terminal (escape_for_terminal). `width`: of the screen that it has; it is cut to that later.
  virtual std::string cell(uint32_t row, size_t column, size_t width) const = 0;
  virtual Style style(uint32_t row, size_t column) const = 0;

  // Below zero, zero, above: as sorted upwards by `column`. What is not known sorts below everything.
  virtual int compare(uint32_t a, uint32_t b, size_t column) const = 0;

  // `needle` is in lower case. Letter case does not count.
  virtual bool matches(uint32_t row, std::string_view needle) const = 0;

  // What is no more but still remembered: shown only on request.
  virtual bool ended(uint32_t) const { return false; }

  // Which row it hangs below in the tree: one of a lower number (no cycles), or kNoRow for a root.
  virtual uint32_t parent(uint32_t) const { return kNoRow; }
};

}  // namespace loiter::top
