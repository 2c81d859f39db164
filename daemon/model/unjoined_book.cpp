#include "daemon/model/unjoined_book.h"

#include <algorithm>
#include <utility>

namespace loiter {
namespace {

// The ends that were seen, by thread descriptor: of several threads that had one, the last.
std::unordered_map<uint64_t, const EndedThread*> ends_of(const Snapshot& snapshot, const TaskKey& process) {
  std::unordered_map<uint64_t, const EndedThread*> ends;
  for (const EndedThread& thread : snapshot.ended)
    if (thread.tgid == process.tid && thread.process_start_boot_ns == process.start_boot_ns &&
        thread.tls_base != 0)
      ends[thread.tls_base] = &thread;
  return ends;
}

uint32_t index_of(std::vector<UnjoinedRoutine>& routines, UnjoinedRoutine routine) {
  const auto found = std::find(routines.begin(), routines.end(), routine);
  if (found != routines.end()) return static_cast<uint32_t>(found - routines.begin());
  routines.push_back(std::move(routine));
  return static_cast<uint32_t>(routines.size() - 1);
}

UnjoinedRoutine routine_of(const Inspection& inspection, std::optional<uint32_t> index) {
  std::optional<SiteFrame> frame = inspection.routine_frame(index);
  if (!frame) return {};
  return {.frame = std::move(*frame), .callable = inspection.routines[*index].callable};
}

// Of those that wait in pthread_join(), since when the last one does. Nothing unless each join is seen.
std::optional<uint64_t> joins_since(const Inspection& inspection, const Snapshot& snapshot,
                                    uint64_t joining) {
  const ProcessView* process = snapshot.find(inspection.pid);
  if (!process || process->key.start_boot_ns != inspection.start_boot_ns) return std::nullopt;
  uint64_t last = 0;
  uint64_t seen = 0;
  for (const ThreadView& thread : process->threads) {
    const InspectedThread* inspected = inspection.find(thread.key.tid);
    if (!inspected || !inspected->blocked || !inspected->wait || inspected->wait->kind != WaitKind::join)
      continue;
    if (!thread.blocked_ns) return std::nullopt;
    ++seen;
    last = std::max(last, snapshot.begin_boot_ns - std::min(snapshot.begin_boot_ns, *thread.blocked_ns));
  }
  return seen >= joining ? std::optional(last) : std::nullopt;
}

void order(std::vector<UnjoinedMember>& threads) {
  std::sort(threads.begin(), threads.end(), [](const UnjoinedMember& a, const UnjoinedMember& b) {
    return a.thread_pointer < b.thread_pointer;
  });
}

// The same threads as before have been there since before.
void keep_dates(const std::vector<UnjoinedMember>& before, std::vector<UnjoinedMember>& now) {
  for (UnjoinedMember& thread : now) {
    if (thread.task.tid != 0) continue;
    const auto known = std::lower_bound(
        before.begin(), before.end(), thread.thread_pointer,
        [](const UnjoinedMember& member, uint64_t wanted) { return member.thread_pointer < wanted; });
    if (known == before.end() || known->thread_pointer != thread.thread_pointer) continue;
    thread.since_boot_ns = known->since_boot_ns;
    thread.task = known->task;
  }
}

}  // namespace

std::optional<UnjoinedProcess> unjoined_of(const Inspection& inspection, const Snapshot& snapshot) {
  if (!inspection.pthreads) return std::nullopt;
  UnjoinedProcess made;
  made.process = {inspection.pid, inspection.start_boot_ns};
  made.told_boot_ns = snapshot.begin_boot_ns;
  made.joining = inspection.pthreads->joining;
  if (made.joining > 0) made.joins_since_boot_ns = joins_since(inspection, snapshot, made.joining);
  std::unordered_map<uint64_t, const EndedThread*> ends;
  if (!inspection.pthreads->unjoined.empty()) ends = ends_of(snapshot, made.process);
  std::unordered_map<uint32_t, uint32_t> routines;  // of the inspection, and ours
  for (const UnjoinedThread& thread : inspection.pthreads->unjoined) {
    UnjoinedMember member{.thread_pointer = thread.thread_pointer, .since_boot_ns = made.told_boot_ns};
    const auto [known, added] = routines.try_emplace(thread.routine.value_or(UINT32_MAX), 0);
    if (added) known->second = index_of(made.routines, routine_of(inspection, thread.routine));
    member.routine = known->second;
    // The program's own stacks are no cost of the missing join.
    member.stack_bytes = thread.user_stack ? 0 : thread.stack_bytes;
    if (auto end = ends.find(thread.thread_pointer); end != ends.end()) {
      member.task = end->second->key;
      member.since_boot_ns = end->second->ended_boot_ns;
    }
    made.threads.push_back(member);
  }
  order(made.threads);
  return made;
}

UnjoinedProcess unjoined_of(const PthreadsView& view, const Snapshot& snapshot) {
  UnjoinedProcess made;
  made.process = view.process;
  made.by_probes = true;
  made.told_boot_ns = snapshot.begin_boot_ns;
  for (const Pthread& thread : view.live) {
    if (!thread.joined_boot_ns || thread.join_returned_boot_ns) continue;
    ++made.joining;
    made.joins_since_boot_ns = std::max(made.joins_since_boot_ns.value_or(0), *thread.joined_boot_ns);
  }
  std::unordered_map<uint64_t, uint32_t> routines;  // by address
  for (const Pthread& thread : view.unjoined) {
    const auto [known, added] = routines.try_emplace(thread.routine, made.routines.size());
    if (added) {
      made.routines.emplace_back();
      made.routines.back().frame.offset = thread.routine;
    }
    made.threads.push_back({.thread_pointer = thread.id,
                            .routine = known->second,
                            .task = thread.task,
                            .since_boot_ns = thread.ended_boot_ns.value_or(made.told_boot_ns)});
  }
  order(made.threads);
  return made;
}

void UnjoinedBook::take(const Inspection& inspection, const Snapshot& snapshot) {
  std::optional<UnjoinedProcess> made = unjoined_of(inspection, snapshot);
  if (!made) return;
  if (UnjoinedProcess* to = room_for(made->process)) put(*to, std::move(*made));
}

void UnjoinedBook::take(const PthreadsView& view, const Snapshot& snapshot) {
  const UnjoinedProcess* known = find(view.process);
  if (known && !known->by_probes) return;
  if (UnjoinedProcess* to = room_for(view.process)) put(*to, unjoined_of(view, snapshot));
}

UnjoinedProcess* UnjoinedBook::room_for(const TaskKey& process) {
  auto found = processes_.find(process.tid);
  if (found != processes_.end() && found->second.process == process) return &found->second;
  if (found == processes_.end() && processes_.size() >= kMostProcesses) return nullptr;
  UnjoinedProcess& entry = processes_[process.tid];
  thread_count_ -= entry.threads.size();
  entry = {};
  entry.process = process;
  return &entry;
}

void UnjoinedBook::put(UnjoinedProcess& to, UnjoinedProcess made) {
  thread_count_ -= to.threads.size();
  if (to.by_probes == made.by_probes) keep_dates(to.threads, made.threads);
  const size_t room = kMostThreads - std::min(kMostThreads, thread_count_);
  if (made.threads.size() > room) {
    made.left_out = made.threads.size() - room;
    made.threads.resize(room);
  }
  thread_count_ += made.threads.size();
  to = std::move(made);
}

void UnjoinedBook::expire(const Snapshot& snapshot) {
  std::erase_if(processes_, [&](const auto& entry) {
    const ProcessView* process = snapshot.find(entry.first);
    if (process && !process->ended_boot_ns && process->key == entry.second.process) return false;
    thread_count_ -= entry.second.threads.size();
    return true;
  });
}

const UnjoinedProcess* UnjoinedBook::find(const TaskKey& process) const {
  auto found = processes_.find(process.tid);
  return found != processes_.end() && found->second.process == process ? &found->second : nullptr;
}

}  // namespace loiter
