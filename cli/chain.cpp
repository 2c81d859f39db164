#include <nlohmann/json.hpp>

#include "cli/chain_text.h"
#include "cli/commands.h"
#include "cli/target.h"

namespace loiter::cli {

Result<int> run_chain(Client& client, const Options& options, Output& out) {
  Target target("/v1/processes/" + std::to_string(options.pid.value_or(0)) + "/chains");
  target.with("tid", options.tid);
  Result<nlohmann::json> document = client.get(target.text());
  if (!document) return document.error();
  if (options.json) {
    out.json(*document);
    return 0;
  }
  Result<Chains> chains = parse_chains(*document);
  if (!chains) return chains.error();
  for (const std::string& line : chains_lines(*chains, options.tid, out.width())) out.line(line);
  return 0;
}

}  // namespace loiter::cli
