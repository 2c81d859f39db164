// A host with waits, put together by hand: threads, what they wait for and on whom. Edges are those that
// ChainFinder makes of it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/detect/case.h"
#include "daemon/inspect/chain.h"
#include "tests/unit/pictures.h"
#include "tests/unit/units.h"

namespace loiter::test {

class MadeCase {
 public:
  // A thread of process `pid`, whose first is its leader; `blocked_s` 0: it runs.
  void add(uint32_t pid, uint32_t tid, uint64_t blocked_s, WaitKind kind = WaitKind::sleep) {
    if (!inspections_.contains(pid))
      snapshot_->processes.push_back(make_process(pid, "p" + std::to_string(pid), {}));
    ProcessView& process = process_of(pid);
    process.threads.push_back(
        make_thread(tid, "t" + std::to_string(tid),
                    blocked_s ? std::optional<uint64_t>(blocked_s * kSecond) : std::nullopt));
    process.threads.back().voluntary_switches = 7;
    if (!inspections_.contains(pid)) inspections_[pid] = std::make_shared<Inspection>();
    Inspection& inspection = *inspections_[pid];
    inspection.pid = pid;
    inspection.start_boot_ns = process.key.start_boot_ns;
    inspection.mono_ns = snapshot_->begin_mono_ns + 1;
    InspectedThread& thread = inspection.threads.emplace_back();
    thread.record.id = {.tid = tid, .tgid = pid, .start_boot_ns = tid * 1000, .exec_id = 0, .pad = 0};
    thread.record.voluntary_switches = 7;
    thread.blocked = blocked_s != 0;
    if (blocked_s) {
      thread.wait.emplace().kind = kind;
      thread.wait->bounded = false;
    }
  }
  Wait& wait(uint32_t pid, uint32_t tid) { return *inspected(pid, tid).wait; }
  InspectedThread& inspected(uint32_t pid, uint32_t tid) {
    return const_cast<InspectedThread&>(*inspections_.at(pid)->find(tid));
  }
  // `tid` waits for a lock that `holder` holds.
  void lock(uint32_t pid, uint32_t tid, uint32_t holder, const std::string& object, uint32_t holder_pid = 0) {
    wait(pid, tid).kind = WaitKind::lock;
    wait(pid, tid).object = object;
    wait(pid, tid).holder = {HolderState::alive, holder, holder_pid ? holder_pid : pid};
  }
  ThreadView& thread(uint32_t pid, uint32_t tid) {
    for (ThreadView& thread : process_of(pid).threads)
      if (thread.key.tid == tid) return thread;
    throw std::out_of_range("no such thread");
  }
  ProcessView& process_of(uint32_t pid) {
    for (ProcessView& process : snapshot_->processes)
      if (process.key.tid == pid) return process;
    throw std::out_of_range("no such process");
  }
  Snapshot& snapshot() { return *snapshot_; }
  Waits& waits() { return waits_; }

  // Looks into all processes, and judges.
  HostCase judge(uint64_t threshold_s = 30) {
    std::map<uint32_t, InspectionPtr> looked(inspections_.begin(), inspections_.end());
    ChainFinder finder([&](uint32_t pid) -> InspectionPtr {
      auto found = looked.find(pid);
      return found == looked.end() ? nullptr : found->second;
    });
    std::vector<WaitEdge> edges;
    for (const auto& [pid, inspection] : looked)
      for (const WaitEdge& edge : finder.edges(pid)) edges.push_back(edge);
    waits_.take(looked, edges);
    return HostCase(*snapshot_, waits_, Thresholds::of(threshold_s * kSecond));
  }

 private:
  std::shared_ptr<Snapshot> snapshot_ = make_snapshot({}, 5'000);
  std::map<uint32_t, std::shared_ptr<Inspection>> inspections_;
  Waits waits_;
};

}  // namespace loiter::test
