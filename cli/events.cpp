#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/event_text.h"
#include "cli/interrupts.h"
#include "cli/target.h"

namespace loiter::cli {

Result<int> run_events(Client& client, const Options& options, Output& out) {
  if (options.pid) {
    // A stream of what nobody does would be silent for ever.
    const Target exists = Target("/v1/scan").with("fresh", 1).with("pid", options.pid);
    Result<nlohmann::json> found = client.get(exists.text());
    if (!found) return found.error();
  }
  Interrupts interrupts(&client);
  if (options.for_ns) interrupts.after(*options.for_ns);
  uint64_t count = 0;
  auto on_line = [&](std::string_view line) {
    nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
    if (!event.is_object()) return true;
    if (options.json)
      out.json(event);
    else
      out.line(event_line(event));
    count += event.value("type", nlohmann::json()) != "start";
    return out.flush() && !(options.count && count >= *options.count);
  };
  Target target = Target("/v1/events").with("pid", options.pid);
  if (options.pthreads) target = target.with("pthreads", 1);
  Status streamed = client.stream(target.text(), on_line);
  if (!streamed) return streamed.error();
  return 0;
}

}  // namespace loiter::cli
