#include "daemon/serve/history_documents.h"

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"
#include "daemon/model/cgroup_names.h"
#include "daemon/serve/document_parts.h"

namespace loiter {
namespace {

Json time_or_null(const std::optional<uint64_t>& ns) {
  return ns ? Json(format_rfc3339(*ns)) : Json(nullptr);
}

void add_counts(Json& to, const CountPoint& point) {
  const auto known = [&](uint64_t value) { return point.known ? Json(value) : Json(nullptr); };
  to["live"] = known(point.live);
  to["least"] = known(point.least);
  to["most"] = known(point.most);
  to["births"] = known(point.births);
  to["ends"] = known(point.ends);
  to["longest_blocked_ns"] = known(point.longest_ns);
}

Json process_row(const ProcessCounts& process) {
  Json row = {{"pid", process.key.tid},
              {"start_time", format_rfc3339(process.start_ns)},
              {"start_boottime_ns", process.key.start_boot_ns},
              {"boot_id", text_or_null(process.boot_id)},
              {"comm", to_valid_utf8(process.comm)},
              {"exe", text_or_null(process.exe)},
              {"cgroup", text_or_null(process.cgroup)},
              {"unit", text_or_null(unit_of(process.cgroup))},
              {"container", text_or_null(container_of(process.cgroup))},
              {"ended", time_or_null(process.ended_ns)}};
  add_counts(row, process.total);
  row["periods"] = Json::array();
  for (const CountPoint& point : process.points) {
    Json& period = row["periods"].emplace_back(nullptr);
    if (!point.known) continue;
    period = Json::object();
    add_counts(period, point);
  }
  return row;
}

Json finding_row(const FindingLine& line) {
  return {{"id", to_valid_utf8(line.id)},
          {"kind", to_valid_utf8(line.kind)},
          {"severity", to_valid_utf8(line.severity)},
          {"certainty", to_valid_utf8(line.certainty)},
          {"pid", line.pid},
          {"comm", to_valid_utf8(line.comm)},
          {"count", line.count},
          {"summary", to_valid_utf8(line.summary)},
          {"first_seen", format_rfc3339(line.first_ns)},
          {"last_seen", format_rfc3339(line.last_ns)},
          {"resolved", time_or_null(line.resolved_ns)},
          {"resolution", text_or_null(line.resolution)},
          {"resolved_exactness", resolved_exactness(line.resolved_ns.has_value(), line.unwatched)}};
}

}  // namespace

std::string history_document(const Snapshot& snapshot, const HistoryAnswer& answer) {
  DocumentWriter document = begin_document(snapshot);
  document.field("since", format_rfc3339(answer.since_ns));
  document.field("until", format_rfc3339(answer.until_ns));
  document.field("period_ns", answer.step_ns);
  document.array("watched", answer.watched, [](const WatchedSpan& span) {
    return Json{{"begin", format_rfc3339(span.begin_ns)},
                {"end", format_rfc3339(span.end_ns)},
                {"length_ns", span.end_ns - span.begin_ns}};
  });
  document.array("findings", answer.lines, finding_row);
  document.field("findings_left_out", answer.findings_left_out);
  document.array("processes", answer.processes, process_row);
  document.field("processes_left_out", answer.processes_left_out);
  return std::move(document).finish();
}

Json history_json(const HistoryStatus& status) {
  Json json = {{"state", to_string(status.state)},
               {"dir", text_or_null(status.dir)},
               {"failure", text_or_null(status.failure)},
               {"keep_ns", status.keep_ns},
               {"bytes", status.bytes},
               {"bytes_limit", status.most_bytes},
               {"since", status.oldest_ns ? Json(format_rfc3339(status.oldest_ns)) : Json(nullptr)},
               {"findings_written", status.findings},
               {"counts_written", status.rows},
               {"failed_writes", status.failed},
               {"dropped_findings", status.dropped_findings},
               {"dropped_periods", status.dropped_counts},
               {"set_aside", Json::array()}};
  for (const std::string& name : status.set_aside) json["set_aside"].push_back(to_valid_utf8(name));
  return json;
}

}  // namespace loiter
