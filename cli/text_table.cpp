#include "cli/text_table.h"

#include <algorithm>

#include "daemon/base/bytes.h"

namespace loiter::cli {

void TextTable::add_column(std::string_view header, bool right_aligned) {
  headers_.push_back({std::string(header), right_aligned});
}

void TextTable::add_row(std::vector<std::string> cells) {
  cells.resize(headers_.size());
  rows_.push_back(std::move(cells));
}

std::vector<std::string> TextTable::lines() const {
  std::vector<std::string> titles;
  for (const Header& header : headers_) titles.push_back(header.text);
  const bool has_titles =
      std::ranges::any_of(titles, [](const std::string& title) { return !title.empty(); });

  std::vector<size_t> widths;
  for (size_t i = 0; i < headers_.size(); ++i) {
    widths.push_back(display_width(titles[i]));
    for (const auto& row : rows_) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t i = 0; i < cells.size(); ++i)
      text += (i == 0 ? "" : "  ") + fit_columns(cells[i], widths[i], headers_[i].right_aligned);
    text.resize(text.find_last_not_of(' ') + 1);
    return text;
  };
  std::vector<std::string> lines;
  if (has_titles) lines.push_back(line(titles));
  for (const auto& row : rows_) lines.push_back(line(row));
  return lines;
}

}  // namespace loiter::cli
