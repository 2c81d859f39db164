#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/doctor_report.h"
#include "cli/local_checks.h"
#include "cli/model.h"

namespace loiter::cli {

Result<int> run_doctor(Client* client, const std::string& why_none, const Options& options, Output& out) {
  nlohmann::json status;
  std::string reason = why_none;
  std::vector<Check> checks;
  if (client) {
    Result<nlohmann::json> answer = client->get("/v1/status?fresh=1&measure=1");
    if (answer)
      status = std::move(*answer);
    else
      reason = answer.error().message;
  }
  if (!status.is_object()) checks = local_checks();
  try {
    const nlohmann::json document = doctor_document(status, reason, checks);
    if (options.json) {
      out.json(document);
    } else {
      for (const std::string& line : doctor_lines(document)) out.line(line);
    }
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
  return status.is_object() ? 0 : 3;
}

}  // namespace loiter::cli
