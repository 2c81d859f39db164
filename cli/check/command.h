// The command of `loiter check` as a child: with our stdin, stdout, stderr and whatever else we inherited, in
// our process group, with the signal mask and dispositions that we were started with, and under the exit
// filter from before its first instruction.
//
// Used by the thread that started it.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/check/exit_filter.h"
#include "cli/check/keeper.h"
#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter::cli {

// What main changed of what it had been given, so that the command gets it as it was.
struct Inherited {
  void (*sigpipe)(int) = SIG_DFL;
};

// Blocks the signals that are passed on, from its construction on, and SIGCHLD is not ignored meanwhile.
class SignalRelay {
 public:
  explicit SignalRelay(const Inherited& inherited);
  ~SignalRelay();
  SignalRelay(const SignalRelay&) = delete;
  SignalRelay& operator=(const SignalRelay&) = delete;

  // In a child before it executes: as if all this had not been. System calls alone.
  void undo_in_child() const;

  int fd() const { return fd_.get(); }

  struct Received {
    int number = 0;
    bool by_terminal = false;  // ^C and the like: the command has got it as well
  };
  std::optional<Received> next() const;  // never waits

 private:
  Inherited inherited_;
  sigset_t former_mask_{};
  struct sigaction former_sigchld_ {};
  Fd fd_;
};

class CheckedCommand {
 public:
  struct Failure {
    int code;  // 125, 126 or 127
    std::string message;
  };
  // Returns once it runs.
  static std::variant<CheckedCommand, Failure> start(const std::vector<std::string>& words,
                                                     const ExitFilter& filter, Keeper& keeper,
                                                     const SignalRelay& signals);

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once it has ended
  void signal(int number) const;              // no other process can be hit: it is not reaped yet

  // Its wait status; waits for its end.
  int reap();

 private:
  pid_t pid_ = -1;
  Fd pidfd_;
};

}  // namespace loiter::cli
