#include "cli/word_wrap.h"

#include <algorithm>

#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

// How many bytes of `word` (valid UTF-8) fit into `columns`: one character at least.
size_t bytes_that_fit(std::string_view word, size_t columns) {
  size_t end = 0, used = 0;
  while (end < word.size()) {
    size_t next = end + 1;
    while (next < word.size() && (static_cast<unsigned char>(word[next]) & 0xc0) == 0x80) ++next;
    used += display_width(word.substr(end, next - end));
    if (end > 0 && used > columns) break;
    end = next;
  }
  return end;
}

}  // namespace

std::vector<std::string> word_wrap(std::string_view text, size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  auto end_line = [&] {
    if (!line.empty()) lines.push_back(std::move(line));
    line.clear();
  };
  while (!text.empty()) {
    const size_t blank = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, blank);
    text.remove_prefix(std::min(blank + 1, text.size()));
    if (!line.empty() && display_width(line) + 1 + display_width(word) > columns) end_line();
    while (display_width(word) > columns) {
      const size_t bytes = bytes_that_fit(word, columns);
      lines.emplace_back(word.substr(0, bytes));
      word.remove_prefix(bytes);
    }
    if (!word.empty()) line += (line.empty() ? "" : " ") + std::string(word);
  }
  end_line();
  return lines;
}

}  // namespace loiter::cli
