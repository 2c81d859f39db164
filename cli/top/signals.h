// The signals that a program which owns a terminal must answer: told to its main loop through a file
// descriptor, so that nothing happens inside a handler. One that comes again before the loop answered the
// first ends the process at once, with the terminal restored.
//
// One instance at a time, owned by the thread that runs the loop. Other threads block these signals.
#pragma once

#include <signal.h>

#include <array>

#include "daemon/base/fd.h"

namespace loiter::top {

class Signals {
 public:
  Signals();
  ~Signals();  // the former handlers are back
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return read_end_.get(); }  // readable when one came

  struct Pending {
    int quit = 0;  // SIGINT, SIGTERM, SIGHUP or SIGQUIT
    bool resized = false;
    bool suspend = false;
    bool resumed = false;
  };
  Pending take();

  // Stops the process as SIGTSTP does by default; returns when it goes on.
  void stop_here();

 private:
  static constexpr std::array<int, 7> kHandled{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
  Fd read_end_, write_end_;
  std::array<struct sigaction, kHandled.size()> former_;
};

}  // namespace loiter::top
