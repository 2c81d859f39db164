#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/interrupts.h"
#include "cli/origin_text.h"
#include "cli/target.h"

namespace loiter::cli {
namespace {

constexpr size_t kListColumns = 100;  // of lists of threads, without a terminal

}  // namespace

Result<int> run_origins(Client& client, const Options& options, Output& out) {
  const Target target =
      Target("/v1/processes/" + std::to_string(options.pid.value_or(0)) + "/origins").with("fresh", 1);
  if (options.for_ns) {
    // Whether there is such a process is told at once.
    if (Result<nlohmann::json> first = client.get(target.text()); !first) return first.error();
    Interrupts interrupts(nullptr);
    interrupts.after(*options.for_ns);
    interrupts.wait();
  }
  Result<nlohmann::json> document = client.get(target.text());
  if (!document) return document.error();
  if (options.json) {
    out.json(*document);
    return 0;
  }
  Result<Origins> origins = parse_origins(*document);
  if (!origins) return origins.error();
  for (const std::string& line :
       origins_lines(*origins, out.width().value_or(kListColumns), client.is_private()))
    out.line(line);
  return 0;
}

}  // namespace loiter::cli
