#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/explain_text.h"
#include "cli/ignore_rule.h"
#include "cli/json_read.h"
#include "cli/model.h"
#include "cli/target.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

// Where the daemon's rules stand; empty: it does not say.
std::string config_path(Client& client) {
  const Result<json> status = client.get("/v1/status");
  std::string path;
  const json* config = status ? member(*status, "config") : nullptr;
  if (config) read(*config, "path", path);
  return path;
}

// Why the history could not be asked; empty: it could.
std::string history_note(const json& document) {
  const json* failure = member(document, "history_failure");
  return failure ? "; " + failure->get<std::string>() : "";
}

void write_ignore_rule(const json& finding, const Options& options, Output& out) {
  std::string toml;
  for (const std::string& line : ignore_rule(finding)) toml += line + "\n";
  if (!options.json) {
    out.whole(toml);
    return;
  }
  json matches = json::object();
  for (const auto& [key, glob] : ignore_matches(finding)) matches[key] = glob;
  out.json({{"schema", 1}, {"id", options.finding}, {"matches", matches}, {"toml", toml}});
}

}  // namespace

Result<int> run_explain(Client& client, const Options& options, Output& out) {
  const Result<json> document =
      client.get(Target("/v1/findings?id=" + options.finding).with("fresh", 1).text());
  if (!document) return document.error();
  try {
    bool ignored = false;
    const json* finding = only_finding(*document, ignored);
    if (!finding)
      return Error{Error::Kind::unavailable,
                   "there is no finding " + options.finding +
                       ", nor is it one that is kept of those that are gone" +
                       (client.is_private() ? ": no loiterd runs" + history_note(*document)
                                            : " (loiter findings --resolved)" + history_note(*document))};
    if (options.print_rule)
      write_ignore_rule(*finding, options, out);
    else if (options.json)
      out.json(
          {{"schema", 1}, {"ignored", ignored}, {"config_path", config_path(client)}, {"finding", *finding}});
    else
      for (const std::string& line : explain_lines(*finding, ignored, config_path(client))) out.line(line);
    return 0;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

}  // namespace loiter::cli
