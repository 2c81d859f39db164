// Findings as the daemon's API has them, for who shows them as a table.
//
// Values; parsed on any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/model.h"
#include "daemon/base/result.h"

namespace loiter::cli {

struct FindingRow {
  std::string id, kind, severity, certainty, comm, summary;  // bytes
  uint32_t pid = 0;
  uint64_t count = 0;
  Age age;                         // of its root
  std::vector<std::string> lines;  // all that is known of it, fit for a terminal
};

struct FindingList {
  std::string as_of;
  uint64_t as_of_boottime_ns = 0;
  std::vector<FindingRow> findings;  // the worst first
};

// `unavailable` where a document is not what API.md says. Unknown fields are passed over.
Result<FindingList> parse_findings(const nlohmann::json& document);

}  // namespace loiter::cli
