// One event of the stream as a line of text: `loiter events`.
//
// Pure function, any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace loiter::cli {

// Time, kind, pid/tid, name and what else is known. An event of a kind or shape not known is written as JSON.
std::string event_line(const nlohmann::json& event);

}  // namespace loiter::cli
