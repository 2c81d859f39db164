#include "cli/top/terminfo.h"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "daemon/base/bytes.h"

// Last: curses.h and term.h define macros with everyday names.
#include <curses.h>
#include <term.h>

namespace loiter::top {
namespace {

const char* capability(const char* name) {
  const char* value = tigetstr(name);
  // What tigetstr gives for a name that is no string capability (curs_terminfo(3)).
  return reinterpret_cast<intptr_t>(value) == -1 ? nullptr : value;
}

std::string g_captured;  // tputs takes no argument of ours

int capture(int c) {
  g_captured += static_cast<char>(c);
  return c;
}

Error refused(const std::string& why) {
  return {Error::Kind::unavailable, why};
}

}  // namespace

Status check_terminfo() {
  const char* term = getenv("TERM");
  if (!term || !*term) return refused("TERM is not set: it says what the terminal can do");
  const std::string name = "TERM=" + escape_for_terminal(term);
  int found = 0;
  if (setupterm(nullptr, STDOUT_FILENO, &found) != OK) return refused(name + " is not a terminal known here");
  if (!capability("cup")) return refused(name + " cannot move its cursor");
  return ok();
}

std::string leaving_sequences() {
  g_captured.clear();
  for (const char* name : {"sgr0", "op", "rmkx", "cnorm"})
    if (const char* value = capability(name)) tputs(value, 1, capture);
  if (const char* value = capability("rmcup"))
    tputs(value, 1, capture);
  else
    g_captured += "\r\n";
  return g_captured;
}

}  // namespace loiter::top
