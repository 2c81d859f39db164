#include "daemon/detect/wait_graph.h"

#include <algorithm>
#include <map>

namespace loiter {
namespace {

// For each node the least member of the cycle that its way enters, or the node that its way ends at.
std::vector<size_t> roots_of(std::span<const size_t> next) {
  constexpr size_t kUnknown = kWaitsForNobody;
  constexpr size_t kOnWay = kUnknown - 1;
  std::vector<size_t> root(next.size(), kUnknown);
  std::vector<size_t> way;
  for (size_t start = 0; start < next.size(); ++start) {
    way.clear();
    size_t at = start;
    while (root[at] == kUnknown) {
      root[at] = kOnWay;
      way.push_back(at);
      if (next[at] == kWaitsForNobody) break;
      at = next[at];
    }
    size_t found = at;
    if (root[at] == kOnWay) {
      if (next[at] != kWaitsForNobody)  // met again on this very way: a cycle
        found = *std::min_element(std::find(way.begin(), way.end(), at), way.end());
    } else {
      found = root[at];
    }
    for (size_t node : way) root[node] = found;
  }
  return root;
}

}  // namespace

std::vector<WaitRoot> find_wait_roots(std::span<const size_t> next) {
  const std::vector<size_t> root = roots_of(next);
  std::map<size_t, WaitRoot> found;
  for (size_t node = 0; node < next.size(); ++node) {
    if (next[node] == kWaitsForNobody) continue;
    WaitRoot& of = found[root[node]];
    of.root = root[node];
    of.waiters.push_back(node);
  }
  std::vector<WaitRoot> roots;
  roots.reserve(found.size());
  for (auto& [node, of] : found) {
    if (next[node] != kWaitsForNobody) of.cycle = way_from(node, next);
    if (!of.cycle.empty()) {
      std::vector<size_t> members = of.cycle;
      std::sort(members.begin(), members.end());
      std::erase_if(of.waiters, [&](size_t waiter) {
        return std::binary_search(members.begin(), members.end(), waiter);
      });
    }
    roots.push_back(std::move(of));
  }
  return roots;
}

std::vector<size_t> way_from(size_t node, std::span<const size_t> next) {
  std::vector<size_t> way;
  std::vector<bool> seen(next.size());
  for (; node != kWaitsForNobody && !seen[node]; node = next[node]) {
    seen[node] = true;
    way.push_back(node);
  }
  return way;
}

}  // namespace loiter
