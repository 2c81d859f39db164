// Where the threads of a process were made, as the daemon tells it (GET /v1/processes/PID/origins). All
// strings are foreign; a view escapes them.
//
// Values; parsing: pure functions, any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/model.h"
#include "cli/routine.h"
#include "cli/stack_model.h"
#include "daemon/base/result.h"

namespace loiter::cli {

struct OriginCreator {
  uint32_t tid = 0;
  std::string name;
  uint64_t count = 0;
};

struct OriginSite {
  uint32_t id = 0;
  std::vector<StackFrame> frames;  // innermost first
  std::optional<std::string> cut;
  uint64_t births = 0, live = 0, ended = 0;
  std::optional<uint64_t> oldest_ns;   // nothing where none lives
  std::vector<uint64_t> lifetimes;     // of ended threads: [i] lived 2^i ns or more, and less than twice that
  std::vector<StartRoutine> routines;  // where its threads began, as far as that is known
  std::vector<uint32_t> live_tids;
  std::vector<OriginCreator> creators;  // those with the most births
  uint64_t other_creators = 0;
};

struct OriginPeriod {
  uint64_t begin_boottime_ns = 0, length_ns = 0;
  uint64_t births = 0, ends = 0, live = 0;
};

struct Origins {
  std::string as_of;
  uint64_t as_of_boottime_ns = 0;
  ProcessRow process;  // pid, comm, exe, start_time
  uint64_t births = 0, ends = 0, live = 0;
  std::vector<OriginSite> sites;  // as the daemon ordered them: most live ones first
  std::vector<std::pair<std::string, uint64_t>>
      without_site;                   // by the daemon's word for the reason; not zero
  std::vector<OriginPeriod> history;  // oldest first
};

// `unavailable` where a document is not what API.md says. Unknown fields are passed over.
Result<Origins> parse_origins(const nlohmann::json& document);

}  // namespace loiter::cli
