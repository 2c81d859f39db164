// What was seen inside processes, kept as long as it holds: what blocked threads wait for, on whom, and where
// they stand. Looks (daemon/inspect) happen between two censuses; a census then tells who has run since, and
// of whom nothing is believed any more.
//
// Owned by the thread that judges. What find() gives is good until the next take() or expire().
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/chain.h"
#include "daemon/inspect/inspection.h"
#include "daemon/model/snapshot.h"

namespace loiter {

// A thread as it was seen. All three null: it was not looked at, or has run since.
struct SeenThread {
  const Inspection* inspection = nullptr;
  const InspectedThread* thread = nullptr;
  const WaitEdge* edge = nullptr;  // null: what it waits for could not be told
  explicit operator bool() const { return thread != nullptr; }
};

class Waits {
 public:
  // What one look found, in place of what was known of these processes. Edges of others are left out.
  void take(const std::map<uint32_t, InspectionPtr>& inspections, const std::vector<WaitEdge>& edges);

  // `thread`, a blocked one of process `pid`, as it was seen in the sleep in which it is still.
  SeenThread find(uint32_t pid, const ThreadView& thread) const;

  bool knows(uint32_t pid) const { return processes_.contains(pid); }

  // Forgets processes that are not in the snapshot any more.
  void expire(const Snapshot& snapshot);

 private:
  struct Process {
    InspectionPtr inspection;
    std::unordered_map<uint32_t, WaitEdge> edges;  // by tid
  };
  std::unordered_map<uint32_t, Process> processes_;  // by pid
};

}  // namespace loiter
