// Findings over time: raised once, updated, resolved, kept within bounds.
#include "daemon/detect/finding_book.h"

#include <gtest/gtest.h>

#include "daemon/detect/finding_marks.h"
#include "tests/unit/pictures.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

class FindingBookTest : public ::testing::Test {
 protected:
  static Finding finding(const std::string& id, uint64_t count = 1, uint32_t pid = 10) {
    Finding made;
    made.id = id;
    made.kind = FindingKind::stuck;
    made.severity = Severity::warning;
    made.process.key = {pid, pid * 1000};
    made.count = count;
    made.threads.emplace_back().key = {11, 11'000};
    return made;
  }
  FindingBook::Changes at(uint64_t seconds, std::vector<Finding> found, bool process_lives = true) {
    auto snapshot = make_snapshot({});
    if (process_lives) snapshot->processes.push_back(make_process(10, "p", {}));
    snapshot->begin_boot_ns = (100 + seconds) * kSecond;
    return book_.update(std::move(found), *snapshot);
  }
  FindingBook book_{
      {.live = 3, .resolved = 2, .resolve_after_ns = 3 * kSecond, .tell_update_after_ns = 10 * kSecond}};
};

TEST_F(FindingBookTest, IsRaisedOnceAndResolvedOnce) {
  EXPECT_EQ(at(0, {finding("a")}).raised.size(), 1u);
  for (uint64_t s = 1; s < 5; ++s) {
    const auto changes = at(s, {finding("a")});
    EXPECT_TRUE(changes.raised.empty() && changes.updated.empty() && changes.resolved.empty());
  }
  EXPECT_EQ(book_.live().at(0)->first_boot_ns, 100 * kSecond);
  EXPECT_EQ(book_.live().at(0)->last_boot_ns, 104 * kSecond);
  EXPECT_TRUE(at(5, {}).resolved.empty()) << "once missing is not gone";
  EXPECT_TRUE(at(6, {}).resolved.empty());
  const auto changes = at(7, {});
  ASSERT_EQ(changes.resolved.size(), 1u);
  EXPECT_EQ(changes.resolved[0]->resolution, Resolution::cause_gone);
  EXPECT_TRUE(book_.live().empty());
  EXPECT_EQ(book_.resolved().size(), 1u);
  EXPECT_TRUE(at(8, {}).resolved.empty());
}

TEST_F(FindingBookTest, OneThatComesBackInTimeIsTheSame) {
  at(0, {finding("a")});
  at(1, {});
  at(2, {});
  EXPECT_TRUE(at(2, {finding("a")}).raised.empty());
  EXPECT_EQ(book_.live().at(0)->first_boot_ns, 100 * kSecond);
}

TEST_F(FindingBookTest, EndsWithItsProcess) {
  at(0, {finding("a")});
  const auto changes = at(1, {}, false);
  ASSERT_EQ(changes.resolved.size(), 1u);
  EXPECT_EQ(changes.resolved[0]->resolution, Resolution::process_ended);
}

TEST_F(FindingBookTest, NumbersAreToldNowAndThenAndSeverityAtOnce) {
  at(0, {finding("a")});
  for (uint64_t s = 1; s < 10; ++s) EXPECT_TRUE(at(s, {finding("a", 1 + s)}).updated.empty());
  EXPECT_EQ(at(10, {finding("a", 11)}).updated.size(), 1u);
  EXPECT_TRUE(at(25, {finding("a", 11)}).updated.empty()) << "nothing has changed since";
  Finding worse = finding("a", 11);
  worse.severity = Severity::critical;
  EXPECT_EQ(at(26, {worse}).updated.size(), 1u);
}

TEST_F(FindingBookTest, KeepsTheStackOfWhenItWasRaised) {
  Finding first = finding("a");
  first.threads[0].stack = {
      {.symbol = "culprit", .module = "", .offset = 0, .file = "", .line = 0, .inlined = false}};
  at(0, {first});
  Finding later = finding("a");
  later.threads[0].blocked_ns = 9 * kSecond;
  at(1, {later});
  const FindingThread& thread = book_.live().at(0)->finding.threads.at(0);
  ASSERT_EQ(thread.stack.size(), 1u);
  EXPECT_EQ(thread.stack[0].symbol, "culprit");
  EXPECT_EQ(thread.blocked_ns, 9 * kSecond);
}

TEST_F(FindingBookTest, MembersAreHeldWhileItLastsAndByItAlone) {
  Finding first = finding("a");
  first.members = {{10, 11, 11'000}, {10, 12, 12'000}};
  auto changes = at(0, {first});
  EXPECT_EQ(book_.members("a").size(), 2u);
  EXPECT_TRUE(changes.raised.at(0)->finding.members.empty());
  EXPECT_TRUE(book_.live().at(0)->finding.members.empty());
  first.members.pop_back();
  at(1, {first});
  EXPECT_EQ(book_.members("a").size(), 1u) << "as of when it was last found";
  at(2, {});
  EXPECT_EQ(book_.members("a").size(), 1u) << "it still lasts";
  changes = at(5, {});
  ASSERT_EQ(changes.resolved.size(), 1u);
  EXPECT_TRUE(book_.members("a").empty());
}

TEST_F(FindingBookTest, MarksAreTheWorstOnThreadsAndProcesses) {
  auto snapshot =
      make_snapshot({make_process(10, "p", {}), make_process(20, "q", {}), make_process(30, "r", {})});
  Finding worst = finding("z"), other = finding("b");
  worst.members = {{10, 11, 11'000}, {20, 21, 21'000}, {30, 31, 29'999}};
  other.members = {{10, 11, 11'000}, {10, 12, 12'000}};
  book_.update({worst, other}, *snapshot);
  std::vector<KeptFindingPtr> ranked = book_.live();
  std::swap(ranked.at(0), ranked.at(1));
  const FindingMarks marks(ranked, book_, *snapshot);
  const auto id_of = [](const Finding* finding) { return finding ? finding->id : ""; };
  EXPECT_EQ(id_of(marks.of_thread({11, 11'000})), "z");
  EXPECT_EQ(id_of(marks.of_thread({12, 12'000})), "b");
  EXPECT_EQ(id_of(marks.of_thread({12, 12'001})), "") << "another one with its number";
  EXPECT_EQ(id_of(marks.of_thread({10, 10'000})), "") << "the leader is in none, only its process";
  EXPECT_EQ(id_of(marks.of_process({10, 10'000})), "z");
  EXPECT_EQ(id_of(marks.of_process({20, 20'000})), "z") << "for a thread of it";
  EXPECT_EQ(id_of(marks.of_process({30, 30'000})), "") << "the thread was of who had the pid before";
  EXPECT_EQ(id_of(FindingMarks().of_process({10, 10'000})), "");
}

TEST_F(FindingBookTest, OneOfAnEarlierRunMarksTheThreadsThatWereKept) {
  auto snapshot = make_snapshot({make_process(10, "p", {})});
  KeptFinding kept;
  kept.finding = finding("a");
  kept.finding.threads[0].pid = 10;
  book_.restore(kept);
  const FindingMarks marks(book_.live(), book_, *snapshot);
  EXPECT_NE(marks.of_thread({11, 11'000}), nullptr);
  EXPECT_NE(marks.of_process({10, 10'000}), nullptr);
}

TEST_F(FindingBookTest, WhatIsIgnoredFromNowOnIsResolvedAsThat) {
  at(0, {finding("a"), finding("b")});
  auto snapshot = make_snapshot({make_process(10, "p", {})});
  snapshot->begin_boot_ns = 101 * kSecond;
  const auto changes = book_.update({finding("b")}, *snapshot, {"a"});
  ASSERT_EQ(changes.resolved.size(), 1u);
  EXPECT_EQ(changes.resolved[0]->finding.id, "a");
  EXPECT_EQ(changes.resolved[0]->resolution, Resolution::ignored);
}

TEST_F(FindingBookTest, IsBoundedAndCountsWhatItDrops) {
  at(0, {finding("a"), finding("b"), finding("c"), finding("d")});
  EXPECT_EQ(book_.live().size(), 3u);
  EXPECT_EQ(book_.dropped(), 1u);
  at(10, {});
  EXPECT_EQ(book_.resolved().size(), 2u);
}

TEST_F(FindingBookTest, OneOfAnEarlierRunLasts) {
  KeptFinding kept;
  kept.finding = finding("a");
  kept.first_boot_ns = 7;
  kept.last_boot_ns = 50 * kSecond;
  kept.unwatched = true;
  book_.restore(kept);
  const auto changes = at(0, {finding("a")});
  EXPECT_TRUE(changes.raised.empty());
  EXPECT_EQ(changes.updated.size(), 1u) << "that it lasts is told";
  EXPECT_EQ(book_.live().at(0)->first_boot_ns, 7u);
  EXPECT_FALSE(book_.live().at(0)->unwatched);
  EXPECT_TRUE(at(1, {finding("a")}).updated.empty()) << "once";
}

TEST_F(FindingBookTest, OneOfAnEarlierRunIsHeldUntilItCouldHaveBeenFoundAgain) {
  KeptFinding kept;
  kept.finding = finding("a");
  kept.last_boot_ns = 50 * kSecond;
  kept.unwatched = true;
  kept.hold_boot_ns = 110 * kSecond;
  book_.restore(kept);
  for (uint64_t s = 0; s < 10; ++s) EXPECT_TRUE(at(s, {}).resolved.empty());
  const auto changes = at(10, {});
  ASSERT_EQ(changes.resolved.size(), 1u);
  EXPECT_EQ(changes.resolved[0]->resolution, Resolution::cause_gone);
  EXPECT_TRUE(changes.resolved[0]->unwatched);
}

TEST_F(FindingBookTest, OneOfAnEarlierRunWhoseProcessEndedIsResolvedAtOnce) {
  KeptFinding kept;
  kept.finding = finding("a");
  kept.unwatched = true;
  kept.hold_boot_ns = 200 * kSecond;
  book_.restore(kept);
  const auto changes = at(0, {}, false);
  ASSERT_EQ(changes.resolved.size(), 1u);
  EXPECT_EQ(changes.resolved[0]->resolution, Resolution::process_ended);
}

TEST_F(FindingBookTest, OneThatIsRestoredLateIsMadeOneWithWhatWasFound) {
  at(0, {finding("a")});
  KeptFinding kept;
  kept.finding = finding("a");
  kept.first_boot_ns = 7;
  book_.restore(kept);
  EXPECT_EQ(book_.live().size(), 1u);
  EXPECT_EQ(book_.live().at(0)->first_boot_ns, 7u);
}

}  // namespace
}  // namespace loiter::test
