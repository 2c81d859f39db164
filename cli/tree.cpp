#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/target.h"
#include "cli/thread_tree.h"

namespace loiter::cli {

Result<int> run_tree(Client& client, const Options& options, Output& out) {
  const Target target = Target("/v1/processes/" + std::to_string(options.pid.value_or(0)))
                            .with("fresh", 1)
                            .with("threshold_ns", options.threshold_ns);
  Result<nlohmann::json> document = client.get(target.text());
  if (!document) return document.error();
  if (options.json) {
    out.json(*document);
    return 0;
  }
  Result<Tree> tree = parse_tree(*document);
  if (!tree) return tree.error();
  for (const std::string& line : tree_lines(*tree, out.glyphs(), options.ended, out.width())) out.line(line);
  return 0;
}

}  // namespace loiter::cli
