#include "cli/top/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "cli/top/crash_restore.h"
#include "cli/top/paint.h"
#include "cli/top/terminfo.h"

// Last: curses.h defines macros with everyday names.
#include <curses.h>

namespace loiter::top {
namespace {

constexpr int kEscapeDelayMs = 25;  // how long ESC waits for the rest of a key's sequence

// The character set only: numbers in JSON keep their decimal point.
void set_character_set() {
  if (setlocale(LC_CTYPE, "")) return;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = getenv(name);
    if (!value || !*value) continue;
    // A locale that is not installed here, as often over ssh: what counts is that it is UTF-8.
    if (strcasestr(value, "utf-8") || strcasestr(value, "utf8")) setlocale(LC_CTYPE, "C.UTF-8");
    return;
  }
}

Error refused(const std::string& why) {
  return {Error::Kind::unavailable, why + "; `loiter top --once` prints a plain table"};
}

Status check_terminal() {
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
    return refused("the live view needs a terminal as its input and output");
  Status known = check_terminfo();
  if (!known) return refused(known.error().message);
  return ok();
}

}  // namespace

Result<std::unique_ptr<Terminal>> Terminal::enter() {
  Status usable = check_terminal();
  if (!usable) return usable.error();
  set_character_set();
  termios modes;
  if (tcgetattr(STDOUT_FILENO, &modes) != 0)
    return refused(std::string("the terminal does not answer: ") + strerror(errno));
  arm_crash_restore(STDOUT_FILENO, leaving_sequences(), modes);
  install_crash_handlers();
  if (!newterm(nullptr, stdout, stdin)) {
    disarm_crash_restore();
    return refused("the terminal cannot be set up");
  }
  std::unique_ptr<Terminal> terminal(new Terminal);
  terminal->entered_ = true;
  cbreak();
  noecho();
  nonl();
  intrflush(stdscr, FALSE);
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  set_escdelay(kEscapeDelayMs);
  curs_set(0);
  const char* no_color = getenv("NO_COLOR");
  terminal->resized();  // LINES and COLUMNS of the environment may be of another terminal
  prepare_styles(!(no_color && *no_color));
  return terminal;
}

void Terminal::leave() {
  if (!entered_) return;
  entered_ = false;
  endwin();
  disarm_crash_restore();
}

void Terminal::resume() {
  if (entered_) return;
  termios modes;
  if (tcgetattr(STDOUT_FILENO, &modes) == 0) arm_crash_restore(STDOUT_FILENO, leaving_sequences(), modes);
  entered_ = true;
  def_shell_mode();  // the shell may have changed them meanwhile
  reset_prog_mode();
  clearok(curscr, TRUE);
  curs_set(0);
  resized();
}

size_t Terminal::rows() const {
  return static_cast<size_t>(LINES > 0 ? LINES : 1);
}
size_t Terminal::columns() const {
  return static_cast<size_t>(COLS > 0 ? COLS : 1);
}

void Terminal::resized() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
  if (is_term_resized(size.ws_row, size.ws_col)) resize_term(size.ws_row, size.ws_col);
  clearok(curscr, TRUE);
}

void Terminal::redraw() {
  reset_prog_mode();
  clearok(curscr, TRUE);
}

void Terminal::paint(const Frame& frame) {
  paint_frame(frame);
  refresh();
}

namespace {

Key key_of_curses(wint_t code) {
  switch (code) {
    case KEY_UP:
      return key_of(KeyCode::up);
    case KEY_DOWN:
      return key_of(KeyCode::down);
    case KEY_LEFT:
      return key_of(KeyCode::left);
    case KEY_RIGHT:
      return key_of(KeyCode::right);
    case KEY_PPAGE:
      return key_of(KeyCode::page_up);
    case KEY_NPAGE:
      return key_of(KeyCode::page_down);
    case KEY_HOME:
      return key_of(KeyCode::home);
    case KEY_END:
      return key_of(KeyCode::end);
    case KEY_ENTER:
      return key_of(KeyCode::enter);
    case KEY_BACKSPACE:
      return key_of(KeyCode::backspace);
    case KEY_F(1):
      return key_of(KeyCode::help);
    case KEY_F(3):
      return key_of(KeyCode::search);
    case KEY_F(4):
      return key_of(KeyCode::filter);
    case KEY_F(5):
      return key_of(KeyCode::tree);
    case KEY_F(10):
      return key_of(KeyCode::quit);
    default:
      return {};
  }
}

Key key_of_wide(wint_t c) {
  switch (c) {
    case 0x03:
      return key_of(KeyCode::interrupt);
    case '\b':
    case 0x7f:
      return key_of(KeyCode::backspace);
    case '\r':
    case '\n':
      return key_of(KeyCode::enter);
    case 0x0c:
      return key_of(KeyCode::redraw);
    case 0x15:
      return key_of(KeyCode::erase_line);
    case 0x1b:
      return key_of(KeyCode::escape);
    default:
      return c < 0x20 ? Key{} : key_of(static_cast<char32_t>(c));
  }
}

}  // namespace

std::optional<Key> Terminal::read_key() {
  wint_t code = 0;
  switch (get_wch(&code)) {
    case KEY_CODE_YES:
      return key_of_curses(code);
    case OK:
      return key_of_wide(code);
    default:
      return std::nullopt;
  }
}

}  // namespace loiter::top
