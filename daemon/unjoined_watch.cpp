#include "daemon/unjoined_watch.h"

#include <algorithm>
#include <utility>

namespace loiter {
namespace {

constexpr uint64_t kLeastGapNs = 1'000'000'000;
constexpr uint64_t kSettledNs = 1'000'000'000;  // a process so young has nothing to tell

}  // namespace

void UnjoinedWatch::follow_ends(const Snapshot& snapshot) {
  uint64_t newest = followed_boot_ns_;
  for (const EndedThread& ended : snapshot.ended) {
    if (ended.ended_boot_ns <= followed_boot_ns_) continue;
    newest = std::max(newest, ended.ended_boot_ns);
    if (ended.key.tid == ended.tgid) continue;
    uint64_t& last = last_ends_[ended.tgid];
    last = std::max(last, ended.ended_boot_ns);
  }
  followed_boot_ns_ = newest;
  const auto is_gone = [&](const auto& entry) {
    const ProcessView* process = snapshot.find(entry.first);
    return !process || process->ended_boot_ns;
  };
  std::erase_if(asked_, is_gone);
  std::erase_if(last_ends_, is_gone);
}

std::vector<TaskKey> UnjoinedWatch::due(const Snapshot& snapshot, const UnjoinedBook& book,
                                        const Thresholds& thresholds) {
  follow_ends(snapshot);
  const uint64_t now = snapshot.begin_boot_ns;
  const uint64_t gap_ns = std::max(kLeastGapNs, thresholds.unjoined_ns / 2);
  std::vector<std::pair<size_t, TaskKey>> due;
  for (const ProcessView& process : snapshot.processes) {
    if (process.kernel || process.ended_boot_ns || process.key.start_boot_ns + kSettledNs > now) continue;
    auto before = asked_.find(process.key.tid);
    if (before == asked_.end() || before->second.start_boot_ns != process.key.start_boot_ns) {
      due.emplace_back(process.threads.size(), process.key);
      continue;
    }
    const uint64_t asked = before->second.at_boot_ns;
    if (now < asked + gap_ns) continue;
    auto end = last_ends_.find(process.key.tid);
    const UnjoinedProcess* told = book.find(process.key);
    const bool has_ended = end != last_ends_.end() && end->second >= asked;
    const bool has_some = told && std::ranges::any_of(told->threads, [&](const UnjoinedMember& thread) {
                            return thread.since_boot_ns + thresholds.unjoined_ns <= now;
                          });
    if (has_ended || has_some) due.emplace_back(process.threads.size(), process.key);
  }
  std::stable_sort(due.begin(), due.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<TaskKey> keys;
  keys.reserve(due.size());
  for (const auto& [threads, key] : due) keys.push_back(key);
  return keys;
}

void UnjoinedWatch::asked(const TaskKey& process, const Snapshot& snapshot) {
  asked_[process.tid] = {process.start_boot_ns, snapshot.begin_boot_ns};
}

}  // namespace loiter
