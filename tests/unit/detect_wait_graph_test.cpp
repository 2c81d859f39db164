// Where ways lead, held against following each of them by itself.
#include "daemon/detect/wait_graph.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace loiter {
namespace {

constexpr size_t kNobody = kWaitsForNobody;

TEST(WaitGraph, AWayEndsAtWhoWaitsForNobody) {
  const std::vector<size_t> next = {1, 2, kNobody, 2, kNobody};
  const auto roots = find_wait_roots(next);
  ASSERT_EQ(roots.size(), 1u) << "nobody waits for 4";
  EXPECT_EQ(roots[0].root, 2u);
  EXPECT_TRUE(roots[0].cycle.empty());
  EXPECT_EQ(roots[0].waiters, (std::vector<size_t>{0, 1, 3}));
  EXPECT_EQ(way_from(0, next), (std::vector<size_t>{0, 1, 2}));
}

TEST(WaitGraph, ACycleBeginsAtItsLeast) {
  const std::vector<size_t> next = {3, 2, 3, 1, 4};
  const auto roots = find_wait_roots(next);
  ASSERT_EQ(roots.size(), 2u);
  EXPECT_EQ(roots[0].cycle, (std::vector<size_t>{1, 2, 3}));
  EXPECT_EQ(roots[0].waiters, std::vector<size_t>{0});
  EXPECT_EQ(roots[1].cycle, std::vector<size_t>{4}) << "one that waits for itself";
  EXPECT_TRUE(roots[1].waiters.empty());
}

// By the book: from each node on, until one comes again.
std::map<size_t, std::set<size_t>> followed(const std::vector<size_t>& next) {
  std::map<size_t, std::set<size_t>> waiters;  // by root
  for (size_t start = 0; start < next.size(); ++start) {
    if (next[start] == kNobody) continue;
    size_t at = start;
    for (size_t step = 0; step < next.size() && next[at] != kNobody; ++step) at = next[at];
    if (next[at] != kNobody) {  // on a cycle by now: its least member
      size_t least = at;
      for (size_t other = next[at]; other != at; other = next[other]) least = std::min(least, other);
      at = least;
    }
    waiters[at].insert(start);
  }
  return waiters;
}

TEST(WaitGraph, AgreesWithFollowingEachWay) {
  std::mt19937 random(4711);
  size_t cycles = 0;
  for (int round = 0; round < 3000; ++round) {
    const size_t size = 1 + random() % 12;
    std::vector<size_t> next(size);
    for (size_t& to : next) to = random() % 3 == 0 ? kNobody : random() % size;
    std::map<size_t, std::set<size_t>> found;
    for (const WaitRoot& root : find_wait_roots(next)) {
      std::set<size_t>& members = found[root.root];
      members.insert(root.waiters.begin(), root.waiters.end());
      members.insert(root.cycle.begin(), root.cycle.end());
      EXPECT_EQ(members.size(), root.waiters.size() + root.cycle.size()) << "none is told twice";
      if (root.cycle.empty()) continue;
      ++cycles;
      EXPECT_EQ(root.cycle.front(), root.root);
      for (size_t i = 0; i < root.cycle.size(); ++i)
        EXPECT_EQ(next[root.cycle[i]], root.cycle[(i + 1) % root.cycle.size()]);
    }
    EXPECT_EQ(found, followed(next));
  }
  EXPECT_GT(cycles, 100u) << "else this has shown little";
}

TEST(WaitGraph, AChainOfAnyLengthIsFollowed) {
  std::vector<size_t> next(100'000);
  for (size_t i = 0; i + 1 < next.size(); ++i) next[i] = i + 1;
  next.back() = kNobody;
  const auto roots = find_wait_roots(next);
  ASSERT_EQ(roots.size(), 1u);
  EXPECT_EQ(roots[0].waiters.size(), next.size() - 1);
}

}  // namespace
}  // namespace loiter
