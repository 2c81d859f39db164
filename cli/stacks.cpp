#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/stack_text.h"
#include "cli/target.h"

namespace loiter::cli {
namespace {

constexpr size_t kListColumns = 100;  // of lists of threads, without a terminal

}  // namespace

Result<int> run_stacks(Client& client, const Options& options, Output& out) {
  Target target("/v1/processes/" + std::to_string(options.pid.value_or(0)) + "/stacks");
  target.with("tid", options.tid);
  if (options.kernel_stacks) target.with("kernel", 1);
  if (!options.lines) target.with("lines", 0);
  Result<nlohmann::json> document = client.get(target.text());
  if (!document) return document.error();
  if (options.json) {
    out.json(*document);
    return 0;
  }
  Result<Stacks> stacks = parse_stacks(*document);
  if (!stacks) return stacks.error();
  for (const std::string& line : stacks_lines(*stacks, out.width().value_or(kListColumns))) out.line(line);
  return 0;
}

}  // namespace loiter::cli
