// What `loiter check` has to say, as text for stderr, as JSON and as JUnit's XML.
//
// Pure functions, any thread. They throw a std::exception where a finding is not what API.md says.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/check/verdict.h"

namespace loiter::cli {

struct CheckReport {
  std::vector<std::string> command;
  uint32_t pid = 0;
  int exit_code = 0;                       // the command's own
  int signal = 0;                          // that ended it; 0: none
  std::optional<uint64_t> ended_after_ns;  // of --within: it was not done by then
  uint64_t ran_ns = 0;
  std::vector<ProcessVerdict> processes;
  uint64_t not_held = 0;              // processes of --follow that ended without having been looked at
  uint64_t short_lived = 0;           // and with one thread, before a census knew them
  bool others_live = false;           // processes that it started still run
  std::vector<std::string> troubles;  // what could not be done
};

size_t findings_in(const CheckReport& report);

// The exit code of DESIGN.md section 8; a signal's death is told by `signal`.
int check_exit_code(const CheckReport& report);

// Fit for a terminal. Nothing where there is nothing to say.
std::vector<std::string> check_lines(const CheckReport& report);

nlohmann::json check_document(const CheckReport& report);

// One test case for each finding, and for each kind that has none one that passed.
std::string check_junit(const CheckReport& report);

// Text as XML 1.0 holds it: what it cannot hold is told as escape_for_terminal does.
std::string escape_for_xml(std::string_view bytes);

}  // namespace loiter::cli
