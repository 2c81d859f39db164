#include "daemon/serve/unjoined_document.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/base/bytes.h"
#include "daemon/detect/unjoined.h"
#include "daemon/serve/document_parts.h"
#include "daemon/serve/finding_documents.h"
#include "daemon/serve/pthread_documents.h"

namespace loiter {
namespace {

// How a moment is told, and how long ago it was.
void add_end(Json& to, const Snapshot& snapshot, uint64_t ended_boot_ns) {
  const bool known = ended_boot_ns != 0;
  to["ended"] = known ? Json(snapshot.wall.format(ended_boot_ns)) : Json(nullptr);
  to["ended_boottime_ns"] = known ? Json(ended_boot_ns) : Json(nullptr);
  to["age_ns"] =
      known ? Json(snapshot.begin_boot_ns - std::min(snapshot.begin_boot_ns, ended_boot_ns)) : Json(nullptr);
}

// The ends that were seen, by thread descriptor: of several threads that had one, the last.
std::unordered_map<uint64_t, const EndedThread*> ends_of(const Snapshot& snapshot,
                                                         const ProcessView& process) {
  std::unordered_map<uint64_t, const EndedThread*> ends;
  for (const EndedThread& thread : snapshot.ended)
    if (thread.tgid == process.key.tid && thread.process_start_boot_ns == process.key.start_boot_ns &&
        thread.tls_base != 0)
      ends[thread.tls_base] = &thread;
  return ends;
}

// Threads with one start routine.
struct Group {
  std::optional<uint32_t> routine;
  uint64_t count = 0;
  std::optional<uint64_t> stack_bytes = 0;  // nothing once that of one of them is not known
  uint64_t first_end_boot_ns = 0;
};

void add(std::optional<uint64_t>& sum, const std::optional<uint64_t>& part) {
  if (!part) sum.reset();
  if (sum && part) *sum += *part;
}

class Unjoined {
 public:
  Unjoined(const Snapshot& snapshot, const ProcessView& process, const Inspection& inspection)
      : snapshot_(snapshot), inspection_(inspection), ends_(ends_of(snapshot, process)) {
    if (!inspection.pthreads) return;
    std::map<std::optional<uint32_t>, Group> groups;
    for (const UnjoinedThread& thread : inspection.pthreads->unjoined) {
      Group& group = groups[thread.routine];
      group.routine = thread.routine;
      ++group.count;
      // The program's own stacks are no cost of the missing join.
      const std::optional<uint64_t> bytes = thread.user_stack ? 0 : thread.stack_bytes;
      loiter::add(group.stack_bytes, bytes);
      loiter::add(total_bytes_, bytes);
      if (const EndedThread* end = end_of(thread))
        group.first_end_boot_ns = group.first_end_boot_ns
                                      ? std::min(group.first_end_boot_ns, end->ended_boot_ns)
                                      : end->ended_boot_ns;
    }
    for (const auto& [routine, group] : groups) groups_.push_back(group);
    std::stable_sort(groups_.begin(), groups_.end(),
                     [](const Group& a, const Group& b) { return a.count > b.count; });
  }

  const std::vector<Group>& groups() const { return groups_; }
  std::optional<uint64_t> stack_bytes() const { return inspection_.pthreads ? total_bytes_ : std::nullopt; }

  Json group_row(const Group& group) const {
    Json row = {{"start_routine", routine_json(inspection_, group.routine)},
                {"count", group.count},
                {"stack_bytes", value_or_null(group.stack_bytes)}};
    add_end(row, snapshot_, group.first_end_boot_ns);
    return row;
  }

  Json thread_row(const UnjoinedThread& thread) const {
    const EndedThread* end = end_of(thread);
    Json row = {{"tid", end ? Json(end->key.tid) : Json(nullptr)},
                {"name", end ? Json(to_valid_utf8(end->name.view())) : Json(nullptr)},
                {"start_routine", routine_json(inspection_, thread.routine)},
                {"stack_bytes", value_or_null(thread.stack_bytes)},
                {"user_stack", thread.user_stack}};
    add_end(row, snapshot_, end ? end->ended_boot_ns : 0);
    row["exactness"] = end ? Json(to_string(end->exactness)) : Json(nullptr);
    return row;
  }

 private:
  const EndedThread* end_of(const UnjoinedThread& thread) const {
    const auto found = ends_.find(thread.thread_pointer);
    return found == ends_.end() ? nullptr : found->second;
  }

  const Snapshot& snapshot_;
  const Inspection& inspection_;
  std::unordered_map<uint64_t, const EndedThread*> ends_;
  std::vector<Group> groups_;
  std::optional<uint64_t> total_bytes_ = 0;
};

// Where the lists tell nothing, what uprobes have seen is a lower bound.
std::optional<Finding> find_all(const Snapshot& snapshot, const ProcessView& process,
                                const Inspection& inspection, const PthreadsView* probed) {
  if (inspection.pthreads) {
    const std::optional<UnjoinedProcess> told = unjoined_of(inspection, snapshot);
    return told ? all_unjoined(process, *told) : std::nullopt;
  }
  return probed ? all_unjoined(process, unjoined_of(*probed, snapshot)) : std::nullopt;
}

// Children that ended and that nobody has waited for.
std::vector<const ProcessView*> zombies_of(const Snapshot& snapshot, uint32_t pid) {
  std::vector<const ProcessView*> zombies;
  for (const ProcessView& child : snapshot.processes)
    if (child.parent_pid == pid && child.threads.size() == 1 &&
        child.threads.front().state == TaskState::zombie)
      zombies.push_back(&child);
  return zombies;
}

Json zombie_row(const Snapshot& snapshot, const ProcessView& child) {
  Json row = {{"pid", child.key.tid}, {"comm", to_valid_utf8(child.comm.view())}};
  add_end(row, snapshot, child.threads.front().ended_boot_ns);
  row["exactness"] = child.threads.front().ended_boot_ns ? Json("exact") : Json(nullptr);
  return row;
}

}  // namespace

std::string unjoined_document(const Picture& picture, const ProcessView& process,
                              const Inspection& inspection) {
  const Snapshot& snapshot = *picture.snapshot;
  const Unjoined unjoined(snapshot, process, inspection);
  static const std::vector<UnjoinedThread> kNone;
  const std::optional<PthreadCounts>& counts = inspection.pthreads;
  const std::vector<UnjoinedThread>& threads = counts ? counts->unjoined : kNone;
  const auto number = [&](uint64_t PthreadCounts::*field) {
    return counts ? Json((*counts).*field) : Json(nullptr);
  };
  const std::string& failure =
      inspection.pthreads_failure.empty() ? inspection.failure : inspection.pthreads_failure;
  DocumentWriter document = begin_document(snapshot);
  document.field("process", process_identity(snapshot, process));
  document.field("failure",
                 counts ? Json(nullptr) : text_or_null(failure.empty() ? "not looked at" : failure));
  document.field("unjoined", counts ? Json(threads.size()) : Json(nullptr));
  document.field("stack_bytes", value_or_null(unjoined.stack_bytes()));
  document.field("joining", number(&PthreadCounts::joining));
  document.field("live_joinable", number(&PthreadCounts::live));
  document.field("detached", number(&PthreadCounts::detached));
  document.field("unclear", number(&PthreadCounts::unclear));
  document.array("by_routine", unjoined.groups(),
                 [&](const Group& group) { return unjoined.group_row(group); });
  document.array("threads", threads,
                 [&](const UnjoinedThread& thread) { return unjoined.thread_row(thread); });
  document.array("zombies", zombies_of(snapshot, process.key.tid),
                 [&](const ProcessView* child) { return zombie_row(snapshot, *child); });
  const PthreadsView* probed = picture.pthreads_of(process);
  document.field("probes", probes_json(snapshot, probed));
  Json findings = Json::array();
  if (std::optional<Finding> finding = find_all(snapshot, process, inspection, probed)) {
    KeptFinding now;
    now.first_boot_ns = now.last_boot_ns = snapshot.begin_boot_ns;
    now.finding = std::move(*finding);
    findings.push_back(finding_json(snapshot, now));
  }
  document.field("findings", findings);
  return std::move(document).finish();
}

}  // namespace loiter
