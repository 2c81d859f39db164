#include "cli/explain_text.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "cli/finding_text.h"
#include "cli/json_read.h"
#include "cli/model.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

// What makes a finding of that kind (DESIGN.md section 4).
std::string_view rule_of(std::string_view kind) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {"deadlock", "threads wait for each other in a cycle, and none of them has run since it was seen"},
      {"orphan",
       "a thread waits for what no one can give any more: its holder ended, or held it when the process "
       "forked"},
      {"stuck",
       "a thread is blocked past the threshold in a wait that must end, or is what such a thread waits for; "
       "not "
       "behind one that waits for clients, or has done so since"},
      {"leak",
       "threads of one origin grow: the least number of them rises from window to window and does not "
       "return"},
      {"unjoined", "threads ended past the threshold, are joinable, and nobody joined them"},
      {"exhaustion", "the number of threads will reach a limit on them if it goes on as it does"},
      {"starved", "a thread has wanted a CPU past the threshold and hardly got one"},
      {"spin", "a thread computes past the threshold without one voluntary switch"},
      {"overdue", "a thread is blocked past the threshold, whatever in (--strict)"},
  };
  for (const auto& [name, rule] : kRules)
    if (name == kind) return rule;
  return "a kind that this loiter does not know: it is older than loiterd";
}

std::string_view certainty_text(std::string_view certainty) {
  if (certainty == "proven") return "what was measured leaves no other explanation";
  if (certainty == "likely") return "all that was measured fits, and something unseen could still end it";
  return "it looks like that, and may be meant to be so";
}

std::string_view exactness_text(std::string_view exactness) {
  if (exactness == "exact") return "the wait began under loiterd's eyes";
  if (exactness == "estimated") return "from when the scheduler last ran the thread: between the two bounds";
  if (exactness == "lower_bound") return "at least so long: since loiterd looks";
  return "it could not be told";
}

std::string word(const json& object, const char* key) {
  const json* found = member(object, key);
  return found ? escape_for_terminal(found->get<std::string>()) : "";
}

std::string value_text(const std::string& name, const json& value) {
  if (value.is_string()) return escape_for_terminal(value.get<std::string>());
  if (name.ends_with("_ns") && value.is_number_unsigned()) return format_duration(value.get<uint64_t>());
  return value.dump();
}

void add_evidence(std::vector<std::string>& lines, const json& finding) {
  lines.emplace_back("evidence:");
  const size_t before = lines.size();
  for (const auto& [name, value] : finding.at("evidence").items()) {
    std::string key = escape_for_terminal(name);
    if (key.ends_with("_ns")) key.resize(key.size() - 3);
    std::ranges::replace(key, '_', ' ');
    lines.push_back("  " + key + ": " + value_text(name, value));
  }
  if (const std::string exactness = word(finding, "exactness"); !exactness.empty())
    lines.push_back("  blocked: " + format_age(parse_age(finding), true) + ", " + exactness + ": " +
                    std::string(exactness_text(exactness)));
  if (lines.size() == before) lines.emplace_back("  none was kept");
}

std::string rule_line(const json& finding, bool ignored, const std::string& config_path) {
  const json* rule = member(finding, "rule");
  if (!rule) return "configuration: no rule of it applies";
  std::string text = "configuration: ";
  if (ignored) text += "ignored by ";
  text += "the rule in line " + std::to_string(rule->at("line").get<uint32_t>());
  if (!config_path.empty()) text += " of " + escape_for_terminal(config_path);
  const std::string reason = word(*rule, "reason");
  return text + (reason.empty() ? "" : ": " + reason);
}

}  // namespace

const json* only_finding(const json& document, bool& ignored) {
  for (const char* list : {"findings", "ignored"}) {
    const json* findings = member(document, list);
    if (!findings || findings->empty()) continue;
    ignored = list == std::string_view("ignored");
    return &findings->at(0);
  }
  return nullptr;
}

std::vector<std::string> explain_lines(const json& finding, bool ignored, const std::string& config_path) {
  const std::string kind = word(finding, "kind"), certainty = word(finding, "certainty");
  json told = finding;
  told.erase("rule");  // said here
  const std::vector<std::string> seen = finding_lines(told, StacksShown::chain);
  std::vector<std::string> lines(seen.begin(), seen.begin() + 2);  // what it is, and of whom
  lines.push_back("rule: " + kind + ": " + std::string(rule_of(kind)));
  lines.push_back("certainty: " + certainty + ": " + std::string(certainty_text(certainty)));
  lines.push_back(rule_line(finding, ignored, config_path));
  add_evidence(lines, finding);
  lines.emplace_back(finding.at("chain") > 1 ? "chain, from its end:" : "threads:");
  lines.insert(lines.end(), seen.begin() + 2, seen.end());
  return lines;
}

}  // namespace loiter::cli
