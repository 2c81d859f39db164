// The model's half that listens: what one event changes.
#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/model/host_entries.h"
#include "daemon/model/host_model.h"

namespace loiter {

void HostModel::apply(Event& event, std::string& old_name) {
  old_name.clear();
  switch (event.type) {
    case LOITER_EVENT_BIRTH:
      return on_birth(event);
    case LOITER_EVENT_EXEC:
      return on_exec(event);
    case LOITER_EVENT_EXIT:
      return on_exit(event);
    case LOITER_EVENT_RENAME:
      return on_rename(event, old_name);
    case LOITER_EVENT_PTHREAD:  // for PthreadBook
      return;
  }
}

namespace {

SiteGap gap_of(loiter_slice_state state) {
  switch (state) {
    case LOITER_SLICE_TAKEN:
      return SiteGap::pending;
    case LOITER_SLICE_RATE:
      return SiteGap::rate_limited;
    case LOITER_SLICE_NO_SLOT:
      return SiteGap::no_slot;
    case LOITER_SLICE_UNREADABLE:
      return SiteGap::unreadable;
    case LOITER_SLICE_NO_USER_CODE:
      return SiteGap::no_user_code;
    default:
      return SiteGap::not_supported;
  }
}

}  // namespace

void HostModel::on_birth(const Event& event) {
  ++events_.born;
  Thread* thread = find(event.task);
  const bool was_known = thread != nullptr;
  if (!thread) {
    // Its end overtook its birth in the ring.
    if (superseded(event.task) || ended_lately_.contains(key_of(event.task)))
      return count_birth_of_unkept(event);
    thread = insert(event.task, event.boot_ns);
    if (!thread) {  // counted by the next census as well
      if (event.task.tid != event.task.tgid && processes_.contains(event.task.tgid))
        origins_.add_untracked(event.task.tgid, event.boot_ns);
      return;
    }
    thread->name = to_comm(event.name);
    if (event.task.tid == event.task.tgid) {
      Process& process = process_of(event.task);
      process.parent_pid = event.parent_tgid;
      process.kernel = event.task_flags & kPfKthread;
    }
  }
  if (std::exchange(thread->added_by_census, false)) --repairs_.added;  // the event was only late
  thread->creator = {event.creator.tid, event.creator.start_boot_ns};
  thread->creator_tgid = event.creator.tgid;
  thread->born_event_boot_ns = event.boot_ns;
  thread->tls_base = event.tls_base;
  ++process_of(event.task).born;
  if (!thread->is_leader()) count_birth(event, *thread, was_known);
}

void HostModel::count_birth(const Event& event, Thread& thread, bool was_known) {
  const SiteGap gap = gap_of(event.slice_state);
  const uint32_t pid = event.task.tgid;
  thread.origin = was_known
                      ? origins_.tell_late(pid, thread.key(), thread.origin, thread.creator, event.name,
                                           event.boot_ns, gap)
                      : origins_.add_birth(pid, thread.key(), thread.creator, event.name, event.boot_ns, gap);
}

// A birth told after its thread's end. A census may have found the thread in between; else neither has been
// counted.
void HostModel::count_birth_of_unkept(const Event& event) {
  const uint32_t pid = event.task.tgid;
  const TaskKey key = key_of(event.task), creator{event.creator.tid, event.creator.start_boot_ns};
  if (event.task.tid == pid || !processes_.contains(pid)) return;
  const SiteGap gap = gap_of(event.slice_state);
  std::optional<uint64_t> lifetime_ns;
  if (auto ended = ended_lately_.find(key); ended != ended_lately_.end())
    lifetime_ns = ended->second - std::min(ended->second, key.start_boot_ns);
  if (EndedThread* ended = ended_.find(key)) {
    ended->origin = origins_.tell_late(pid, key, ended->origin, creator, event.name, event.boot_ns, gap);
    origins_.tell_ended(pid, key, lifetime_ns);
    return;
  }
  const OriginBook::Mark mark = origins_.add_birth(pid, key, creator, event.name, event.boot_ns, gap);
  origins_.add_end(pid, key, mark, event.boot_ns, lifetime_ns);
}

// A thread other than the leader has taken the leader's tid and start time with it; the leader's own end
// was told before, and so were those of the siblings.
void HostModel::on_exec(const Event& event) {
  ++events_.execs;
  uint32_t pid = event.task.tgid;
  if (superseded(event.task)) return;
  Thread* leader = find(event.task);
  if (leader && event.task.exec_id < leader->id.exec_id) return;  // a census has seen a later one
  if (!leader) leader = insert(event.task, event.boot_ns);
  if (!leader) return;
  if (event.boot_ns < begin_.boot_ns) mistold_ = true;
  leader->ended_boot_ns = 0;
  leader->state = TaskState::running;
  leader->id.exec_id = event.task.exec_id;
  leader->exec_boot_ns = event.boot_ns;
  leader->name = to_comm(event.name);
  leader->named_boot_ns = event.boot_ns;
  leader->wait.reset();
  Process& process = process_of(event.task);
  process.exec_id = event.task.exec_id;
  process.exe = event.filename;
  process.details_loaded = false;
  if (process.live <= 1) return;
  std::vector<uint32_t> siblings;  // not those that a census has seen already and the new program made
  for (const auto& [tid, thread] : threads_)
    if (thread.id.tgid == pid && tid != pid && thread.id.start_boot_ns < event.boot_ns)
      siblings.push_back(tid);
  for (uint32_t tid : siblings) {
    bool is_caller = tid == event.old_tid;
    if (is_caller) {  // it takes its CPU time with it, and the old leader leaves its own behind
      process.cpu_ended_ns += leader->cpu_ns - threads_[tid].cpu_ns;
      leader->cpu_ns = threads_[tid].cpu_ns;
    }
    retire(tid, event.boot_ns, is_caller ? Exactness::exact : Exactness::estimated);
  }
}

void HostModel::on_exit(Event& event) {
  ++events_.ended;
  Thread* thread = find(event.task);
  if (!thread) {
    note_end(key_of(event.task), event.boot_ns);
    if (EndedThread* ended = ended_.find(key_of(event.task))) {
      event.name = ended->name.view();
      ended->ended_boot_ns = event.boot_ns;
      // It was only late: a record before it in the ring was not finished yet.
      if (std::exchange(ended->exactness, Exactness::exact) == Exactness::estimated && repairs_.removed > 0)
        --repairs_.removed;
    }
    return;
  }
  event.name = thread->name.view();
  if (event.task.exec_id < thread->id.exec_id) return;  // the leader that an exec has replaced since
  thread->id.exec_id = event.task.exec_id;
  thread->cpu_ns = event.cpu_ns;
  thread->ended_boot_ns = event.boot_ns;
  thread->wait.reset();
  ++process_of(event.task).ended;
  // A leader keeps its tid until the last thread has ended and the parent has looked: the next census tells.
  if (event.task.tid == event.task.tgid)
    thread->state = TaskState::zombie;
  else
    retire(event.task.tid, event.boot_ns, Exactness::exact);
}

void HostModel::on_rename(const Event& event, std::string& old_name) {
  ++events_.renames;
  Thread* thread = find(event.task);
  if (!thread || event.boot_ns < begin_.boot_ns) mistold_ = true;  // no name to change, or a later one lost
  if (!thread) return;
  old_name = thread->name.view();
  thread->name = to_comm(event.name);
  thread->named_boot_ns = event.boot_ns;
}

}  // namespace loiter
