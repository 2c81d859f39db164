#include "daemon/detect/finding_marks.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace loiter {
namespace {

// Not one that has the pid since that thread ended.
const ProcessView* process_of(const Snapshot& snapshot, const FindingMember& member) {
  const ProcessView* process = snapshot.find(member.pid);
  const bool is_it = process && !process->ended_boot_ns && process->key.start_boot_ns <= member.start_boot_ns;
  return is_it ? process : nullptr;
}

}  // namespace

FindingMarks::FindingMarks(std::vector<KeptFindingPtr> ranked, const FindingBook& book,
                           const Snapshot& snapshot)
    : findings_(std::move(ranked)) {
  for (uint32_t i = 0; i < findings_.size(); ++i) {
    const Finding& finding = findings_[i]->finding;
    const TaskKey& process = finding.process.key;
    processes_.push_back({process.tid, i, process.start_boot_ns});
    uint32_t last_pid = process.tid;  // most are of one process
    const auto add = [&](const FindingMember& member) {
      threads_.push_back({member.tid, i, member.start_boot_ns});
      if (std::exchange(last_pid, member.pid) == member.pid) return;
      if (const ProcessView* other = process_of(snapshot, member))
        processes_.push_back({other->key.tid, i, other->key.start_boot_ns});
    };
    for (const FindingThread& thread : finding.threads)
      add({thread.pid, thread.key.tid, thread.key.start_boot_ns});
    for (const FindingMember& member : book.members(finding.id)) add(member);
  }
  keep_worst(threads_);
  keep_worst(processes_);
}

void FindingMarks::keep_worst(std::vector<Mark>& marks) {
  std::ranges::sort(marks, {},
                    [](const Mark& mark) { return std::tuple(mark.tid, mark.start_boot_ns, mark.finding); });
  const auto again = std::ranges::unique(marks, [](const Mark& a, const Mark& b) {
    return a.tid == b.tid && a.start_boot_ns == b.start_boot_ns;
  });
  marks.erase(again.begin(), again.end());
}

const Finding* FindingMarks::find(const std::vector<Mark>& marks, const TaskKey& key) const {
  const auto order = [](const Mark& mark) { return std::pair(mark.tid, mark.start_boot_ns); };
  const std::pair wanted(key.tid, key.start_boot_ns);
  const auto found = std::ranges::lower_bound(marks, wanted, {}, order);
  return found == marks.end() || order(*found) != wanted ? nullptr : &findings_[found->finding]->finding;
}

}  // namespace loiter
