// What the user asked for on the command line.
//
// Pure function of the words given, any thread; exits nothing and prints nothing itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace loiter::cli {

enum class Command : uint8_t {
  ps,
  tree,
  events,
  doctor,
  findings,
  explain,
  history,
  scan,
  top,
  stacks,
  chain,
  why,
  unjoined,
  origins,
  check
};

struct Options {
  Command command = Command::ps;

  std::optional<std::string> socket;
  std::optional<uint64_t> threshold_ns;
  bool json = false;
  bool kernel_threads = false;
  bool ended = false;
  bool origins = false;

  std::optional<uint32_t> pid;  // tree, stacks, chain, why, unjoined, origins (always), events, scan
  std::optional<uint32_t> tid;  // stacks, chain: of this thread only
  std::string sort = "oldest";  // ps: the name of a column that exists
  std::optional<uint64_t> limit;
  std::optional<uint64_t> count;
  std::optional<uint64_t> for_ns;
  std::string finding;               // explain: its id
  std::string name;                  // history: of these processes, where `pid` is not given; empty: of all
  std::optional<uint64_t> since_ns;  // history: so long ago
  bool strict = false;
  bool resolved = false;    // findings: those that are gone too
  bool watch = false;       // findings: as they come and go
  bool print_rule = false;  // explain: a rule that would ignore it
  bool once = false;
  bool kernel_stacks = false;
  bool pthreads = false;  // events: calls of the thread library too
  bool lines = true;      // stacks: files and lines too, not symbols alone
  uint64_t interval_ns = 1'000'000'000;

  // check:
  std::vector<std::string> words;           // the command: one or more
  uint64_t grace_ns = 0;                    // for threads to end by themselves
  std::optional<uint64_t> within_ns;        // it has to be done by then
  std::vector<std::string> ignore;          // globs
  std::vector<std::string> count_runtimes;  // whose own threads count as well
  bool follow = false;
  std::optional<std::string> json_file, junit_file;
};

// The program ends here: help or version to stdout with 0, a complaint with 2.
struct EarlyExit {
  int code = 0;
  std::string out;  // as it is to be printed
  std::string complaint;
};

// `words`: without the program's own name.
std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& words);

// A process id as the kernel gives them: 1 to 4194304 (PID_MAX_LIMIT).
std::optional<uint32_t> parse_pid(const std::string& text);

}  // namespace loiter::cli
