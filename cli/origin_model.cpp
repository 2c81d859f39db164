#include "cli/origin_model.h"

#include "cli/json_read.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

OriginSite parse_site(const json& object) {
  OriginSite site;
  read(object, "id", site.id);
  if (const json* stack = member(object, "stack"))
    for (const json& frame : *stack) site.frames.push_back(parse_frame(frame));
  read(object, "cut", site.cut);
  read(object, "births", site.births);
  read(object, "live", site.live);
  read(object, "ended", site.ended);
  read(object, "oldest_ns", site.oldest_ns);
  if (const json* lifetimes = member(object, "lifetimes")) read(*lifetimes, "log2_ns", site.lifetimes);
  if (const json* routines = member(object, "start_routines"))
    for (const json& routine : *routines) site.routines.push_back(read_routine(routine));
  read(object, "live_tids", site.live_tids);
  read(object, "other_creators", site.other_creators);
  if (const json* creators = member(object, "creators")) {
    for (const json& entry : *creators) {
      OriginCreator& creator = site.creators.emplace_back();
      read(entry, "tid", creator.tid);
      read(entry, "name", creator.name);
      read(entry, "count", creator.count);
    }
  }
  return site;
}

OriginPeriod parse_period(const json& object) {
  OriginPeriod period;
  read(object, "begin_boottime_ns", period.begin_boottime_ns);
  read(object, "length_ns", period.length_ns);
  read(object, "births", period.births);
  read(object, "ends", period.ends);
  read(object, "live", period.live);
  return period;
}

}  // namespace

Result<Origins> parse_origins(const json& document) {
  try {
    Origins origins;
    read(document, "as_of", origins.as_of);
    read(document, "as_of_boottime_ns", origins.as_of_boottime_ns);
    origins.process = parse_process(document.at("process"));
    read(document, "births", origins.births);
    read(document, "ends", origins.ends);
    read(document, "live", origins.live);
    for (const json& site : document.at("sites")) origins.sites.push_back(parse_site(site));
    if (const json* gaps = member(document, "without_site"))
      for (const auto& [reason, count] : gaps->items())
        if (const auto number = count.get<uint64_t>()) origins.without_site.emplace_back(reason, number);
    if (const json* history = member(document, "history"))
      for (const json& period : *history) origins.history.push_back(parse_period(period));
    return origins;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

}  // namespace loiter::cli
