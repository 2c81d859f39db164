#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/history_text.h"
#include "cli/model.h"
#include "cli/target.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kUsualSinceNs = 86'400'000'000'000;
constexpr uint64_t kPoints = 48;
constexpr uint64_t kMostLimit = 1000;

std::string subject_of(const Options& options) {
  if (options.pid) return "process " + std::to_string(*options.pid);
  return options.name.empty() ? "any process" : "a process named " + options.name;
}

}  // namespace

Result<int> run_history(Client& client, const Options& options, Output& out) {
  const uint64_t since_ns = options.since_ns.value_or(kUsualSinceNs);
  Target target("/v1/history");
  target.with("since_ns", since_ns).with("points", kPoints).with("pid", options.pid);
  if (!options.name.empty()) target.with_text("name", options.name);
  if (options.limit) target.with("limit", std::min(*options.limit, kMostLimit));
  const Result<json> document = client.get(target.text());
  if (!document)
    return client.is_private()
               ? Error{document.error().kind, "no loiterd runs, and " + document.error().message +
                                                  "; start loiterd: it writes one as long as it runs"}
               : document.error();
  try {
    if (document->at("processes").empty() && document->at("findings").empty() &&
        (options.pid || !options.name.empty()))
      return Error{Error::Kind::unavailable, "nothing is known of " + subject_of(options) + " in the last " +
                                                 format_duration(since_ns) +
                                                 ": processes without threads besides their first are not "
                                                 "counted; try a longer --since"};
    if (options.json) {
      out.json(*document);
      return 0;
    }
    for (const std::string& line : history_lines(*document, out.glyphs())) out.line(line);
    return 0;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

}  // namespace loiter::cli
