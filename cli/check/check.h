// `loiter check`: runs a command, holds it at its end, has the daemon look at it, and reports.
//
// Called by main, on its thread.
#pragma once

#include "cli/check/command.h"
#include "cli/client.h"
#include "cli/options.h"
#include "daemon/base/result.h"

namespace loiter::cli {

struct CheckEnd {
  int code = 0;    // of DESIGN.md section 8
  int signal = 0;  // that ended the command: to be repeated, once nothing of ours is left
};

// An error: loiter itself failed, and the command was not started.
Result<CheckEnd> run_check(Client& client, const Options& options, const Inherited& inherited);

// Ends this process by that signal; its core is no news.
[[noreturn]] void die_by(int signal);

}  // namespace loiter::cli
