// The stacks of a process' threads, as the daemon tells them (GET /v1/processes/PID/stacks). All strings are
// foreign; a view escapes them.
//
// Values; parsing: pure functions, any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/model.h"
#include "daemon/base/result.h"

namespace loiter::cli {

struct StackFrame {
  std::optional<std::string> symbol, module, file;  // nothing where not known
  std::optional<uint64_t> offset;                   // of the code in its module
  std::optional<uint64_t> line;
  bool inlined = false;
  bool operator==(const StackFrame&) const = default;
};

struct StackThread {
  uint32_t tid = 0;
  std::string name, state;
  Age age;
  std::optional<Wait> wait;
  std::optional<StartRoutine> routine;
  std::vector<StackFrame> frames;                         // innermost first
  std::optional<std::string> cut;                         // why they end early, or why there are none
  std::optional<std::vector<std::string>> kernel_frames;  // where they were asked for and can be had
};

struct Stacks {
  std::string as_of;
  ProcessRow process;  // pid, comm, exe, start_time
  std::vector<StackThread> threads;
};

// A frame of any document that has one. Throws a std::exception on other types.
StackFrame parse_frame(const nlohmann::json& object);

// `unavailable` where a document is not what API.md says. Unknown fields are passed over.
Result<Stacks> parse_stacks(const nlohmann::json& document);

}  // namespace loiter::cli
