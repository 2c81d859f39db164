// Rows of cells as lines of text, each column as wide as its widest cell.
//
// A value, used by one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace loiter::cli {

class TextTable {
 public:
  void add_column(std::string_view header, bool right_aligned = false);

  // One cell a column, fit for a terminal.
  void add_row(std::vector<std::string> cells);

  // The headers first, where there are any.
  std::vector<std::string> lines() const;

 private:
  struct Header {
    std::string text;
    bool right_aligned;
  };
  std::vector<Header> headers_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace loiter::cli
