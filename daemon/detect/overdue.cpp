#include "daemon/detect/overdue.h"

#include <algorithm>
#include <functional>

#include "daemon/base/duration.h"
#include "daemon/detect/case.h"
#include "daemon/model/syscalls.h"

namespace loiter {

namespace {

void for_each_thread(const Snapshot& snapshot, std::optional<uint32_t> pid,
                     const std::function<void(const ProcessView&, const ThreadView&)>& visit) {
  for (const ProcessView& process : snapshot.processes) {
    if (pid && process.key.tid != *pid) continue;
    for (const ThreadView& thread : process.threads) visit(process, thread);
  }
}

std::string summary_of(const ProcessView& process, const ThreadView& thread) {
  std::string text = "thread " + std::to_string(thread.key.tid) + " (" + std::string(thread.name.view()) +
                     ") of process " + std::to_string(process.key.tid) + " (" +
                     std::string(process.comm.view()) + ") has been " + to_string(thread.state) + " for " +
                     format_duration(*thread.blocked_ns);
  if (thread.syscall >= 0) text += " in " + syscall_name(thread.syscall, thread.compat);
  return text;
}

}  // namespace

bool is_overdue(const ProcessView& process, const ThreadView& thread, uint64_t threshold_ns) {
  if (!thread.blocked_ns || *thread.blocked_ns < threshold_ns) return false;
  return !process.kernel || thread.state == TaskState::uninterruptible;
}

std::vector<OverdueThread> find_overdue(const Snapshot& snapshot, uint64_t threshold_ns,
                                        std::optional<uint32_t> pid) {
  std::vector<OverdueThread> found;
  for_each_thread(snapshot, pid, [&](const ProcessView& process, const ThreadView& thread) {
    if (is_overdue(process, thread, threshold_ns)) found.push_back({&process, &thread});
  });
  std::stable_sort(found.begin(), found.end(), [](const OverdueThread& a, const OverdueThread& b) {
    return *a.thread->blocked_ns > *b.thread->blocked_ns;
  });
  return found;
}

std::vector<Finding> overdue_findings(const std::vector<OverdueThread>& overdue, uint64_t threshold_ns) {
  std::vector<Finding> findings;
  findings.reserve(overdue.size());
  for (const OverdueThread& item : overdue) {
    Finding& finding = findings.emplace_back();
    finding.id = finding_id(FindingKind::overdue, item.process->key, {item.thread->key});
    finding.kind = FindingKind::overdue;
    finding.severity = Severity::warning;
    finding.certainty = Certainty::proven;
    finding.process = finding_process(*item.process);
    finding.count = 1;
    finding.threads.push_back(finding_thread(*item.process, *item.thread));
    finding.evidence = {{"threshold_ns", threshold_ns},
                        {"voluntary_switches", item.thread->voluntary_switches},
                        {"involuntary_switches", item.thread->involuntary_switches}};
    finding.summary = summary_of(*item.process, *item.thread);
    finding.hint = "if this thread is meant to wait so long, raise --threshold or leave --strict out";
  }
  return findings;
}

size_t count_undated(const Snapshot& snapshot, uint64_t threshold_ns, std::optional<uint32_t> pid) {
  size_t count = 0;
  for_each_thread(snapshot, pid, [&](const ProcessView& process, const ThreadView& thread) {
    const bool lived = thread.key.start_boot_ns + threshold_ns <= snapshot.begin_boot_ns;
    bool could_be = lived && (!thread.blocked_max_ns || *thread.blocked_max_ns >= threshold_ns);
    if (!process.kernel && thread.blocked_ns && thread.exactness == Exactness::lower_bound && could_be &&
        *thread.blocked_ns < threshold_ns)
      ++count;
  });
  return count;
}

}  // namespace loiter
