// Why a process stands still, as one paragraph for a person at night: the thread that all others wait for,
// or the one that has been stuck for longest, or that all of them merely have nothing to do.
//
// Pure functions, any thread. The text is fit for a terminal (escape_for_terminal).
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cli/chain_model.h"
#include "cli/stack_model.h"

namespace loiter::cli {

// Where to look: positions in the documents asked. Neither: nothing is stuck.
struct Root {
  std::optional<size_t> chain;   // in Chains::chains
  std::optional<size_t> thread;  // in Tree::threads, where no chain tells of anything
  uint32_t pid = 0, tid = 0;     // whose stack to read; 0: not known
};

// Deadlocks first, then locks that nobody can give back, then the root with the most waiters; without a chain
// that tells of anything the thread that has been blocked for longest in what is no idle wait.
Root find_root(const Tree& tree, const Chains& chains);

// `stack`: of the root; null where it could not be had, for `why_none` (empty: it was not asked for).
std::string why_text(const Tree& tree, const Chains& chains, const Root& root, const StackThread* stack,
                     const std::string& why_none);

}  // namespace loiter::cli
