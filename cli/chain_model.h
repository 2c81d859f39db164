// Who waits for whom in a process, as the daemon tells it (GET /v1/processes/PID/chains). All strings are
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

// A thread of a chain; what it waits for is held by the next one.
struct ChainLink {
  std::optional<uint32_t> pid, tid;
  std::string comm, name, state;
  Age age;
  std::optional<Wait> wait;
  std::optional<std::string> via;  // what leads here from the link before: "lock", "join", …
};

struct Chain {
  std::vector<ChainLink> links;  // from the waiter to the root
  std::string end;               // "running", "waits", "cycle", …; empty: not told
  bool cycle = false;
  uint64_t waiters = 0;  // blocked threads whose chains lead to this root
  size_t root = 0;       // index into links; 0 where there are none
  std::string detail;
};

struct Chains {
  std::string as_of;
  ProcessRow process;  // pid, comm, exe, start_time
  std::vector<Chain> chains;
};

// `unavailable` where a document is not what API.md says. Unknown fields are passed over; a root that is no
// link becomes the last one.
Result<Chains> parse_chains(const nlohmann::json& document);

// It ends at what nobody can give any more.
bool is_hopeless(const Chain& chain);

// Whether it tells of something: one thread that merely waits for what nobody holds does not.
bool is_telling(const Chain& chain);

// The link that the last one of a cycle waits for.
size_t cycle_entry(const Chain& chain);

}  // namespace loiter::cli
