// A small C program of known functions, lines and inlining, compiled by the test in many ways, started, and
// asleep in a system call with its registers told: what the stack parser is held against.
//
// Used by the thread of the test. Failures to build or start are thrown; a missing compiler is told by
// available().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/lib/stack_target.h"
#include "tests/lib/subprocess.h"

namespace loiter::test {

class Directory {
 public:
  Directory();
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Runs a command; a failure is thrown with what it said.
void must_run(const std::vector<std::string>& argv);

class InspectProgram {
 public:
  static bool available();

  // Compiles it with these flags besides -O2 -fomit-frame-pointer.
  InspectProgram(const Directory& directory, const std::vector<std::string>& flags);

  const std::string& path() const { return path_; }
  static std::string source_name() { return "program.c"; }
  // The line of the source that carries a mark.
  static uint32_t line_of(const std::string& mark);

  // Starts it in a mode ("plain", "signal", "libc", "deep N", "spawn FIFO") and waits until it sleeps in that
  // system call; 0 is read.
  void start(const std::vector<std::string>& mode, long syscall = 0);
  pid_t pid() const { return process_->pid(); }
  Subprocess& process() { return *process_; }
  // All registers that calls preserve, told by the program itself; of "libc" and "spawn" stack and
  // instruction pointer alone.
  StackCopy stack(size_t most = 64 * 1024) const;

 private:
  std::string path_;
  std::unique_ptr<Subprocess> process_;
  bool tells_ = false;
  uint64_t saved_at_ = 0;
};

}  // namespace loiter::test
