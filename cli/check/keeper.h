// The process that answers for the command's seccomp filter. It is one of its own, since whoever holds the
// listener must be there for as long as a process under the filter lives: without it their exit_group fails
// with ENOSYS, and glibc ends them by SIGSEGV. So it outlives loiter where the command left a daemon behind,
// and also where loiter is killed; it ends with the last process under the filter.
//
// It receives each call at once and lets it go on (SECCOMP_USER_NOTIF_FLAG_CONTINUE), unless loiter is to
// look at the process first: those it tells of, and holds until loiter says so or goes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter::cli {

// A process that waits in exit_group.
struct HeldExit {
  uint64_t id = 0;            // of the notification
  uint32_t pid = 0, tid = 0;  // tid: the thread that called it
  uint32_t exit_code = 0;     // as given to exit_group
  uint32_t passed_over = 0;   // so many in all could not be held
};

class Keeper {
 public:
  // Forks it. With `follow` it holds every process, else the command's main one alone.
  static Result<Keeper> start(bool follow);

  // Where the child that becomes the command hands over the listener, then waits: see hand_over().
  int child_fd() const { return child_link_.get(); }
  // The child has its copy.
  void close_child_fd() { child_link_.reset(); }

  // Readable where there is something for next(), or it has gone.
  int fd() const { return control_.get(); }

  // Never waits.
  std::optional<HeldExit> next();
  void let_go(uint64_t id) const;

  // The keeper goes on alone, for as long as it has to; true where no process is left under the filter.
  bool leave(int patience_ms);

  // In the child: sends `listener` over `link` and waits until the keeper has it. System calls alone.
  static bool hand_over(int link, int listener);

 private:
  Keeper() = default;
  pid_t pid_ = -1;
  Fd pidfd_, control_, child_link_;
};

}  // namespace loiter::cli
