// What the daemon's documents say (daemon/serve/API.md), as values that the views work on: parsed once,
// then sorted, filtered and shown. Strings are as the daemon sent them: valid UTF-8 that may hold any
// control character, so a view escapes them.
//
// Values; owned by whoever asked. Parsing: pure functions, any thread.
#pragma once

#include <cstdint>
#include <exception>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/routine.h"
#include "cli/wait.h"
#include "daemon/base/result.h"

namespace loiter::cli {

enum class Exactness : uint8_t { exact, estimated, lower_bound, unknown };

// For how long something has been blocked. No `exactness`: it is not blocked.
struct Age {
  std::optional<uint64_t> blocked_ns;      // at least
  std::optional<uint64_t> blocked_max_ns;  // at most; nothing where that is not known
  std::optional<Exactness> exactness;
};

struct HostLine {
  std::string name;
  uint64_t processes = 0, threads = 0, blocked = 0, overdue = 0;
  double born_per_s = 0, ended_per_s = 0;
  uint64_t census_ns = 0;
  uint64_t losses_total = 0;
  uint64_t threshold_ns = 0;
};

// The thread of a process that has been blocked for longest.
struct OldestBlocked {
  uint32_t tid = 0;
  std::string name, state;
  Age age;
  std::optional<std::string> syscall;
};

// The worst finding that concerns a thread or a process.
struct FindingMark {
  std::string id, kind, severity;
};

struct ProcessRow {
  uint32_t pid = 0, parent_pid = 0, uid = 0;
  std::string comm, exe, cgroup;  // exe, cgroup: empty where not known
  std::optional<std::string> unit, container;
  std::string start_time;  // RFC 3339
  uint64_t start_boottime_ns = 0;
  bool kernel = false;
  uint64_t thread_count = 0, running = 0, runnable = 0, blocked = 0, overdue = 0;
  double born_per_s = 0, ended_per_s = 0;
  uint64_t cpu_ns = 0;
  double cpu_percent = 0;  // of one CPU
  uint64_t voluntary_switches = 0, involuntary_switches = 0;
  std::optional<OldestBlocked> oldest_blocked;
  std::optional<FindingMark> finding;  // nothing where there is none, and before anything was judged
  std::optional<std::string> ended;    // when; nothing where it lives
};

struct ThreadRow {
  uint32_t tid = 0;
  std::optional<uint32_t> parent_tid;  // who created it; nothing for the leader and where not known
  bool parent_alive = true;            // false: that tid may be in use again
  std::string name, state;
  uint64_t born_boottime_ns = 0;
  std::string start_time;
  Age age;
  std::optional<std::string> syscall;
  std::optional<Wait> wait;  // nothing where it is not blocked, and where that is not told
  std::optional<StartRoutine> routine;
  uint32_t cpu = 0;
  uint64_t cpu_ns = 0;
  uint64_t voluntary_switches = 0, involuntary_switches = 0;
  bool overdue = false;
  std::optional<FindingMark> finding;  // as of a process
  uint64_t lived_ns = 0;               // from its birth to the census, or to its end
  // Ended threads only:
  std::optional<std::string> ended;  // when
  uint64_t ended_boottime_ns = 0;
};

struct ProcessList {
  std::string as_of;
  uint64_t as_of_boottime_ns = 0;
  HostLine host;
  std::vector<ProcessRow> processes;
};

struct Tree {
  std::string as_of;
  uint64_t as_of_boottime_ns = 0;
  uint64_t threshold_ns = 0;
  ProcessRow process;
  std::vector<ThreadRow> threads;        // the leader first, then by birth
  std::vector<ThreadRow> ended_threads;  // as the daemon ordered them
  uint64_t ended_dropped = 0;
};

// `unavailable` where a document is not what API.md says. Unknown fields are passed over.
Result<ProcessList> parse_process_list(const nlohmann::json& document);
Result<Tree> parse_tree(const nlohmann::json& document);

// The fields that tell for how long a thread has been blocked. Throws a std::exception on other types.
Age parse_age(const nlohmann::json& object);

// A process of any document that has one. Throws a std::exception on other types.
ProcessRow parse_process(const nlohmann::json& object);

// How bad a severity is, by its word in the API: the worst is the greatest.
int severity_weight(std::string_view severity);

// What to tell of a document that is not as API.md has it.
Error not_understood(const std::exception& why);

// "3m12s" exact; "~3m12s" estimated; ">=3m12s" lower bound; "?" unknown; "" not blocked. Where both ends of
// an estimate differ noticeably, `range` writes both: "3m12s..3m15s". Without it never wider than 9 columns
// below 100 days.
std::string format_age(const Age& age, bool range = false);

}  // namespace loiter::cli
