#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/process_table.h"
#include "cli/top/top.h"

namespace loiter::cli {
namespace {

Result<int> print_processes(Client& client, const Options& options, Output& out, bool for_top) {
  Result<nlohmann::json> document = fetch_processes(client, options.threshold_ns, for_top);
  if (!document) return document.error();
  Status arranged = arrange_processes(*document, options.sort, options.limit);
  if (!arranged) return arranged.error();
  if (options.json) {
    out.json(*document);
    return 0;
  }
  Result<ProcessList> list = parse_process_list(*document);
  if (!list) return list.error();
  if (for_top) out.line(host_summary(list->host));
  for (const std::string& line : process_lines(list->processes)) out.line(line);
  return 0;
}

}  // namespace

Result<int> run_ps(Client& client, const Options& options, Output& out) {
  return print_processes(client, options, out, false);
}

Result<int> run_top(Client& client, const Options& options, Output& out) {
  if (options.once || options.json || !out.is_terminal()) return print_processes(client, options, out, true);
  return loiter::run_top(client, {options.interval_ns, options.threshold_ns.value_or(0)});
}

}  // namespace loiter::cli
