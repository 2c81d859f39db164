// The processes of the host as one table: what `ps` and `top --once` have in common.
//
// Called by the commands, on the thread of the client.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/model.h"

namespace loiter::cli {

// /v1/processes from a census of now. A private daemon has only just begun: it is asked twice, a moment
// apart, since CPU% and births a second need two censuses. `findings`: it is asked to judge as well, and not
// waited for.
Result<nlohmann::json> fetch_processes(Client& client, std::optional<uint64_t> threshold_ns, bool findings);

// Puts "processes" of the document into the order of the column called `sort` and keeps the first `limit`.
Status arrange_processes(nlohmann::json& document, const std::string& sort, std::optional<uint64_t> limit);

std::vector<std::string> process_lines(const std::vector<ProcessRow>& processes);

// "1203 threads in 97 processes, 1190 blocked, 3 overdue (30s) …"
std::string host_summary(const HostLine& host);

}  // namespace loiter::cli
