#include "daemon/model/host_model.h"

#include <string.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "daemon/model/host_entries.h"

namespace loiter {

HostModel::HostModel(const Limits& limits, DetailsSource details)
    : limits_(limits), details_(std::move(details)), ended_(limits.max_ended, limits.keep_ended_ns) {}

HostModel::~HostModel() = default;

// --- threads and processes come and go -------------------------------------------------------------

HostModel::Process& HostModel::process_of(const loiter_task_id& id) {
  auto [at, made] = processes_.try_emplace(id.tgid);
  Process& process = at->second;
  if (made) process.key.tid = id.tgid;
  return process;
}

HostModel::Thread* HostModel::find(const loiter_task_id& id) {
  auto found = threads_.find(id.tid);
  if (found == threads_.end() || found->second.id.start_boot_ns != id.start_boot_ns) return nullptr;
  return &found->second;
}

// Whether another thread is known to have had this tid after it: what is told of it comes too late.
bool HostModel::superseded(const loiter_task_id& id) const {
  auto found = threads_.find(id.tid);
  return found != threads_.end() && found->second.id.start_boot_ns > id.start_boot_ns;
}

// Takes in a thread that is not known and not superseded: whatever else has its tid, or its pid, ended
// unseen before `boot_ns`. Null: there are too many already.
HostModel::Thread* HostModel::insert(const loiter_task_id& id, uint64_t boot_ns) {
  if (id.tid == id.tgid) end_predecessor(id.tgid, id.start_boot_ns);
  end_unseen(id.tid, boot_ns);
  if (threads_.size() >= limits_.max_threads) return nullptr;
  ended_.remove(key_of(id));
  Process& process = process_of(id);
  if (id.tid == id.tgid) {
    process.key.start_boot_ns = id.start_boot_ns;
    process.exec_id = id.exec_id;
  }
  ++process.live;
  Thread& thread = threads_[id.tid];
  thread.id = id;
  return &thread;
}

void HostModel::retire(uint32_t tid, uint64_t ended_boot_ns, Exactness exactness) {
  auto at = threads_.find(tid);
  if (at == threads_.end()) return;
  const Thread& thread = at->second;
  Process& process = process_of(thread.id);
  if (thread.ended_boot_ns != 0) {  // its end was seen, only its tid lived on
    ended_boot_ns = thread.ended_boot_ns;
    exactness = Exactness::exact;
  }
  process.last_end_boot_ns = std::max(process.last_end_boot_ns, ended_boot_ns);
  if (!thread.is_leader()) {
    std::optional<uint64_t> lifetime_ns;
    if (exactness == Exactness::exact) lifetime_ns = ended_boot_ns - thread.id.start_boot_ns;
    origins_.add_end(thread.id.tgid, thread.key(), thread.origin, ended_boot_ns, lifetime_ns);
  }
  if (thread.is_leader()) process.comm = thread.name;
  note_end(thread.key(), ended_boot_ns);
  ended_.add({.key = thread.key(),
              .tgid = thread.id.tgid,
              .process_start_boot_ns = process.key.start_boot_ns,
              .creator = thread.creator_in_process(),
              .name = thread.name,
              .ended_boot_ns = ended_boot_ns,
              .exactness = exactness,
              .cpu_ns = thread.cpu_ns,
              .tls_base = thread.tls_base,
              .origin = thread.origin});
  process.cpu_ended_ns += thread.cpu_ns;
  threads_.erase(at);
  if (--process.live == 0) end_process(process);
}

// A thread whose end no event has told.
void HostModel::end_unseen(uint32_t tid, uint64_t boot_ns) {
  auto at = threads_.find(tid);
  if (at == threads_.end()) return;
  if (at->second.ended_boot_ns == 0) ++repairs_.removed;
  retire(tid, boot_ns, Exactness::estimated);
}

// Bounded also where no census succeeds any more.
void HostModel::note_end(const TaskKey& key, uint64_t ended_boot_ns) {
  if (ended_lately_.size() < limits_.max_threads) ended_lately_[key] = ended_boot_ns;
}

void HostModel::end_process(Process& process) {
  ProcessView view = view_of(process);
  view.ended_boot_ns = process.last_end_boot_ns;
  view.cpu_ns = process.cpu_ended_ns;
  uint32_t pid = process.key.tid;
  ended_.add_process(std::move(view));
  origins_.end_process(pid);
  processes_.erase(pid);
}

void HostModel::accept(const FoundOrigin& found) {
  auto process = processes_.find(found.task.tgid);
  if (process == processes_.end()) return;
  const bool same_program = found.looked_boot_ns >= process->second.key.start_boot_ns &&
                            found.task.exec_id == process->second.exec_id;
  std::optional<OriginBook::Mark> mark = origins_.accept(found, same_program);
  if (!mark) return;
  if (Thread* thread = find(found.task))
    thread->origin = *mark;
  else if (EndedThread* ended = ended_.find(key_of(found.task)))
    ended->origin = *mark;
}

// Another process, begun at `start_boot_ns`, has this pid now: what is still kept of an older one has ended
// unseen. Threads of the new one may be known already, since tids wrap around.
void HostModel::end_predecessor(uint32_t pid, uint64_t start_boot_ns) {
  auto old = processes_.find(pid);
  if (old == processes_.end() || old->second.key.start_boot_ns == 0 ||
      old->second.key.start_boot_ns == start_boot_ns)
    return;
  std::vector<uint32_t> tids;
  for (const auto& [tid, thread] : threads_)
    if (thread.id.tgid == pid && thread.id.start_boot_ns < start_boot_ns) tids.push_back(tid);
  for (uint32_t tid : tids) end_unseen(tid, start_boot_ns);
  old = processes_.find(pid);
  if (old == processes_.end()) return;
  size_t live = old->second.live;
  end_process(old->second);
  Process& process = processes_[pid];
  process.key.tid = pid;
  process.live = live;
  // Their births were counted with the old one's.
  for (auto& [tid, thread] : threads_)
    if (thread.id.tgid == pid && !thread.is_leader())
      thread.origin = origins_.add_found(pid, thread.key(), start_boot_ns, false);
}

}  // namespace loiter
