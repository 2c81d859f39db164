#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/origin_text.h"
#include "cli/target.h"
#include "cli/thread_tree.h"

namespace loiter::cli {

Result<int> run_tree(Client& client, const Options& options, Output& out) {
  const std::string path = "/v1/processes/" + std::to_string(options.pid.value_or(0));
  Target target(path);
  target.with("fresh", 1).with("threshold_ns", options.threshold_ns);
  if (options.origins && options.json) target.with("origins", 1);
  Result<nlohmann::json> document = client.get(target.text());
  if (!document) return document.error();
  if (options.json) {
    out.json(*document);
    return 0;
  }
  Result<Tree> tree = parse_tree(*document);
  if (!tree) return tree.error();
  if (!options.origins) {
    for (const std::string& line : tree_lines(*tree, out.glyphs(), options.ended, out.width()))
      out.line(line);
    return 0;
  }
  // Each stack once, not with each thread.
  Result<nlohmann::json> made = client.get(path + "/origins");
  if (!made) return made.error();
  Result<Origins> origins = parse_origins(*made);
  if (!origins) return origins.error();
  const auto sites = sites_of_threads(*origins);
  for (const std::string& line : tree_lines(*tree, out.glyphs(), options.ended, out.width(), &sites))
    out.line(line);
  for (const std::string& line : numbered_sites(*origins, client.is_private())) out.line(line);
  return 0;
}

}  // namespace loiter::cli
