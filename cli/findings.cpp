#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/finding_text.h"
#include "cli/interrupts.h"
#include "cli/model.h"
#include "cli/target.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

Result<int> list(Client& client, const Options& options, Output& out) {
  Target target("/v1/findings");
  target.with("fresh", 1).with("pid", options.pid);
  if (options.resolved) target.with("resolved", 1);
  Result<json> document = client.get(target.text());
  if (!document) return document.error();
  try {
    const json& findings = document->at("findings");
    const int exit_code = std::ranges::any_of(findings, counts_as_failure) ? 1 : 0;
    if (options.json) {
      out.json(*document);
      return exit_code;
    }
    for (const json& finding : findings)
      for (const std::string& line : finding_lines(finding)) out.line(line);
    if (findings.empty()) out.line("no findings");
    if (const uint64_t ignored = document->value("ignored_count", uint64_t{0}))
      out.line(std::to_string(ignored) + " ignored by rules of the configuration");
    return exit_code;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

Result<int> watch(Client& client, const Options& options, Output& out) {
  Interrupts interrupts(&client);
  if (options.for_ns) interrupts.after(*options.for_ns);
  bool found = false;
  auto on_line = [&](std::string_view line) {
    const json event = json::parse(line, nullptr, false);
    if (!event.is_object() || event.value("type", "") != "finding") return true;
    try {
      found = found || counts_as_failure(event.at("finding"));
      if (options.json)
        out.json(event);
      else
        out.line(finding_event_line(event));
    } catch (const std::exception&) {
      out.json(event);  // of a daemon that is newer
    }
    return out.flush();
  };
  Status streamed =
      client.stream(Target("/v1/events").with("findings", 1).with("pid", options.pid).text(), on_line);
  if (!streamed) return streamed.error();
  return found ? 1 : 0;
}

}  // namespace

Result<int> run_findings(Client& client, const Options& options, Output& out) {
  return options.watch ? watch(client, options, out) : list(client, options, out);
}

}  // namespace loiter::cli
