// A running workload program (tests/workloads): it says what it did in lines of JSON, the truth that the
// daemon's answers are held against, and does more on command.
//
// Used by the thread that started it. A workload that dies or says nothing ends the test by an exception.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/lib/subprocess.h"

namespace loiter::test {

class Workload {
 public:
  // Starts it and reads what it says until it is ready.
  explicit Workload(const std::string& name, const std::vector<std::string>& args = {},
                    const SpawnOptions& options = {});

  // In mount, pid and network namespaces of its own. pid() is that of the program, as the host numbers it.
  struct InContainer {};
  Workload(InContainer, const std::string& name, const std::vector<std::string>& args = {});

  // With a root of its own besides: an overlay over the host's, as a container's is over its image.
  struct InOverlay {};
  Workload(InOverlay, const std::string& name, const std::vector<std::string>& args = {});

  pid_t pid() const { return pid_; }
  Subprocess& process() { return process_; }

  // Told before it was ready, in order.
  const std::vector<nlohmann::json>& facts() const { return facts_; }

  // Those of one kind: {"fact": kind, …}. `the` expects just one.
  static std::vector<nlohmann::json> of_kind(const std::vector<nlohmann::json>& facts,
                                             const std::string& kind);
  static nlohmann::json the(const std::vector<nlohmann::json>& facts, const std::string& kind);

  // Has it carry out a command; returns what it said about it.
  std::vector<nlohmann::json> command(const std::string& line);
  void send(const std::string& line) { process_.write_stdin(line + "\n"); }

  // Waits until what it told last before it was ready (its "after") is so long ago.
  ::testing::AssertionResult await_age(int64_t ns) const;

  // Reads on to the line {"fact": last}.
  std::vector<nlohmann::json> read_until(const std::string& last);

 private:
  std::string read_line();

  std::string name_;
  Subprocess process_;
  std::string received_;
  std::vector<nlohmann::json> facts_;
  pid_t pid_;
};

// A program that is killed leaves its perf map: it goes with this.
class PerfMapRemover {
 public:
  explicit PerfMapRemover(pid_t pid) : path_("/tmp/perf-" + std::to_string(pid) + ".map") {}
  ~PerfMapRemover();
  PerfMapRemover(const PerfMapRemover&) = delete;
  PerfMapRemover& operator=(const PerfMapRemover&) = delete;

 private:
  std::string path_;
};

}  // namespace loiter::test
