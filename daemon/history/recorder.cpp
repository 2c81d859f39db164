#include "daemon/history/recorder.h"

#include <algorithm>
#include <utility>

namespace loiter {
namespace {

void add_name(std::vector<NamedThread>& names, const Snapshot& snapshot, uint32_t pid, uint32_t tid) {
  const ProcessView* process = pid ? snapshot.find(pid) : nullptr;
  if (!process) return;
  names.push_back({pid, 0, std::string(process->comm.view())});
  const auto thread =
      std::ranges::find(process->threads, tid, [](const ThreadView& view) { return view.key.tid; });
  if (tid && thread != process->threads.end()) names.push_back({pid, tid, std::string(thread->name.view())});
}

// Of holders and peers: the finding itself has their numbers alone.
std::vector<NamedThread> names_in(const Finding& finding, const Snapshot& snapshot) {
  std::vector<NamedThread> names;
  for (const FindingThread& thread : finding.threads) {
    if (!thread.wait) continue;
    add_name(names, snapshot, thread.wait->holder.pid, thread.wait->holder.tid);
    for (const Peer& peer : thread.wait->peers) add_name(names, snapshot, peer.pid, 0);
  }
  const auto key = [](const NamedThread& named) { return std::pair(named.pid, named.tid); };
  std::ranges::sort(names, {}, key);
  const auto again = std::ranges::unique(names, {}, key);
  names.erase(again.begin(), again.end());
  return names;
}

}  // namespace

void Recorder::add(const FindingBook::Changes& changes, const Snapshot& snapshot) {
  for (const auto* list : {&changes.raised, &changes.updated, &changes.resolved})
    for (const KeptFindingPtr& kept : *list)
      writer_.add(FindingNote{kept, snapshot.wall, names_in(kept->finding, snapshot)});
}

void Recorder::add(const Snapshot& snapshot, const FindingBook& book) {
  if (writer_.take_lost()) sampler_.tell_anew();
  std::optional<CountBatch> batch = sampler_.add(snapshot);
  if (!batch) return;
  batch->live = book.live();
  writer_.add(std::move(*batch));
}

}  // namespace loiter
