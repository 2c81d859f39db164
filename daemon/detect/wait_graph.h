// Who waits for whom, as a graph in which each waits for at most one: where all ways lead, and which of them
// go round.
//
// Pure functions, any thread; linear in the number of nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace loiter {

constexpr size_t kWaitsForNobody = std::numeric_limits<size_t>::max();

// Where ways end, with all whose ways end there.
struct WaitRoot {
  size_t root = 0;              // who waits for nobody; of a cycle, its least member
  std::vector<size_t> cycle;    // in the order of waiting, from `root` on; empty: it is none
  std::vector<size_t> waiters;  // ascending; neither the root nor members of the cycle
};

// `next[i]`: whom node i waits for, less than next.size(), or kWaitsForNobody. Ascending by root; roots that
// nobody waits for are left out.
std::vector<WaitRoot> find_wait_roots(std::span<const size_t> next);

// The way from a node to its root, both included; in a cycle, until it comes round.
std::vector<size_t> way_from(size_t node, std::span<const size_t> next);

}  // namespace loiter
