#include "daemon/serve/pthread_documents.h"

#include "daemon/base/bytes.h"
#include "daemon/serve/document_parts.h"

namespace loiter {
namespace {

Json time_or_null(const Snapshot& snapshot, const std::optional<uint64_t>& boot_ns) {
  return boot_ns ? Json(snapshot.wall.format(*boot_ns)) : Json(nullptr);
}

Json detached_json(loiter_detached detached) {
  return detached == LOITER_DETACHED_UNKNOWN ? Json(nullptr) : Json(detached == LOITER_DETACHED);
}

Json pthread_row(const Snapshot& snapshot, const Pthread& thread) {
  const bool joined = thread.joined_boot_ns.has_value();
  return {{"pthread", hexadecimal(thread.id)},
          {"tid", thread.task.tid},
          {"creator_tid", thread.creator.tid},
          {"routine", hexadecimal(thread.routine)},
          {"argument", hexadecimal(thread.arg)},
          {"created", snapshot.wall.format(thread.created_boot_ns)},
          {"created_boottime_ns", thread.created_boot_ns},
          {"fate", to_string(thread.fate())},
          {"detached_at_birth", detached_json(thread.detached_at_birth)},
          {"detached", time_or_null(snapshot, thread.detached_boot_ns)},
          {"joined", time_or_null(snapshot, thread.joined_boot_ns)},
          {"joiner_tid", joined && thread.joiner.tid ? Json(thread.joiner.tid) : Json(nullptr)},
          {"ended", time_or_null(snapshot, thread.ended_boot_ns)},
          {"ended_boottime_ns", value_or_null(thread.ended_boot_ns)}};
}

}  // namespace

Json failure_json(const UprobeStatus::Failure& failure) {
  return {{"library", text_or_null(failure.path)},
          {"function", text_or_null(failure.function)},
          {"reason", to_valid_utf8(failure.reason)}};
}

Json uprobes_json(const UprobeStatus& uprobes, const Result<UprobeCost>* cost) {
  const bool measured = cost && *cost;
  const UprobeWay way = measured ? (**cost).way : uprobes.way;
  Json json = {{"mode", to_string(uprobes.mode)},
               {"way", way != UprobeWay::automatic ? Json(to_string(way)) : Json(nullptr)},
               {"placed", uprobes.placed},
               {"libraries", uprobes.libraries},
               {"processes", uprobes.processes},
               {"failed", uprobes.failed},
               {"names_left", uprobes.names_left},
               {"failures", Json::array()},
               {"hit_ns", measured ? Json((**cost).hit_ns) : Json(nullptr)},
               {"hit_failure", cost && !*cost ? Json(cost->error().message) : Json(nullptr)}};
  for (const UprobeStatus::Failure& failure : uprobes.failures) {
    Json row = failure_json(failure);
    row["pid"] = failure.pid;
    row["count"] = failure.count;
    json["failures"].push_back(std::move(row));
  }
  return json;
}

Json probes_json(const Snapshot& snapshot, const PthreadsView* view) {
  if (!view) return nullptr;
  return {{"since", snapshot.wall.format(view->since_boot_ns)},
          {"since_boottime_ns", view->since_boot_ns},
          {"created", view->created},
          {"live", view->live.size()},
          {"joined", view->joined},
          {"detached", view->detached},
          {"unjoined", view->unjoined.size()},
          {"undecided", view->undecided},
          {"forgotten", view->forgotten}};
}

std::string pthreads_document(const Picture& picture, const ProcessView& process) {
  const Snapshot& snapshot = *picture.snapshot;
  const PthreadsView* view = picture.pthreads_of(process);
  DocumentWriter document = begin_document(snapshot);
  document.field("process", process_identity(snapshot, process));
  document.field("probes", probes_json(snapshot, view));
  static const std::vector<Pthread> kNone;
  const auto row = [&](const Pthread& thread) { return pthread_row(snapshot, thread); };
  document.array("live", view ? view->live : kNone, row);
  document.array("unjoined", view ? view->unjoined : kNone, row);
  document.array("settled", view ? view->settled : kNone, row);
  return std::move(document).finish();
}

}  // namespace loiter
