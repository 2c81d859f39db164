// Wait chains: from a blocked thread to who holds what it waits for, to what that one waits for, up to the
// root; across processes too.
//
// Owned by the inspector's thread for the time of one request; Chain is a plain value. What is unknown ends a
// chain: a step is taken only to a holder that was validated, or to a process at the other end of which only
// one thread can be meant.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/inspect/inspection.h"

namespace loiter {

enum class ChainEnd : uint8_t {
  running,       // the root is on a CPU, or would be if there were one
  waits,         // the root waits for what nobody holds: a timer, a socket to elsewhere, a condition
  cycle,         // a deadlock, if it stands
  holder_ended,  // who held it is gone
  deadlocked,    // the kernel found a circle (HolderState::deadlocked)
  only_itself,   // only the root itself could end its wait, and it has nothing else that runs
  inherited,     // locked by a thread of the parent when it forked
  unknown,       // the next one cannot be told
  too_long,
};
const char* to_string(ChainEnd end);

struct ChainLink {
  uint32_t pid = 0;
  uint32_t tid = 0;           // 0: the process, not one thread of it
  const char* via = nullptr;  // how the step to here came about; null: the first link
};

struct Chain {
  std::vector<ChainLink> links;  // from the waiter to the root
  ChainEnd end = ChainEnd::unknown;
  size_t root = 0;     // index into links; in a cycle: where it is entered
  size_t waiters = 0;  // blocked threads whose chains lead to this root
  std::string detail;  // why it ends there; may be empty
};

// One step of a chain: whom a blocked thread waits for, or why that is nobody.
struct WaitEdge {
  uint32_t pid = 0;
  uint32_t tid = 0;
  uint32_t to_pid = 0;        // 0: nobody, `end` says why
  uint32_t to_tid = 0;        // 0: the process, not one thread of it
  const char* via = nullptr;  // how the step comes about; null: there is none
  bool inferred = false;      // which thread of the process is meant was concluded, not read
  ChainEnd end = ChainEnd::waits;
  std::string detail;  // why it ends there; may be empty
};

class ChainFinder {
 public:
  // Looks inside a process; null where that cannot be. Called at most kMaxProcesses times.
  using Inspect = std::function<InspectionPtr(uint32_t pid)>;

  explicit ChainFinder(Inspect inspect) : inspect_(std::move(inspect)) {}

  Chain from(uint32_t pid, uint32_t tid);

  // One chain for each root that threads of `pid` wait on, its longest; most waiters first. Threads that wait
  // for nobody are left out.
  std::vector<Chain> roots(uint32_t pid);

  // One edge for each thread of `pid`, and of the processes that its chains lead to, that is blocked and of
  // which it is known in what.
  std::vector<WaitEdge> edges(uint32_t pid);

  // All that were looked into.
  const std::map<uint32_t, InspectionPtr>& inspections() const { return inspections_; }

 private:
  using Node = std::pair<uint32_t, uint32_t>;  // pid, tid
  struct Step {
    std::optional<Node> next;
    const char* via = nullptr;
    ChainEnd end = ChainEnd::waits;
    std::string detail;
    bool inferred = false;
  };
  InspectionPtr look(uint32_t pid);
  const InspectedThread* thread_at(const Node& node);
  Step step_from(const Node& node);
  Step to_holder(const Node& node, const Wait& wait);
  Step to_process(uint32_t pid, const char* via);
  Step to_peer(const Node& node, const Wait& wait);
  Step to_one_of(uint32_t pid, const Inspection& inspection, const char* via);
  Chain follow(Node node);
  static Node root_of(const Chain& chain);
  static bool stands_alone(const Chain& chain);
  std::map<Node, size_t> count_waiters();

  Inspect inspect_;
  std::map<uint32_t, InspectionPtr> inspections_;
  std::map<Node, Step> steps_;
  int depth_ = 0;  // of to_one_of() in itself, by way of other processes
};

}  // namespace loiter
