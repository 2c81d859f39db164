// What detectors judge by: one snapshot, with what was seen of the waits in it, and who waits for whom.
//
// Immutable once made; any thread. Refers to the snapshot and the waits that it was made from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/detect/finding.h"
#include "daemon/detect/thresholds.h"
#include "daemon/detect/wait_graph.h"
#include "daemon/model/snapshot.h"
#include "daemon/model/waits.h"

namespace loiter {

// A blocked thread whose wait is known, or one that such a thread waits for.
struct CaseThread {
  const ProcessView* process = nullptr;
  const ThreadView* thread = nullptr;
  SeenThread seen;  // nothing: it runs, or was not looked at
  size_t next = kWaitsForNobody;

  const Wait* wait() const { return seen && seen.thread->wait ? &*seen.thread->wait : nullptr; }
};

class HostCase {
 public:
  HostCase(const Snapshot& snapshot, const Waits& waits, const Thresholds& thresholds);

  const Snapshot& snapshot() const { return snapshot_; }
  const Thresholds& thresholds() const { return thresholds_; }

  // Nodes of the graph, and where their ways lead (find_wait_roots()). An edge stands where neither of both
  // has run since it was seen: whoever ran may have given back what the other waits for.
  const std::vector<CaseThread>& threads() const { return threads_; }
  const std::vector<WaitRoot>& roots() const { return roots_; }
  std::vector<size_t> way(size_t node) const { return way_from(node, next_); }

  // Index of the node of that thread; kWaitsForNobody: it is none.
  size_t find(uint32_t pid, uint32_t tid) const;

 private:
  size_t add(const ProcessView& process, const ThreadView& thread, const SeenThread& seen);
  void add_edges();

  const Snapshot& snapshot_;
  const Waits& waits_;
  Thresholds thresholds_;
  std::vector<CaseThread> threads_;
  std::vector<size_t> next_;
  std::unordered_map<uint64_t, size_t> index_;  // by pid and tid
  std::vector<WaitRoot> roots_;
};

// --- what all detectors say alike ------------------------------------------------------------------------

FindingProcess finding_process(const ProcessView& process);
// With wait, start routine and, as far as it was looked at, stack.
FindingThread finding_thread(const CaseThread& thread);
FindingThread finding_thread(const ProcessView& process, const ThreadView& thread);

// Takes over the stack, and what else was seen of it there, where it is still in the same sleep.
void fill_from(FindingThread& thread, const Inspection& inspection);

// Notes that it concerns that one beside its `threads`. More than kMostFindingMembers (as many threads as a
// daemon keeps unless told otherwise) are left out, and so is a thread of which it is not known when it
// began.
constexpr size_t kMostFindingMembers = 262'144;
void add_member(Finding& finding, uint32_t pid, const TaskKey& thread);
void add_member(Finding& finding, const CaseThread& thread);

// Adds threads to those of a finding, the longest blocked first, up to kMostFindingThreads in all; the
// rest as members.
constexpr size_t kMostFindingThreads = 32;
void add_threads(Finding& finding, const HostCase& host, std::vector<size_t> nodes);

// Adds the threads of `process`, but for its leader, that were made at `site` (0: not known), up to
// kMostFindingThreads in all: the longest blocked first, those that work follow. The rest as members.
void add_threads_of_site(Finding& finding, const HostCase& host, const ProcessView& process, uint32_t site);

// "thread 814 (worker-1) of process 812 (api)"; names are bytes.
std::string name_of(const CaseThread& thread);

// The same wherever and whenever it is made of the same: kind, process and what tells its cause from others.
std::string finding_id(FindingKind kind, const TaskKey& process, const std::vector<TaskKey>& threads,
                       const std::string& cause = {});

// Whether a wait of that kind must end for its program to go on: a lock is given back, a disk answers. Not so
// for what may rest for ever: an event loop, a queue that is empty, a child that works.
bool must_end(WaitKind kind);

}  // namespace loiter
