// Threads of a process that are alike: made at the same place, or begun in the same function, and waiting at
// the same place.
//
// Pure functions, any thread; what they give refers to the case.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/detect/case.h"

namespace loiter {

struct Cohort {
  const ProcessView* process = nullptr;
  const CreationSite* site = nullptr;          // null: not known
  std::string routine;                         // where they began; empty: not known, or the leader
  bool leads = false;                          // the leader, which nobody of its process made
  bool looked_at = false;                      // `stack` tells where they wait; else state and `syscall` do
  std::vector<SiteFrame> stack;                // innermost first; of all of them
  TaskState state = TaskState::sleeping;       // of those that were not looked at
  int64_t syscall = -1;                        // likewise; -1: in none
  std::vector<const ThreadView*> threads;      // longest blocked first
  uint64_t oldest_ns = 0;                      // since its oldest thread was made
  std::optional<uint64_t> longest_blocked_ns;  // nothing: none of them is blocked

  size_t count() const { return threads.size(); }
};

// Most threads first. Threads that run have no place of waiting in common: they are one cohort for each place
// they were made at.
std::vector<Cohort> cohorts_of(const HostCase& host, const ProcessView& process);

}  // namespace loiter
