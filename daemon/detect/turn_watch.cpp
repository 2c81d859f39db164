#include "daemon/detect/turn_watch.h"

#include <algorithm>
#include <unordered_set>

#include "daemon/model/syscalls.h"

namespace loiter {
namespace {

bool is_in_poll(const ThreadView& thread) {
  return thread.polls || (thread.state == TaskState::sleeping && thread.syscall >= 0 &&
                          is_poll_call(thread.syscall, thread.compat));
}

// Threads that others waited on when they were looked at, by pid: some have run since, and stand at the end
// of no chain then.
using Holders = std::unordered_map<uint32_t, std::unordered_set<uint32_t>>;
Holders holders_of(const HostCase& host) {
  Holders holders;
  for (const CaseThread& waiter : host.threads())
    if (const WaitEdge* edge = waiter.seen.edge; edge && edge->to_tid)
      holders[edge->to_pid].insert(edge->to_tid);
  return holders;
}

}  // namespace

bool waits_for_clients(const CaseThread& thread) {
  if (const Wait* wait = thread.wait()) return wait->kind == WaitKind::accept || wait->kind == WaitKind::poll;
  return is_in_poll(*thread.thread);
}

TurnWatch::Seen* TurnWatch::entry_of(const ProcessView& process, const ThreadView& thread, uint64_t boot_ns) {
  auto known = seen_.find(thread.key);
  if (known == seen_.end()) {
    if (seen_.size() >= kMost) return nullptr;
    known = seen_.try_emplace(thread.key).first;
    known->second.pid = process.key.tid;
  }
  known->second.boot_ns = boot_ns;
  return &known->second;
}

void TurnWatch::note_poll(const ProcessView& process, const ThreadView& thread, uint64_t boot_ns) {
  Seen* seen = entry_of(process, thread, boot_ns);
  if (!seen) return;
  seen->polled_boot_ns = boot_ns;
  seen->interrupted = 0;
}

void TurnWatch::note_interrupted(const ProcessView& process, const ThreadView& thread, uint64_t boot_ns) {
  Seen* seen = entry_of(process, thread, boot_ns);
  if (!seen || (seen->interrupted && seen->cpu_ns == thread.cpu_ns)) return;  // the same once more
  seen->cpu_ns = thread.cpu_ns;
  seen->ran_boot_ns = boot_ns;
  ++seen->interrupted;
}

void TurnWatch::see(const HostCase& host) {
  const Snapshot& snapshot = host.snapshot();
  const uint64_t now = snapshot.begin_boot_ns;
  const uint64_t longest_ns = longest_turn_ns(host.thresholds());
  std::erase_if(seen_, [&](const auto& entry) {
    const ProcessView* process = snapshot.find(entry.second.pid);
    return !process || process->ended_boot_ns || now - std::min(now, entry.second.boot_ns) > longest_ns;
  });
  const Holders holders = holders_of(host);
  for (const ProcessView& process : snapshot.processes) {
    if (process.ended_boot_ns) continue;
    const auto wanted = holders.find(process.key.tid);
    for (const ThreadView& thread : process.threads) {
      const bool is_holder = wanted != holders.end() && wanted->second.contains(thread.key.tid);
      if (thread.polls || (is_holder && is_in_poll(thread)))
        note_poll(process, thread, now);
      else if (is_holder && thread.state == TaskState::runnable)
        note_interrupted(process, thread, now);
    }
  }
  for (const WaitRoot& root : host.roots()) {
    const CaseThread& at = host.threads()[root.root];
    if (root.cycle.empty() && waits_for_clients(at)) note_poll(*at.process, *at.thread, now);
  }
}

uint64_t TurnWatch::longest_turn_ns(const Thresholds& thresholds) {
  return std::max(kShortNs, kMostThresholds * std::min(thresholds.stuck_ns, UINT64_MAX / kMostThresholds));
}

bool TurnWatch::may_take_turns(const HostCase& host, const CaseThread& root, const CaseThread& waiter) const {
  if (&root == &waiter) return false;
  const auto known = seen_.find(root.thread->key);
  const Seen seen = known == seen_.end() ? Seen{} : known->second;
  const uint64_t now = host.snapshot().begin_boot_ns;
  if (root.thread->state == TaskState::runnable && seen.interrupted < kLeastInterrupted) {
    const uint64_t stands_ns = seen.interrupted ? now - std::min(now, seen.ran_boot_ns) : 0;
    if (stands_ns < std::max(host.thresholds().stuck_ns, kShortNs)) return true;  // else it is held up itself
  }
  if (seen.polled_boot_ns == 0) return false;
  const uint64_t age = now - std::min(now, seen.polled_boot_ns);
  return age <= std::max(waiter.thread->blocked_ns.value_or(0), kShortNs) &&
         age <= longest_turn_ns(host.thresholds());
}

}  // namespace loiter
