#include "daemon/detect/stuck.h"

#include <algorithm>
#include <compare>
#include <map>
#include <string>
#include <utility>

#include "daemon/base/duration.h"
#include "daemon/detect/phrases.h"

namespace loiter {
namespace {

bool is_told_otherwise(const CaseThread& thread) {
  const WaitEdge* edge = thread.seen.edge;
  return edge && (edge->end == ChainEnd::holder_ended || edge->end == ChainEnd::inherited ||
                  edge->end == ChainEnd::deadlocked || edge->end == ChainEnd::only_itself);
}

// Whoever held what it waits for has run since it was looked at, and may have given it back: the next look
// will tell.
bool is_open(const CaseThread& thread) {
  return thread.seen.edge && thread.seen.edge->to_tid != 0 && thread.next == kWaitsForNobody;
}

// Asleep in such a wait for so long, and not put there by somebody.
bool is_stuck(const CaseThread& thread, uint64_t threshold_ns) {
  const Wait* wait = thread.wait();
  return wait && must_end(wait->kind) && thread.thread->blocked_ns.value_or(0) >= threshold_ns;
}

std::string summary_of(const CaseThread& root, size_t stuck, const CaseThread& longest) {
  const std::string age = format_duration(longest.thread->blocked_ns.value_or(0));
  if (&root == &longest) {
    std::string text = name_of(root) + " has waited " + age + " for " + wait_phrase(root);
    const WaitEdge* edge = root.seen.edge;
    if (edge && !edge->detail.empty()) text += ": " + edge->detail;
    if (stuck > 1) text += "; " + counted(stuck - 1, "more waits", "more wait") + " on it";
    return text;
  }
  return counted(stuck, "thread waits", "threads wait") + ", the longest for " + age + " for " +
         wait_phrase(longest) + ", on " + name_of(root) + ", which " + doing_phrase(root);
}

std::string hint_of(const CaseThread& root, const CaseThread& longest) {
  if (&root == &longest) return root_advice(root);
  const Wait* wait = longest.wait();
  const std::string what = wait->kind == WaitKind::lock ? "the lock is held by " : "it waits on ";
  return what + std::to_string(root.thread->key.tid) + ", which " + doing_phrase(root) + ": " +
         root_advice(root);
}

// What makes roots one: the thread, or, where it waits for nobody that could be told, what it waits for.
struct Key {
  uint32_t pid = 0;
  uint32_t tid = 0;  // 0: any that wait for `object`
  std::string object;
  friend auto operator<=>(const Key&, const Key&) = default;
};

struct Group {
  std::vector<size_t> roots;
  std::vector<size_t> members;  // with the roots
};

Key key_of(const HostCase& host, size_t root) {
  const CaseThread& thread = host.threads()[root];
  const Wait* wait = thread.wait();
  const uint32_t pid = thread.process->key.tid;
  if (!wait || !must_end(wait->kind)) return {pid, thread.thread->key.tid, {}};
  // Of what stands behind one disk, each thread may be at a file of its own.
  const bool any = wait->kind == WaitKind::disk || wait->kind == WaitKind::page_fault;
  if (!any && wait->object.empty()) return {pid, thread.thread->key.tid, {}};
  return {pid, 0, std::string(to_string(wait->kind)) + ' ' + (any ? "" : wait->object)};
}

// The end of the longest one's way: of several that wait for one thing, itself.
Finding finding_of(const HostCase& host, const Key& key, const Group& group, size_t longest_index) {
  std::vector<size_t> members = group.members;
  const std::vector<size_t> way = host.way(longest_index);
  const CaseThread& root = host.threads()[way.back()];
  const CaseThread& longest = host.threads()[longest_index];
  std::vector<TaskKey> keys;
  if (key.tid) keys.push_back(root.thread->key);
  Finding finding{.id = finding_id(FindingKind::stuck, root.process->key, keys, key.object),
                  .kind = FindingKind::stuck,
                  .severity = Severity::warning,
                  .certainty = Certainty::likely,
                  .process = finding_process(*root.process)};
  for (auto at = way.rbegin(); at != way.rend(); ++at) {
    if (finding.threads.size() == kMostFindingThreads) {
      add_member(finding, host.threads()[*at]);
      continue;
    }
    finding.threads.push_back(finding_thread(host.threads()[*at]));
    if (host.threads()[*at].seen.edge && host.threads()[*at].seen.edge->via)
      finding.threads.back().via = host.threads()[*at].seen.edge->via;
  }
  finding.chain = finding.threads.size();
  std::vector<size_t> chain = way;  // which may be as long as there are members
  std::ranges::sort(chain);
  std::erase_if(members, [&](size_t member) { return std::ranges::binary_search(chain, member); });
  finding.count = way.size() + members.size();
  add_threads(finding, host, members);
  finding.since_boot_ns = host.snapshot().begin_boot_ns - longest.thread->blocked_ns.value_or(0);
  finding.evidence = {{"threshold_ns", host.thresholds().stuck_ns},
                      {"longest_ns", longest.thread->blocked_ns.value_or(0)},
                      {"waiters", uint64_t{finding.count - 1}}};
  finding.summary = summary_of(root, finding.count, longest);
  finding.hint = hint_of(root, longest);
  return finding;
}

// Whether a barrier that the roots wait at may still fill: one of the process that is not there yet has run
// within the threshold (it makes connections, say, that others are to use together), or has come within it.
bool may_still_fill(const HostCase& host, const Group& group) {
  const CaseThread& root = host.threads()[group.roots.front()];
  const Wait* wait = root.wait();
  if (!wait || wait->kind != WaitKind::barrier) return false;
  return std::ranges::any_of(root.process->threads, [&](const ThreadView& thread) {
    const bool runs = thread.state == TaskState::running || thread.state == TaskState::runnable;
    return runs || (thread.blocked_ns && *thread.blocked_ns < host.thresholds().stuck_ns);
  });
}

// Of those that are stuck, who has been for longest; kWaitsForNobody: none is. Not who waits on one that
// takes turns, nor at a barrier that may still fill, for so long as a turn may last.
size_t longest_of(const HostCase& host, const Group& group, const TurnWatch& turns) {
  size_t longest = kWaitsForNobody;
  const CaseThread& root = host.threads()[group.roots.front()];
  const uint64_t from_ns = may_still_fill(host, group) ? TurnWatch::longest_turn_ns(host.thresholds())
                                                       : host.thresholds().stuck_ns;
  for (const size_t member : group.members) {
    const CaseThread& thread = host.threads()[member];
    if (!is_stuck(thread, from_ns)) continue;
    if (group.roots.size() == 1 && turns.may_take_turns(host, root, thread)) continue;
    if (longest == kWaitsForNobody ||
        *thread.thread->blocked_ns > *host.threads()[longest].thread->blocked_ns)
      longest = member;
  }
  return longest;
}

}  // namespace

std::vector<Finding> find_stuck(const HostCase& host, const TurnWatch& turns) {
  std::map<Key, Group> groups;
  const auto add = [&](size_t root, const std::vector<size_t>& waiters) {
    Group& group = groups[key_of(host, root)];
    group.roots.push_back(root);
    group.members.push_back(root);
    group.members.insert(group.members.end(), waiters.begin(), waiters.end());
  };
  std::vector<bool> is_root(host.threads().size());
  for (const WaitRoot& root : host.roots()) {
    is_root[root.root] = true;
    if (root.cycle.empty()) add(root.root, root.waiters);
  }
  // Whom nobody waits for.
  for (size_t i = 0; i < host.threads().size(); ++i)
    if (!is_root[i] && host.threads()[i].next == kWaitsForNobody) add(i, {});
  std::vector<Finding> findings;
  for (const auto& [key, group] : groups) {
    const CaseThread& root = host.threads()[group.roots.front()];
    if (is_told_otherwise(root) || waits_for_clients(root) || is_open(root)) continue;
    if (const size_t longest = longest_of(host, group, turns); longest != kWaitsForNobody)
      findings.push_back(finding_of(host, key, group, longest));
  }
  return findings;
}

}  // namespace loiter
