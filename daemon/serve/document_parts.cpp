#include "daemon/serve/document_parts.h"

#include <algorithm>
#include <cstring>

#include "daemon/base/bytes.h"
#include "daemon/detect/case.h"
#include "daemon/model/cgroup_names.h"
#include "daemon/model/syscalls.h"

namespace loiter {
namespace {

Json number_or_null(uint32_t number) {
  return number ? Json(number) : Json(nullptr);
}

Json holder_state(HolderState state) {
  switch (state) {
    case HolderState::inapplicable:
      return nullptr;
    case HolderState::alive:
      return "alive";
    case HolderState::ended:
      return "ended";
    case HolderState::inherited:
      return "inherited";
    case HolderState::deadlocked:
      return "deadlocked";
    case HolderState::none:
      return "none";
    case HolderState::unknown:
      return "unknown";
  }
  return nullptr;
}

const ThreadView* find_thread(const ProcessView* process, uint32_t tid) {
  if (!process) return nullptr;
  for (const ThreadView& thread : process->threads)
    if (thread.key.tid == tid) return &thread;
  return nullptr;
}

Json holder_name(const Snapshot& snapshot, const Inspection& inspection, const Holder& holder) {
  const InspectedThread* own = holder.pid == inspection.pid ? inspection.find(holder.tid) : nullptr;
  if (own) return to_valid_utf8({own->record.comm, strnlen(own->record.comm, LOITER_COMM_LEN)});
  const ProcessView* process = holder.pid ? snapshot.find(holder.pid) : nullptr;
  if (const ThreadView* thread = find_thread(process, holder.tid)) return to_valid_utf8(thread->name.view());
  return process ? Json(to_valid_utf8(process->comm.view())) : Json(nullptr);
}

Json peers_json(const Snapshot& snapshot, const std::vector<Peer>& peers) {
  Json list = Json::array();
  for (const Peer& peer : peers) {
    const ProcessView* process = snapshot.find(peer.pid);
    list.push_back({{"pid", peer.pid},
                    {"tid", nullptr},
                    {"comm", process ? Json(to_valid_utf8(process->comm.view())) : Json(nullptr)},
                    {"fd", peer.fd < 0 ? Json(nullptr) : Json(peer.fd)}});
  }
  return list;
}

}  // namespace

Json text_or_null(std::string_view bytes) {
  return bytes.empty() ? Json(nullptr) : Json(to_valid_utf8(bytes));
}

Json syscall_or_null(int64_t number, bool compat) {
  return number < 0 ? Json(nullptr) : Json(syscall_name(number, compat));
}

Json syscall_or_null(const ThreadView& thread) {
  return syscall_or_null(thread.syscall, thread.compat);
}

Json exactness_or_null(const ThreadView& thread) {
  return thread.blocked_ns ? Json(to_string(thread.exactness)) : Json(nullptr);
}

DocumentWriter begin_document(const Snapshot& snapshot) {
  DocumentWriter document;
  document.field("schema", 1);
  document.field("as_of", snapshot.wall.format(snapshot.begin_boot_ns));
  document.field("as_of_boottime_ns", snapshot.begin_boot_ns);
  return document;
}

void add_blocked(Json& to, const ThreadView& thread) {
  to["blocked_ns"] = value_or_null(thread.blocked_ns);
  to["blocked_max_ns"] = value_or_null(thread.blocked_max_ns);
  to["exactness"] = exactness_or_null(thread);
  to["syscall"] = syscall_or_null(thread);
}

Json process_identity(const Snapshot& snapshot, const FindingProcess& process) {
  return {{"pid", process.key.tid},
          {"parent_pid", process.parent_pid},
          {"start_time", snapshot.wall.format(process.key.start_boot_ns)},
          {"start_boottime_ns", process.key.start_boot_ns},
          {"comm", to_valid_utf8(process.comm)},
          {"exe", text_or_null(process.exe)},
          {"cgroup", text_or_null(process.cgroup)},
          {"unit", text_or_null(unit_of(process.cgroup))},
          {"container", text_or_null(container_of(process.cgroup))},
          {"uid", process.uid},
          {"kernel", process.kernel}};
}

Json process_identity(const Snapshot& snapshot, const ProcessView& process) {
  return process_identity(snapshot, finding_process(process));
}

Json frames_json(const std::vector<SiteFrame>& frames) {
  Json list = Json::array();
  for (const SiteFrame& frame : frames)
    list.push_back({{"symbol", text_or_null(frame.symbol)},
                    {"module", text_or_null(frame.module)},
                    {"offset", frame.offset},
                    {"file", text_or_null(frame.file)},
                    {"line", frame.line ? Json(frame.line) : Json(nullptr)},
                    {"inlined", frame.inlined}});
  return list;
}

Json resolved_exactness(bool resolved, bool unwatched) {
  return resolved ? Json(to_string(unwatched ? Exactness::estimated : Exactness::exact)) : Json(nullptr);
}

Json routine_json(const SiteFrame& frame, const std::string& callable) {
  return {{"symbol", text_or_null(frame.symbol)},
          {"module", text_or_null(frame.module)},
          {"offset", frame.offset},
          {"callable", text_or_null(callable)}};
}

Json routine_json(const Inspection& inspection, const std::optional<uint32_t>& index) {
  const std::optional<SiteFrame> frame = inspection.routine_frame(index);
  return frame ? routine_json(*frame, inspection.routines[*index].callable) : Json(nullptr);
}

Json wait_json(const Snapshot& snapshot, const Wait& wait, const Json& syscall, const Json& holder_name) {
  // Of a process as a whole, by its leader's number.
  const bool whole = wait.holder.state == HolderState::alive && wait.holder.tid == 0;
  const uint32_t holder_tid = whole ? wait.holder.pid : wait.holder.tid;
  return {{"kind", to_string(wait.kind)},
          {"syscall", syscall},
          {"object", text_or_null(wait.object)},
          {"holder_tid", number_or_null(holder_tid)},
          {"holder_pid", number_or_null(wait.holder.pid)},
          {"holder_name", holder_name},
          {"holder_state", holder_state(wait.holder.state)},
          {"timeout_ns", value_or_null(wait.timeout_ns)},
          {"timeout_left_ns", value_or_null(wait.timeout_left_ns)},
          {"bounded", value_or_null(wait.bounded)},
          {"detail", text_or_null(wait.detail)},
          {"private", value_or_null(wait.is_private)},
          {"fd", wait.fd < 0 ? Json(nullptr) : Json(wait.fd)},
          {"peers", peers_json(snapshot, wait.peers)}};
}

Json wait_json(const Snapshot& snapshot, const Inspection& inspection, const InspectedThread* thread,
               std::optional<uint64_t> blocked_ns) {
  if (!thread || !thread->wait) return nullptr;
  Wait wait = *thread->wait;
  const loiter_thread& record = thread->record;
  std::optional<uint64_t>&length = wait.timeout_ns, &left = wait.timeout_left_ns;
  if (left) {  // as of the snapshot, whose ages stand beside it
    uint64_t deadline = *left + inspection.mono_ns;
    left = deadline > snapshot.begin_mono_ns ? deadline - snapshot.begin_mono_ns : 0;
  }
  if (length && !left && blocked_ns) left = *length - std::min(*length, *blocked_ns);
  if (left && !length && blocked_ns) length = *left + *blocked_ns;
  const bool in_syscall = (record.marks & LOITER_MARK_REGS) && record.regs.syscall >= 0;
  return wait_json(snapshot, wait,
                   syscall_or_null(in_syscall ? record.regs.syscall : -1, record.marks & LOITER_MARK_COMPAT),
                   holder_name(snapshot, inspection, wait.holder));
}

}  // namespace loiter
