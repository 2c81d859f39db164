#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/interrupts.h"
#include "cli/model.h"
#include "cli/scan_report.h"
#include "cli/target.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

// How many threads the scan looked at. A process may end meanwhile: then nobody knows any more.
std::string looked_at(Client& client, std::optional<uint32_t> pid) {
  const std::string target = pid ? "/v1/processes/" + std::to_string(*pid) : "/v1/status";
  const json::json_pointer count(pid ? "/process/thread_count" : "/counts/threads");
  Result<json> document = client.get(target);
  if (!document || !document->contains(count)) return "no thread";
  const json& threads = (*document)[count];
  return threads.dump() + (threads == 1 ? " thread" : " threads");
}

void look_for(uint64_t ns) {
  Interrupts interrupts(nullptr);
  interrupts.after(ns);
  interrupts.wait();
}

}  // namespace

Result<int> run_scan(Client& client, const Options& options, Output& out) {
  if (options.for_ns) look_for(*options.for_ns);
  Target target("/v1/scan");
  target.with("fresh", 1).with("threshold_ns", options.threshold_ns).with("pid", options.pid);
  if (options.strict) target.with("strict", 1);
  Result<json> document = client.get(target.text());
  if (!document) return document.error();
  try {
    const int exit_code = scan_exit_code(*document);
    if (options.json) {
      out.json(*document);
      return exit_code;
    }
    const std::string threads = document->at("overdue").empty() ? looked_at(client, options.pid) : "";
    for (const std::string& line : scan_lines(*document, threads)) out.line(line);
    return exit_code;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

}  // namespace loiter::cli
