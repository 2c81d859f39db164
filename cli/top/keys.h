// A key as the views know it: what was pressed, whatever escape sequence the terminal made of it.
//
// Values, any thread.
#pragma once

#include <cstdint>

namespace loiter::top {

enum class KeyCode : uint8_t {
  none,
  character,  // Key::character holds it
  enter,
  escape,
  backspace,
  up,
  down,
  left,
  right,
  page_up,
  page_down,
  home,
  end,
  help,       // F1
  search,     // F3
  filter,     // F4
  tree,       // F5
  quit,       // F10
  interrupt,  // ^C where it comes as a key
  redraw,     // ^L
  erase_line  // ^U
};

struct Key {
  KeyCode code = KeyCode::none;
  char32_t character = 0;

  bool is(char32_t c) const { return code == KeyCode::character && character == c; }
};

inline Key key_of(char32_t c) {
  return {KeyCode::character, c};
}
inline Key key_of(KeyCode code) {
  return {code, 0};
}

}  // namespace loiter::top
