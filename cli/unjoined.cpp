#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/model.h"
#include "cli/scan_report.h"
#include "cli/target.h"
#include "cli/unjoined_report.h"

namespace loiter::cli {
namespace {

constexpr int kNotPossible = 3;  // DESIGN.md section 8

}  // namespace

Result<int> run_unjoined(Client& client, const Options& options, Output& out) {
  Target target("/v1/processes/" + std::to_string(options.pid.value_or(0)) + "/unjoined");
  target.with("fresh", 1);
  Result<nlohmann::json> document = client.get(target.text());
  if (!document) return document.error();
  try {
    if (options.json) {
      out.json(*document);
    } else {
      for (const std::string& line : unjoined_lines(*document)) out.line(line);
    }
    if (document->at("failure").is_null()) return scan_exit_code(*document);
    return kNotPossible;  // not 0, which would say that there is none
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

}  // namespace loiter::cli
