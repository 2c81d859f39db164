#include "daemon/base/bytes.h"

#include <wchar.h>
#include <charconv>

#include <array>
#include <cstdint>
#include <cstdio>

namespace loiter {
namespace {

struct Decoded {
  uint32_t code = 0;
  size_t length = 1;  // bytes taken, also when invalid
  bool valid = false;
};

// One code point as Unicode's table 3-7 defines well-formed UTF-8: no overlong forms, surrogates, or
// anything above U+10FFFF. Invalid: the length of the maximal part to replace.
Decoded decode(std::string_view s) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  size_t need = lead >= 0xc2 && lead <= 0xdf   ? 1
                : (lead & 0xf0) == 0xe0        ? 2
                : lead >= 0xf0 && lead <= 0xf4 ? 3
                                               : 0;
  if (need == 0) return {};
  uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  uint32_t code = lead & (0x3fu >> need);
  for (size_t i = 1; i <= need; ++i) {
    if (i >= s.size() || byte(i) < low || byte(i) > high) return {0, i, false};
    code = code << 6 | (byte(i) & 0x3f);
    low = 0x80;
    high = 0xbf;
  }
  return {code, need + 1, true};
}

// Characters that show nothing themselves but change how others show.
bool is_invisible(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
         (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

void append_escape(std::string& out, uint32_t c) {
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
  }
  std::array<char, 16> buffer;
  snprintf(buffer.data(), buffer.size(), c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
  out += buffer.data();
}

}  // namespace

std::string escape_for_terminal(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    Decoded d = decode(bytes);
    if (!d.valid) {
      for (size_t i = 0; i < d.length; ++i) append_escape(out, static_cast<uint8_t>(bytes[i]));
    } else if (is_invisible(d.code)) {
      append_escape(out, d.code);
    } else if (d.code == '\\') {
      out += "\\\\";
    } else {
      out += bytes.substr(0, d.length);
    }
    bytes.remove_prefix(d.length);
  }
  return out;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    Decoded d = decode(bytes);
    out += d.valid ? bytes.substr(0, d.length) : std::string_view("\xef\xbf\xbd");
    bytes.remove_prefix(d.length);
  }
  return out;
}

namespace {
// wcwidth needs a UTF-8 locale, which the caller may not have set: unknown characters count 1.
size_t char_width(uint32_t c) {
  if (c < 0x80) return 1;
  int width = wcwidth(static_cast<wchar_t>(c));
  return width < 0 ? 1 : static_cast<size_t>(width);
}
}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    Decoded d = decode(text);
    width += char_width(d.code);
    text.remove_prefix(d.length);
  }
  return width;
}

std::string fit_columns(std::string_view text, size_t columns, bool align_right) {
  size_t width = display_width(text);
  if (width <= columns) {
    std::string blanks(columns - width, ' ');
    return align_right ? blanks + std::string(text) : std::string(text) + blanks;
  }
  if (columns == 0) return {};
  std::string out;
  size_t used = 0;
  while (!text.empty()) {
    Decoded d = decode(text);
    size_t w = char_width(d.code);
    if (used + w > columns - 1) break;
    out += text.substr(0, d.length);
    used += w;
    text.remove_prefix(d.length);
  }
  out += "…";
  return out + std::string(columns - 1 - used, ' ');
}

std::string hexadecimal(uint64_t address) {
  char text[18] = "0x";
  return {text, std::to_chars(text + 2, text + sizeof(text), address, 16).ptr};
}

}  // namespace loiter
