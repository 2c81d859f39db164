// What `loiter doctor` says, from the daemon's status or from the checks made without one.
//
// Pure functions, any thread. They throw a std::exception where the status is not as API.md has it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/local_checks.h"

namespace loiter::cli {

// The document of --json: {"schema", "works", "checks": [{"name", "state", "detail"}], "reason", "status"}.
// `reason`: why no daemon could be asked; empty where `status` is one's.
nlohmann::json doctor_document(const nlohmann::json& status, const std::string& reason,
                               const std::vector<Check>& checks);

// That document as text.
std::vector<std::string> doctor_lines(const nlohmann::json& document);

}  // namespace loiter::cli
