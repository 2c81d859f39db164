// Tells at what kind of object each futex wait of a process is, by the functions on the thread's stack.
//
// Owned by the inspector's thread. Most threads of a process wait in a few ways: of each, some are unwound,
// and the others are known by it (ShapeMemo).
#pragma once

#include <vector>

#include "daemon/inspect/inspection.h"
#include "daemon/inspect/maps.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/shape_memo.h"
#include "daemon/inspect/stack_taker.h"

namespace loiter {

class ShapeFinder {
 public:
  ShapeFinder(const SharedMemory& memory, Opener& opener, StackTaker& stacks)
      : memory_(memory), opener_(opener), stacks_(stacks) {}

  // Sets `shape` of every thread that is blocked in a futex call and has none yet; unwound are only its
  // innermost frames.
  void find(Inspection& inspection, const std::vector<Mapping>& mappings, ShapeMemo& memo);

  // The same from the stacks that the inspection holds already.
  static void find_by_stacks(Inspection& inspection, const std::vector<Mapping>& mappings);

 private:
  struct Candidate;
  void recall(const Inspection& inspection, std::vector<Candidate>& candidates, const ShapeMemo& memo);
  bool learn(Inspection& inspection, const std::vector<Mapping>& mappings, std::span<Candidate> candidates,
             ShapeMemo& memo);

  const SharedMemory& memory_;
  Opener& opener_;
  StackTaker& stacks_;
};

}  // namespace loiter
