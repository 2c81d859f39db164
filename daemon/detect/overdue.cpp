#include "daemon/detect/overdue.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>

#include "daemon/base/duration.h"
#include "daemon/model/syscalls.h"

namespace loiter {

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::info:
      return "info";
    case Severity::warning:
      return "warning";
    case Severity::critical:
      return "critical";
  }
  return "info";
}

const char* to_string(Certainty certainty) {
  switch (certainty) {
    case Certainty::possible:
      return "possible";
    case Certainty::likely:
      return "likely";
    case Certainty::proven:
      return "proven";
  }
  return "possible";
}

namespace {

void for_each_thread(const Snapshot& snapshot, std::optional<uint32_t> pid,
                     const std::function<void(const ProcessView&, const ThreadView&)>& visit) {
  for (const ProcessView& process : snapshot.processes) {
    if (pid && process.key.tid != *pid) continue;
    for (const ThreadView& thread : process.threads) visit(process, thread);
  }
}

// Start times do not change when the daemon restarts, so neither does the id.
std::string stable_id(const char* kind, const ProcessView& process, const ThreadView& thread) {
  std::array<char, 96> text;
  int length = snprintf(text.data(), text.size(), "%s-%u-%llx-%u-%llx", kind, process.key.tid,
                        static_cast<unsigned long long>(process.key.start_boot_ns), thread.key.tid,
                        static_cast<unsigned long long>(thread.key.start_boot_ns));
  return {text.data(), static_cast<size_t>(length)};
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
    findings.push_back(
        {.id = stable_id("overdue", *item.process, *item.thread),
         .kind = "overdue",
         .severity = Severity::warning,
         .certainty = Certainty::proven,
         .process = item.process,
         .threads = {item.thread},
         .threshold_ns = threshold_ns,
         .summary = summary_of(*item.process, *item.thread),
         .hint = "if this thread is meant to wait so long, raise --threshold or leave --strict out"});
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
