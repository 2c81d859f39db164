#include "cli/top/paint.h"

#include <limits.h>
#include <wchar.h>

#include <array>
#include <climits>
#include <cstdint>

// Last: curses.h defines macros with everyday names.
#include <curses.h>

namespace loiter::top {
namespace {

constexpr size_t kStyles = static_cast<size_t>(Style::banner) + 1;
std::array<attr_t, kStyles> g_attributes;

attr_t& attribute(Style style) {
  return g_attributes[static_cast<size_t>(style)];
}

// The next code point of `text`, which is valid UTF-8.
uint32_t take_code_point(std::string_view& text) {
  auto lead = static_cast<uint8_t>(text.front());
  size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);
  for (size_t i = 1; i < length && i < text.size(); ++i)
    code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3f);
  text.remove_prefix(length < text.size() ? length : text.size());
  return code;
}

bool locale_has(wchar_t c) {
  std::array<char, MB_LEN_MAX> bytes;
  mbstate_t state = {};
  return wcrtomb(bytes.data(), c, &state) != static_cast<size_t>(-1);
}

wchar_t plain_for(wchar_t c) {
  switch (c) {
    case L'…':
      return L'~';
    case L'─':
    case L'·':
      return L'-';
    case L'│':
    case L'├':
      return L'|';
    case L'└':
      return L'`';
    case L'≥':
      return L'>';
    case L'↑':
      return L'^';
    case L'↓':
      return L'v';
    default:
      return L'?';
  }
}

}  // namespace

std::wstring showable(std::string_view text) {
  std::wstring out;
  out.reserve(text.size());
  while (!text.empty()) {
    auto c = static_cast<wchar_t>(take_code_point(text));
    if (c < 0x80 || locale_has(c)) {
      out += c;
      continue;
    }
    int width = wcwidth(c);
    out.append(width < 0 ? 1 : static_cast<size_t>(width), plain_for(c));
  }
  return out;
}

void prepare_styles(bool colours) {
  attribute(Style::normal) = A_NORMAL;
  attribute(Style::quiet) = A_DIM;
  attribute(Style::strong) = A_BOLD;
  attribute(Style::heading) = A_DIM | A_UNDERLINE;
  attribute(Style::sorted) = A_BOLD | A_UNDERLINE;
  attribute(Style::cursor) = A_REVERSE;
  attribute(Style::match) = A_UNDERLINE;
  attribute(Style::overdue) = A_BOLD;
  attribute(Style::banner) = A_REVERSE | A_BOLD;
  if (!colours || !has_colors()) return;
  start_color();
  use_default_colors();
  init_pair(1, COLOR_YELLOW, -1);
  init_pair(2, COLOR_BLACK, COLOR_YELLOW);
  attribute(Style::overdue) = COLOR_PAIR(1) | A_BOLD;
  attribute(Style::banner) = COLOR_PAIR(2);
}

void paint_frame(const Frame& frame) {
  erase();
  for (size_t y = 0; y < frame.lines.size() && y < static_cast<size_t>(LINES); ++y) {
    if (move(static_cast<int>(y), 0) == ERR) continue;
    for (const Span& span : frame.lines[y].spans()) {
      attrset(attribute(span.style));
      std::wstring text = showable(span.text);
      addnwstr(text.c_str(), static_cast<int>(text.size()));
    }
  }
  attrset(A_NORMAL);
}

}  // namespace loiter::top
