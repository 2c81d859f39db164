#include "cli/finding_model.h"

#include <nlohmann/json.hpp>

#include "cli/finding_text.h"
#include "cli/json_read.h"

namespace loiter::cli {

Result<FindingList> parse_findings(const nlohmann::json& document) {
  try {
    FindingList list;
    read(document, "as_of", list.as_of);
    read(document, "as_of_boottime_ns", list.as_of_boottime_ns);
    for (const nlohmann::json& finding : document.at("findings")) {
      FindingRow& row = list.findings.emplace_back();
      read(finding, "id", row.id);
      read(finding, "kind", row.kind);
      read(finding, "severity", row.severity);
      read(finding, "certainty", row.certainty);
      read(finding, "summary", row.summary);
      read(finding, "count", row.count);
      read(finding.at("process"), "pid", row.pid);
      read(finding.at("process"), "comm", row.comm);
      row.age = parse_age(finding);
      row.lines = finding_lines(finding);
    }
    return list;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

}  // namespace loiter::cli
