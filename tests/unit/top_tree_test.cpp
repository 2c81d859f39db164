// Which thread stands below which, and the branches before their names.
#include <gtest/gtest.h>

#include <numeric>

#include "cli/top/thread_rows.h"
#include "cli/top/tree_order.h"
#include "tests/unit/top_samples.h"

namespace loiter::top::test {
namespace {

ThreadRows rows_of(std::vector<cli::ThreadRow> threads, std::vector<cli::ThreadRow> ended_threads = {}) {
  return ThreadRows(
      *tree_reply(process(1, "app", 1), std::move(threads), 100, std::move(ended_threads)).tree);
}

std::vector<uint32_t> living(const Rows& rows) {
  std::vector<uint32_t> all;
  for (uint32_t row = 0; row < rows.size(); ++row)
    if (!rows.ended(row)) all.push_back(row);
  return all;
}

// "name" of each, with its branches.
std::vector<std::string> drawn(const ThreadRows& rows, const std::vector<uint32_t>& shown,
                               size_t levels = 8) {
  auto tree = tree_order(rows, shown);
  std::vector<std::string> lines;
  for (size_t i = 0; i < tree.size(); ++i)
    lines.push_back(tree_branch(tree, i, levels) + rows[tree[i].row].name);
  return lines;
}

using Lines = std::vector<std::string>;

TEST(TopTree, EachStandsBelowItsCreator) {
  auto rows = rows_of({thread(1, {}, "main", 0), thread(2, 1, "a", 1), thread(3, 1, "b", 2),
                       thread(4, 2, "a1", 3), thread(5, 4, "a11", 4), thread(6, 2, "a2", 5)});
  EXPECT_EQ(drawn(rows, living(rows)), (Lines{"main", "├─a", "│ ├─a1", "│ │ └─a11", "│ └─a2", "└─b"}));
}

TEST(TopTree, SiblingsKeepTheOrderGiven) {
  auto rows = rows_of({thread(1, {}, "main", 0), thread(2, 1, "a", 1), thread(3, 1, "b", 2)});
  EXPECT_EQ(drawn(rows, {2, 1, 0}), (Lines{"main", "├─b", "└─a"}));
}

TEST(TopTree, WhatIsNotShownLeavesItsOwnToTheOneAbove) {
  auto rows =
      rows_of({thread(1, {}, "main", 0), thread(2, 1, "a", 1), thread(3, 2, "b", 2), thread(4, 3, "c", 3)});
  EXPECT_EQ(drawn(rows, {0, 3}), (Lines{"main", "└─c"}));
  EXPECT_EQ(drawn(rows, {1, 3}), (Lines{"a", "└─c"}));
  EXPECT_EQ(drawn(rows, {3}), (Lines{"c"}));
  EXPECT_EQ(drawn(rows, {}), Lines{});
}

TEST(TopTree, TheChildrenOfAnEndedThreadAreFoundThroughIt) {
  auto rows = rows_of({thread(1, {}, "main", 0), thread(2, 1, "a", 1), thread(4, 3, "c", 5)},
                      {ended(thread(3, 2, "b", 2), 9)});
  EXPECT_EQ(drawn(rows, living(rows)), (Lines{"main", "└─a", "  └─c"}));
  EXPECT_EQ(drawn(rows, {0, 1, 2, 3}), (Lines{"main", "└─a", "  └─b", "    └─c"}));
}

TEST(TopTree, ATidUsedAgainIsNotTheCreator) {
  // Tid 3 was b, which ended; c was made by a later one that nobody knows; then came another tid 3.
  auto rows = rows_of({thread(1, {}, "main", 0), thread(2, 3, "c", 8), thread(3, 1, "new 3", 9)},
                      {ended(thread(3, 1, "b", 2), 4)});
  EXPECT_EQ(drawn(rows, living(rows)), (Lines{"main", "├─c", "└─new 3"}));
}

TEST(TopTree, WithoutAKnownCreatorBelowTheLeader) {
  auto rows = rows_of({thread(1, {}, "main", 3), thread(2, {}, "a", 1), thread(3, 77, "b", 2)});
  EXPECT_EQ(drawn(rows, living(rows)), (Lines{"main", "├─a", "└─b"}));
}

TEST(TopTree, NonsenseFromTheDaemonMakesNoCycle) {
  auto rows =
      rows_of({thread(1, 2, "main", 0), thread(2, 3, "a", 1), thread(3, 2, "b", 2), thread(4, 4, "self", 3)});
  EXPECT_EQ(drawn(rows, living(rows)).size(), 4u);
}

TEST(TopTree, OfDeepBranchesTheNearestAreDrawn) {
  auto rows =
      rows_of({thread(1, {}, "main", 0), thread(2, 1, "a", 1), thread(3, 2, "b", 2), thread(4, 3, "c", 3)});
  EXPECT_EQ(drawn(rows, living(rows), 2), (Lines{"main", "└─a", "  └─b", "…  └─c"}));
}

TEST(TopTree, EndedThreadsSaySoInWords) {
  auto rows = rows_of({thread(1, {}, "main", 0)}, {ended(thread(2, 1, "gone", 1), 2)});
  size_t state = column_named(cli::thread_columns(), "state");
  EXPECT_FALSE(rows.ended(0));
  EXPECT_TRUE(rows.ended(1));
  EXPECT_EQ(rows.cell(1, state, 15), "ended");
  EXPECT_EQ(rows.cell(1, column_named(cli::thread_columns(), "blocked"), 9), "");
}

}  // namespace
}  // namespace loiter::top::test
