// A rule of loiterd's configuration that would ignore a finding, made of what of it is likely to be the same
// the next time: no numbers, no addresses.
//
// Pure functions, any thread. They throw a std::exception where a document is not what API.md says.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace loiter::cli {

// A TOML basic string, quotes included: plain ASCII but for what a terminal shows as it is. `text` is valid
// UTF-8.
std::string toml_string(std::string_view text);

// A glob that matches these very bytes. What was no UTF-8 in them (U+FFFD since) becomes "*".
std::string exact_glob(std::string_view text);

// Keys and values of the rule, in their order; values are not quoted yet.
std::vector<std::pair<std::string, std::string>> ignore_matches(const nlohmann::json& finding);

// All of the rule as lines of TOML, with a comment that says what it is made from.
std::vector<std::string> ignore_rule(const nlohmann::json& finding);

}  // namespace loiter::cli
