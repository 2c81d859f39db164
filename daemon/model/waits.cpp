#include "daemon/model/waits.h"

#include "daemon/inspect/sleeping.h"

namespace loiter {

void Waits::take(const std::map<uint32_t, InspectionPtr>& inspections, const std::vector<WaitEdge>& edges) {
  for (const auto& [pid, inspection] : inspections)
    if (inspection) processes_[pid] = {inspection, {}};
  for (const WaitEdge& edge : edges) {
    auto process = inspections.find(edge.pid);
    if (process != inspections.end() && process->second) processes_[edge.pid].edges[edge.tid] = edge;
  }
}

SeenThread Waits::find(uint32_t pid, const ThreadView& thread) const {
  auto process = processes_.find(pid);
  if (process == processes_.end() || !is_blocked(thread.state)) return {};
  const InspectedThread* seen = process->second.inspection->find(thread.key.tid);
  const bool same = seen && seen->blocked && seen->record.id.start_boot_ns == thread.key.start_boot_ns &&
                    switches(seen->record) == thread.voluntary_switches + thread.involuntary_switches;
  if (!same) return {};
  auto edge = process->second.edges.find(thread.key.tid);
  return {process->second.inspection.get(), seen,
          edge == process->second.edges.end() ? nullptr : &edge->second};
}

void Waits::expire(const Snapshot& snapshot) {
  std::erase_if(processes_, [&](const auto& entry) {
    const ProcessView* process = snapshot.find(entry.first);
    return !process || process->ended_boot_ns ||
           process->key.start_boot_ns != entry.second.inspection->start_boot_ns;
  });
}

}  // namespace loiter
