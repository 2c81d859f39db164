// A loiterd of this process's own, as its child: started where the host runs none, ended when the last of
// it is no longer needed. It is found beside the running executable, never through PATH; it talks over
// socket pairs that it is handed, so that nobody else can reach it.
//
// Owned by a Client, used by one thread: the one that lives longest, since the daemon ends with the thread
// that started it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter::cli {

// loiterd in the directory of the running executable, or in ../sbin where that is called bin.
Result<std::string> find_loiterd();
Result<std::string> find_loiterd_beside(const std::string& executable);

class PrivateDaemon {
 public:
  // Runs `path --private FD ARGS…`. That it could be started does not say that it works here: ask it.
  static Result<std::unique_ptr<PrivateDaemon>> start(const std::string& path,
                                                      const std::vector<std::string>& args);

  // Ends it: asks by closing, then SIGTERM, then SIGKILL. What it had to say goes to stderr now.
  ~PrivateDaemon();
  PrivateDaemon(const PrivateDaemon&) = delete;
  PrivateDaemon& operator=(const PrivateDaemon&) = delete;

  // A new connection to it.
  Result<Fd> dial();

  int log_fd() const { return log_.get(); }
  bool read_log();  // what is there now, never waits; false at its end

  // Where it has ended or is about to: why, from its exit code and its last line. That line is not written
  // again.
  std::optional<Error> why_ended();

 private:
  PrivateDaemon() = default;
  bool wait_for_end(int milliseconds);

  pid_t pid_ = -1;
  Fd pidfd_, control_, log_;
  std::string log_text_;
  std::optional<int> wait_status_;
};

}  // namespace loiter::cli
