#include "daemon/detect/turn_watch.h"

#include "daemon/model/syscalls.h"

namespace loiter {
bool waits_for_clients(const CaseThread& thread) {
  if (const Wait* wait = thread.wait()) return wait->kind == WaitKind::accept || wait->kind == WaitKind::poll;
  const ThreadView& view = *thread.thread;
  return view.state == TaskState::sleeping && view.syscall >= 0 && is_poll_call(view.syscall, view.compat);
}

void TurnWatch::see(const HostCase& host) {
  const Snapshot& snapshot = host.snapshot();
  std::erase_if(polled_boot_ns_, [&](const auto& entry) {
    const ProcessView* process = snapshot.find(entry.second.pid);
    return !process || process->ended_boot_ns;
  });
  for (const WaitRoot& root : host.roots()) {
    const CaseThread& at = host.threads()[root.root];
    if (!root.cycle.empty() || !waits_for_clients(at)) continue;
    const TaskKey& key = at.thread->key;
    auto known = polled_boot_ns_.find(key);
    if (known != polled_boot_ns_.end())
      known->second.boot_ns = snapshot.begin_boot_ns;
    else if (polled_boot_ns_.size() < kMost)
      polled_boot_ns_[key] = {at.process->key.tid, snapshot.begin_boot_ns};
  }
}

bool TurnWatch::took_turns(const HostCase& host, const CaseThread& root, const CaseThread& waiter) const {
  const auto known = polled_boot_ns_.find(root.thread->key);
  return known != polled_boot_ns_.end() && &root != &waiter &&
         known->second.boot_ns + waiter.thread->blocked_ns.value_or(0) >= host.snapshot().begin_boot_ns;
}

}  // namespace loiter
