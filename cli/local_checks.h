// What loiter needs of a host, looked up without any daemon: for `doctor` where none can be started.
//
// Reads files below a root directory ("" for the host's own). Called on one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace loiter::cli {

enum class CheckState : uint8_t { ok, degraded, missing };
const char* to_string(CheckState state);

struct Check {
  std::string name;
  CheckState state = CheckState::ok;
  std::string detail;  // what there is; where that is not enough, what to do
};

std::vector<Check> local_checks(const std::string& root = "");

}  // namespace loiter::cli
