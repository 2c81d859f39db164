#include "cli/scan_report.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "cli/finding_text.h"
#include "cli/model.h"
#include "cli/text_table.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

std::string text(const json& object, const char* key) {
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? "" : escape_for_terminal(found->get<std::string>());
}

void add_findings(std::vector<std::string>& lines, const json& findings) {
  for (const json& finding : findings) {
    if (finding.at("kind") == "overdue") continue;  // the table has them
    for (std::string& line : short_finding_lines(finding)) lines.push_back(std::move(line));
  }
}

void add_overdue(std::vector<std::string>& lines, const json& overdue) {
  TextTable table;
  table.add_column("PID", true);
  table.add_column("TID", true);
  for (const char* header : {"PROCESS", "NAME", "STATE"}) table.add_column(header);
  table.add_column("BLOCKED", true);
  table.add_column("SYSCALL");
  for (const json& row : overdue)
    table.add_row({std::to_string(row.at("pid").get<uint32_t>()),
                   std::to_string(row.at("tid").get<uint32_t>()), text(row, "comm"), text(row, "name"),
                   text(row, "state"), format_age(parse_age(row), true), text(row, "syscall")});
  for (std::string& line : table.lines()) lines.push_back(std::move(line));
}

}  // namespace

int scan_exit_code(const json& document) {
  return std::ranges::any_of(document.at("findings"), counts_as_failure) ? 1 : 0;
}

std::vector<std::string> scan_lines(const json& document, const std::string& looked_at) {
  std::vector<std::string> lines;
  const json& findings = document.at("findings");
  const json& overdue = document.at("overdue");
  const std::string threshold = format_duration(document.at("threshold_ns").get<uint64_t>());
  add_findings(lines, findings);
  if (overdue.empty()) {
    lines.push_back("nothing overdue: " + looked_at + ", threshold " + threshold);
  } else {
    add_overdue(lines, overdue);
    lines.push_back(std::to_string(overdue.size()) + " overdue past " + threshold + ", " +
                    std::to_string(std::ranges::count_if(findings, counts_as_failure)) +
                    " findings of severity warning or above");
  }
  for (const json& item : document.at("not_judged"))
    lines.push_back("not judged: " + text(item, "kind") + ": " + text(item, "reason"));
  return lines;
}

}  // namespace loiter::cli
