#include "daemon/detect/orphan.h"

#include <algorithm>
#include <map>

#include "daemon/base/duration.h"
#include "daemon/detect/phrases.h"

namespace loiter {
namespace {

bool is_orphan(const CaseThread& thread) {
  const WaitEdge* edge = thread.seen.edge;
  if (!edge || !thread.wait() || edge->to_pid != 0) return false;
  return edge->end == ChainEnd::holder_ended || edge->end == ChainEnd::inherited ||
         edge->end == ChainEnd::only_itself;
}

// The owner's end, as the log of ended threads has it.
const EndedThread* end_of(const Snapshot& snapshot, const Holder& holder) {
  for (auto ended = snapshot.ended.rbegin(); ended != snapshot.ended.rend(); ++ended)
    if (ended->key.tid == holder.tid && (holder.pid == 0 || ended->tgid == holder.pid)) return &*ended;
  return nullptr;
}

struct Orphan {
  size_t first = 0;             // who waits longest for it
  std::vector<size_t> direct;   // who wait for it themselves
  std::vector<size_t> waiters;  // and who wait on those
};

Certainty certainty_of(const HostCase& host, const CaseThread& first) {
  if (first.wait()->bounded != false) return Certainty::likely;
  const Holder& holder = first.wait()->holder;
  if (first.wait()->only_itself) return Certainty::likely;
  if (holder.state == HolderState::inherited)
    return first.process->parent_pid && holder.tid ? Certainty::proven : Certainty::likely;
  return end_of(host.snapshot(), holder) ? Certainty::proven : Certainty::likely;
}

std::string summary_of(const HostCase& host, const CaseThread& first) {
  const Holder& holder = first.wait()->holder;
  if (first.wait()->only_itself)
    return name_of(first) + " " + doing_phrase(first) +
           ", whose other end nobody but it has: no other thread and no signal handler could write there";
  std::string text = name_of(first) + " waits for " + wait_phrase(first);
  const std::string owner = holder.tid ? std::to_string(holder.tid) : "a thread";
  if (holder.state == HolderState::inherited)
    return text + ", which " + owner +
           " of the parent process held when it forked: no one here can give it back";
  const EndedThread* end = end_of(host.snapshot(), holder);
  text += ", whose owner " + owner;
  if (end && !end->name.view().empty()) text += " (" + std::string(end->name.view()) + ")";
  if (end && end->ended_boot_ns <= host.snapshot().begin_boot_ns)
    return text + " ended " + format_duration(host.snapshot().begin_boot_ns - end->ended_boot_ns) +
           " ago without giving it back";
  return text + " has ended without giving it back";
}

const char* hint_of(const Wait& wait) {
  if (wait.only_itself)
    return "close the end of the pipe that is not used, right after the fork: else its own end never comes";
  if (wait.holder.state == HolderState::inherited)
    return "after fork() in a program with threads, call only exec and async-signal-safe functions, or take "
           "the "
           "locks in pthread_atfork handlers; this process must be ended";
  return "a thread must give back its locks before it ends (or make them robust: PTHREAD_MUTEX_ROBUST); the "
         "process must be restarted";
}

const char* state_of_holder(const Wait& wait) {
  if (wait.only_itself) return "only_itself";
  return wait.holder.state == HolderState::inherited ? "inherited" : "ended";
}

Finding finding_of(const HostCase& host, const Orphan& orphan) {
  const CaseThread& first = host.threads()[orphan.first];
  const Holder& holder = first.wait()->holder;
  Finding finding{.id = finding_id(FindingKind::orphan, first.process->key, {}, first.wait()->object),
                  .kind = FindingKind::orphan,
                  .severity = Severity::critical,
                  .certainty = certainty_of(host, first),
                  .process = finding_process(*first.process)};
  finding.threads.push_back(finding_thread(first));
  finding.threads.back().via = "lock";
  finding.chain = 1;
  add_threads(finding, host, orphan.direct);
  add_threads(finding, host, orphan.waiters);
  finding.count = orphan.direct.size() + orphan.waiters.size() + 1;
  if (first.thread->blocked_ns)
    finding.since_boot_ns = host.snapshot().begin_boot_ns - *first.thread->blocked_ns;
  finding.evidence = {{"holder_tid", uint64_t{holder.tid}},
                      {"holder_pid", uint64_t{holder.pid}},
                      {"holder_state", std::string(state_of_holder(*first.wait()))}};
  if (const EndedThread* end = end_of(host.snapshot(), holder))
    finding.evidence.push_back({"holder_ended_boottime_ns", end->ended_boot_ns});
  finding.summary = summary_of(host, first);
  if (finding.count > 1)
    finding.summary += "; " + counted(finding.count - 1, "more waits", "more wait") + " with it";
  finding.hint = hint_of(*first.wait());
  return finding;
}

}  // namespace

std::vector<Finding> find_orphans(const HostCase& host) {
  std::map<std::pair<uint32_t, std::string>, Orphan> orphans;  // by process and lock
  for (size_t i = 0; i < host.threads().size(); ++i) {
    const CaseThread& thread = host.threads()[i];
    if (!is_orphan(thread)) continue;
    auto [entry, added] = orphans.try_emplace({thread.process->key.tid, thread.wait()->object});
    Orphan& orphan = entry->second;
    if (added) {
      orphan.first = i;
      continue;
    }
    const uint64_t age = thread.thread->blocked_ns.value_or(0);
    const uint64_t first_age = host.threads()[orphan.first].thread->blocked_ns.value_or(0);
    orphan.direct.push_back(age > first_age ? std::exchange(orphan.first, i) : i);
  }
  for (const WaitRoot& root : host.roots()) {
    const CaseThread& at = host.threads()[root.root];
    if (!root.cycle.empty() || !is_orphan(at)) continue;
    Orphan& orphan = orphans[{at.process->key.tid, at.wait()->object}];
    orphan.waiters.insert(orphan.waiters.end(), root.waiters.begin(), root.waiters.end());
  }
  std::vector<Finding> findings;
  for (const auto& [lock, orphan] : orphans) findings.push_back(finding_of(host, orphan));
  return findings;
}

}  // namespace loiter
