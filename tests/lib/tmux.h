// A terminal with a shell in it, which a test types into and whose screen it reads back: tmux, with a server
// of its own on a private socket, ended with the object.
//
// Used by the thread that made it. What goes wrong with tmux itself ends the test by an exception.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/lib/daemon.h"
#include "tests/lib/subprocess.h"

namespace loiter::test {

class Tmux {
 public:
  // `environment`: "NAME=value" besides PATH, HOME and LANG=C.UTF-8.
  Tmux(int columns, int rows, const std::vector<std::string>& environment = {});
  Tmux(const Tmux&) = delete;
  Tmux& operator=(const Tmux&) = delete;

  void type(const std::string& text);                // as it stands
  void press(const std::vector<std::string>& keys);  // by tmux's names: Enter, Escape, Down, C-c, F1
  void run(const std::string& command) { type(command), press({"Enter"}); }
  void resize(int columns, int rows);

  // The lines of the screen, without blanks at their ends; or with the escape sequences of their styles.
  std::vector<std::string> lines();
  std::string screen();
  std::string styled_screen();
  std::string format(const std::string& what);  // "#{alternate_on}"

  // Until the screen is as wanted; the failure shows what it was.
  using Wanted = std::function<bool(const std::string& screen)>;
  ::testing::AssertionResult await_screen(const std::string& what, const Wanted& wanted);
  ::testing::AssertionResult await_text(const std::string& text);
  ::testing::AssertionResult await_no_text(const std::string& text);

  pid_t shell_pid();
  const TempDir& dir() const { return dir_; }

 private:
  std::string tmux(const std::vector<std::string>& words);

  TempDir dir_;
  Subprocess server_;
};

}  // namespace loiter::test
