// A verdict, as every detector gives it (DESIGN.md sections 4 and 7). A value that owns all it says, so that
// it outlives the snapshot it was made from, the process, and the daemon; knows no JSON. Strings of processes
// are bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/model/snapshot.h"
#include "daemon/model/waits.h"

namespace loiter {

enum class FindingKind : uint8_t {
  deadlock,
  orphan,
  stuck,
  leak,
  unjoined,
  exhaustion,
  starved,
  spin,
  overdue,
};
enum class Severity : uint8_t { info, warning, critical };
enum class Certainty : uint8_t { possible, likely, proven };
const char* to_string(FindingKind kind);  // the words in the API
const char* to_string(Severity severity);
const char* to_string(Certainty certainty);

struct FindingProcess {
  TaskKey key = {};
  uint32_t parent_pid = 0;
  uint32_t uid = 0;
  bool kernel = false;
  std::string comm = {};
  std::string exe = {};
  std::string cgroup = {};
};

// One of the threads concerned, as it was when the finding was raised or last updated.
struct FindingThread {
  uint32_t pid = 0;
  TaskKey key = {};
  std::string name = {};
  std::string comm = {};  // of its process
  TaskState state = TaskState::sleeping;
  uint64_t switches = 0;  // context switches so far
  int64_t syscall = -1;
  bool compat = false;
  std::optional<uint64_t> blocked_ns = {};
  std::optional<uint64_t> blocked_max_ns = {};
  Exactness exactness = Exactness::unknown;
  std::string via = {};                   // how the step to it came about, of a thread in a chain
  std::optional<Wait> wait = {};          // nothing: it does not wait, or it was not looked at
  std::vector<SiteFrame> stack = {};      // innermost first
  std::string cut = {};                   // why the stack is not whole; empty: it is, or was not asked for
  std::optional<SiteFrame> routine = {};  // where it began
  std::string callable = {};              // what std::thread runs
  TaskKey creator = {};                   // tid 0: not known
  SiteStackPtr site = {};                 // null: not known
};

// One of all that a finding concerns: no more than tells it from others, since one finding may concern every
// thread of a host.
struct FindingMember {
  uint32_t pid = 0;
  uint32_t tid = 0;
  uint64_t start_boot_ns = 0;
  friend bool operator==(const FindingMember&, const FindingMember&) = default;
};
static_assert(sizeof(FindingMember) == 16);

using EvidenceValue = std::variant<uint64_t, double, std::string>;
struct Evidence {
  std::string name = {};  // as in the API; ends in _ns for lengths
  EvidenceValue value;
};

struct Finding {
  std::string id = {};  // the same for the same cause, also after a restart of the daemon
  FindingKind kind = FindingKind::overdue;
  Severity severity = Severity::info;
  Certainty certainty = Certainty::possible;
  FindingProcess process = {};  // of the root
  uint64_t count = 0;           // threads concerned; `threads` may hold fewer
  std::vector<FindingThread> threads =
      {};            // the root first, in a cycle in its order; then the longest blocked
  size_t chain = 0;  // so many of `threads`, the first ones, are the chain's or the cycle's
  std::optional<uint64_t> since_boot_ns = {};  // when it began, as far as that is known
  // Those concerned that `threads` has no room for, as far as they are known one by one, in no order. From
  // the detectors to the FindingBook, which keeps them while the finding lasts; empty everywhere else
  // (FindingMarks tells).
  std::vector<FindingMember> members = {};
  std::vector<Evidence> evidence = {};
  std::string summary = {};  // one line; foreign names in it are bytes
  std::string hint = {};     // one line
  // What a rule of the configuration did to it: 0: none, else its line. `reason` is the rule's.
  uint32_t rule_line = 0;
  std::string rule_reason = {};
};

}  // namespace loiter
