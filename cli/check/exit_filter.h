// The seccomp filter under which `loiter check` runs its command: exit_group waits for an answer
// (SECCOMP_RET_USER_NOTIF), everything else is as ever. It is inherited by all that the command starts.
//
// The program is made before the fork; install() is for the child: system calls alone.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "daemon/base/result.h"

namespace loiter::cli {

class ExitFilter {
 public:
  static Result<ExitFilter> make();

  // For the calling thread and all that come of it. The descriptor that hears of the calls, close-on-exec; or
  // a negative errno. Needs CAP_SYS_ADMIN: with no_new_privs instead, set-user-id programs would change.
  int install() const;

  // What to tell of an errno of install().
  static Error explain(int error);

 private:
  std::vector<sock_filter> program_;
};

}  // namespace loiter::cli
