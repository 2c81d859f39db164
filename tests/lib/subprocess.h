// A child process of a test: signalled by its own pid only, always reaped, and killed when the test that
// started it goes away, however that happens.
//
// Used by the thread that started it (the child dies with that very thread: PR_SET_PDEATHSIG). Failures
// to start are thrown as std::runtime_error: they end the test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/fd.h"
#include "tests/lib/await.h"

namespace loiter::test {

struct ExitStatus {
  int code = -1;   // of exit(); -1 where a signal ended it
  int signal = 0;  // 0 where it exited
};

std::string to_string(const ExitStatus& status);

// What the child finds at /sys/kernel/tracing: what is there, tracefs, one that it cannot write to, or
// nothing (there nor below /sys/kernel/debug).
enum class Tracefs { as_is, mounted, read_only, hidden };

struct SpawnOptions {
  bool stdout_to_memory = false;  // else a pipe, which must be read
  bool empty_run_dir = false;     // nothing in /run: no daemon of the host is found
  bool hide_btf = false;          // as on a kernel without type information
  bool hide_debug_files = false;  // as where no package of debug symbols is installed
  Tracefs tracefs = Tracefs::as_is;
  std::optional<uid_t> uid = {};                   // without any group or capability of ours
  std::vector<std::pair<int, int>> keep_fds = {};  // {ours, its number in the child}; 10 or above
  std::vector<int> drop_capabilities = {};         // taken out of the bounding set
};

class Subprocess {
 public:
  explicit Subprocess(const std::vector<std::string>& argv, const SpawnOptions& options = {});
  ~Subprocess();
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  pid_t pid() const { return pid_; }
  int stdout_fd() const { return stdout_.get(); }
  void write_stdin(const std::string& text);
  void close_stdin() { stdin_.reset(); }
  void close_stdout() { stdout_.reset(); }

  // All that it has written so far; stdout only with stdout_to_memory.
  std::string stdout_text() const;
  std::string stderr_text() const;

  void signal(int number) const;

  // Its end, or nothing where it still lives after `limit`.
  std::optional<ExitStatus> wait(std::chrono::milliseconds limit = kPatience);
  bool alive() { return !wait(std::chrono::milliseconds(0)); }

 private:
  pid_t pid_ = -1;
  Fd pidfd_, stdin_, stdout_, stderr_;
  std::optional<ExitStatus> status_;
};

struct RunResult {
  ExitStatus status;
  std::string out, err;
};

// What an error message must be: one line, not empty, ended.
::testing::AssertionResult is_one_line(const std::string& text);

// Runs a command to its end. Throws where that does not come within `limit` (it is killed then).
RunResult run(const std::vector<std::string>& argv, const SpawnOptions& options = {},
              std::chrono::milliseconds limit = kPatience);

}  // namespace loiter::test
