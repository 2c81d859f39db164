#include "daemon/detect/deadlock.h"

#include <algorithm>
#include <string_view>

#include "daemon/base/duration.h"
#include "daemon/detect/phrases.h"

namespace loiter {
namespace {

constexpr const char* kOrderHint =
    "take these locks in the same order everywhere, or both at once (std::scoped_lock); the process must be "
    "restarted";

// What a thread itself must give back, or do, before its waiter can go on.
bool binds(const CaseThread& thread) {
  const std::string_view via = thread.seen.edge ? thread.seen.edge->via : "";
  return via == "lock" || via == "join" || via == "file_lock";
}

Certainty certainty_of(const HostCase& host, const WaitRoot& root) {
  for (const size_t index : root.cycle) {
    const CaseThread& thread = host.threads()[index];
    const bool is_sure = binds(thread) && !thread.seen.edge->inferred && thread.wait()->bounded == false;
    if (!is_sure) return Certainty::likely;
  }
  return Certainty::proven;
}

// Since the last of them fell asleep.
uint64_t age_of(const HostCase& host, const WaitRoot& root) {
  uint64_t age = UINT64_MAX;
  for (const size_t index : root.cycle)
    age = std::min(age, host.threads()[index].thread->blocked_ns.value_or(0));
  return age;
}

std::string summary_of(const HostCase& host, const WaitRoot& root) {
  const CaseThread& first = host.threads()[root.root];
  if (root.cycle.size() == 1)
    return name_of(first) + " waits for " + wait_phrase(first) + " that it holds itself";
  std::string text = counted(root.cycle.size(), "thread", "threads") + " wait for one another: ";
  for (size_t i = 0; i < root.cycle.size(); ++i) {
    const CaseThread& thread = host.threads()[root.cycle[i]];
    if (i != 0) text += ", ";
    text += std::to_string(thread.thread->key.tid) + " (" + std::string(thread.thread->name.view()) +
            ") for " +
            std::to_string(host.threads()[root.cycle[(i + 1) % root.cycle.size()]].thread->key.tid);
  }
  return text + " in process " + std::to_string(first.process->key.tid) + " (" +
         std::string(first.process->comm.view()) + ")";
}

std::string hint_of(const HostCase& host, const WaitRoot& root) {
  if (root.cycle.size() == 1)
    return "do not take a lock again that is held, or make it a recursive one; the process must be restarted";
  const bool joins = std::ranges::any_of(root.cycle, [&](size_t index) {
    return std::string_view(host.threads()[index].seen.edge->via) == "join";
  });
  if (joins) return "give the lock back before joining a thread that wants it; the process must be restarted";
  if (std::ranges::none_of(root.cycle, [&](size_t index) { return binds(host.threads()[index]); }))
    return "read what a child writes before waiting for its end, and never let both ends only write";
  return kOrderHint;
}

Finding finding_of(const HostCase& host, const WaitRoot& root) {
  const CaseThread& first = host.threads()[root.root];
  std::vector<TaskKey> keys;
  Finding finding{.kind = FindingKind::deadlock,
                  .severity = Severity::critical,
                  .certainty = certainty_of(host, root),
                  .process = finding_process(*first.process)};
  for (const size_t index : root.cycle) {
    keys.push_back(host.threads()[index].thread->key);
    finding.threads.push_back(finding_thread(host.threads()[index]));
    finding.threads.back().via = host.threads()[index].seen.edge->via;
  }
  finding.id = finding_id(finding.kind, first.process->key, keys);
  finding.chain = finding.threads.size();
  add_threads(finding, host, root.waiters);
  finding.count = root.cycle.size() + root.waiters.size();
  const uint64_t age = age_of(host, root);
  finding.since_boot_ns = host.snapshot().begin_boot_ns - age;
  finding.evidence = {
      {"cycle", uint64_t{root.cycle.size()}}, {"waiters", uint64_t{root.waiters.size()}}, {"stands_ns", age}};
  finding.summary = summary_of(host, root);
  if (!root.waiters.empty())
    finding.summary += "; " + counted(root.waiters.size(), "more waits", "more wait") + " on them";
  finding.hint = hint_of(host, root);
  return finding;
}

// The kernel has found the circle, whose other members it does not name; who waits on it is known.
Finding parked_finding(const HostCase& host, size_t index, const std::vector<size_t>& waiters) {
  const CaseThread& parked = host.threads()[index];
  Finding finding{.kind = FindingKind::deadlock,
                  .severity = Severity::critical,
                  .certainty = Certainty::proven,
                  .process = finding_process(*parked.process)};
  finding.id = finding_id(finding.kind, parked.process->key, {parked.thread->key});
  finding.threads.push_back(finding_thread(parked));
  finding.chain = 1;
  add_threads(finding, host, waiters);
  finding.count = 1 + waiters.size();
  const uint64_t age = parked.thread->blocked_ns.value_or(0);
  finding.since_boot_ns = host.snapshot().begin_boot_ns - age;
  finding.evidence = {{"refused_by_kernel", std::string("EDEADLK")},
                      {"waiters", uint64_t{waiters.size()}},
                      {"stands_ns", age}};
  finding.summary =
      name_of(parked) +
      " would have closed a circle of mutexes with priority inheritance: the kernel refused, and it "
      "waits for good";
  if (!waiters.empty())
    finding.summary += "; " + counted(waiters.size(), "more waits", "more wait") + " on it";
  finding.hint = kOrderHint;
  return finding;
}

bool is_parked(const CaseThread& thread) {
  return thread.seen.edge && thread.seen.edge->end == ChainEnd::deadlocked;
}

// Of two that only read from each other each may have said all: a protocol at rest. Who writes, or waits for
// the other's end, has not.
bool reads_only(const CaseThread& thread) {
  const Wait* wait = thread.wait();
  return !wait || wait->kind == WaitKind::read || wait->kind == WaitKind::accept ||
         wait->kind == WaitKind::poll;
}

bool is_deadlock(const HostCase& host, const WaitRoot& root) {
  const auto any = [&](auto test) {
    return std::ranges::any_of(root.cycle, [&](size_t index) { return test(host.threads()[index]); });
  };
  if (root.cycle.empty()) return false;
  if (any(binds)) return true;
  return !any(reads_only) && age_of(host, root) >= host.thresholds().stuck_ns;
}

}  // namespace

std::vector<Finding> find_deadlocks(const HostCase& host) {
  std::vector<Finding> findings;
  std::vector<bool> is_root(host.threads().size());
  for (const WaitRoot& root : host.roots()) {
    is_root[root.root] = true;
    if (is_deadlock(host, root))
      findings.push_back(finding_of(host, root));
    else if (root.cycle.empty() && is_parked(host.threads()[root.root]))
      findings.push_back(parked_finding(host, root.root, root.waiters));
  }
  for (size_t i = 0; i < host.threads().size(); ++i)
    if (!is_root[i] && is_parked(host.threads()[i])) findings.push_back(parked_finding(host, i, {}));
  return findings;
}

}  // namespace loiter
