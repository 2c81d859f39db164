// The thread tree from document to text: order, branches, and what must not break them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/thread_tree.h"
#include "cli/tree_layout.h"
#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

ThreadRow thread(uint32_t tid, std::optional<uint32_t> creator = {}, bool alive = true) {
  ThreadRow row;
  row.tid = tid;
  row.parent_tid = creator;
  row.parent_alive = alive;
  row.name = "t" + std::to_string(tid);
  row.state = "sleeping";
  return row;
}

// "branch tid" of each line.
std::vector<std::string> drawn(const std::vector<ThreadRow>& threads, Glyphs glyphs = Glyphs::unicode) {
  std::vector<std::string> lines;
  for (const TreeLine& line : layout_tree(creators_of(threads), glyphs))
    lines.push_back(line.branch + std::to_string(threads[line.index].tid));
  return lines;
}

TEST(TreeLayout, EachCreatorThenThoseItCreated) {
  const std::vector<ThreadRow> threads{thread(1),    thread(2, 1), thread(3, 1),
                                       thread(4, 2), thread(5, 4), thread(6, 3)};
  EXPECT_THAT(drawn(threads), ElementsAre("1", "├─ 2", "│  └─ 4", "│     └─ 5", "└─ 3", "   └─ 6"));
  EXPECT_THAT(drawn(threads, Glyphs::ascii),
              ElementsAre("1", "|- 2", "|  `- 4", "|     `- 5", "`- 3", "   `- 6"));
}

TEST(TreeLayout, NothingAndOne) {
  EXPECT_TRUE(drawn({}).empty());
  EXPECT_THAT(drawn({thread(1)}), ElementsAre("1"));
}

TEST(TreeLayout, UnknownAndEndedCreatorsHangBelowTheLeader) {
  EXPECT_THAT(drawn({thread(1), thread(2), thread(3, 99), thread(4, 2, false), thread(5, 2)}),
              ElementsAre("1", "├┄ 2", "│  └─ 5", "├┄ 3", "└┄ 4"));
}

TEST(TreeLayout, CyclesAreCut) {
  EXPECT_THAT(drawn({thread(1), thread(2, 3), thread(3, 2)}), ElementsAre("1", "└┄ 2", "   └─ 3"));
  EXPECT_THAT(drawn({thread(1), thread(2, 2)}), ElementsAre("1", "└┄ 2"));
  EXPECT_THAT(drawn({thread(1, 2), thread(2, 1)}), ElementsAre("1", "└─ 2")) << "the leader hangs nowhere";
}

TEST(TreeLayout, ATidThatStandsTwiceLosesNobody) {
  EXPECT_EQ(drawn({thread(1), thread(2, 1), thread(2, 1), thread(1, 2)}).size(), 4u);
}

TEST(TreeLayout, AChainOfTwentyThousand) {
  std::vector<ThreadRow> threads{thread(1)};
  for (uint32_t tid = 2; tid <= 20'000; ++tid) threads.push_back(thread(tid, tid - 1));
  const std::vector<std::string> lines = drawn(threads);
  ASSERT_EQ(lines.size(), 20'000u);
  for (uint32_t i = 0; i < lines.size(); ++i) {
    ASSERT_TRUE(lines[i].ends_with(std::to_string(i + 1)));
    ASSERT_LE(display_width(lines[i]), 3 * kDrawnLevels + 2 + 5);
  }
  EXPECT_TRUE(lines.back().starts_with("… "));
}

TEST(TreeLayout, TwentyThousandSiblings) {
  std::vector<ThreadRow> threads{thread(1)};
  for (uint32_t tid = 2; tid <= 20'000; ++tid) threads.push_back(thread(tid, 1));
  const std::vector<std::string> lines = drawn(threads);
  ASSERT_EQ(lines.size(), 20'000u);
  EXPECT_EQ(lines[1], "├─ 2");
  EXPECT_EQ(lines.back(), "└─ 20000");
}

// --- text ------------------------------------------------------------------------------------------

Tree tree_of(std::vector<ThreadRow> threads) {
  Tree tree;
  tree.process.pid = threads.empty() ? 1 : threads[0].tid;
  tree.process.comm = "api";
  tree.threshold_ns = 30'000'000'000;
  tree.threads = std::move(threads);
  return tree;
}

TEST(TreeText, TellsStateAgeSyscallAndOverdueInWords) {
  ThreadRow worker = thread(2, 1);
  worker.age = {192'000'000'000, 195'000'000'000, Exactness::estimated};
  worker.syscall = "futex";
  worker.overdue = true;
  worker.cpu_ns = 1'500'000'000;
  const auto lines = tree_lines(tree_of({thread(1), worker}), Glyphs::unicode, false);
  ASSERT_EQ(lines.size(), 4u) << "heading, titles, two threads; no legend";
  EXPECT_THAT(lines[0], AllOf(HasSubstr("1 api"), HasSubstr("2 threads, 1 overdue (past 30.0s)")));
  EXPECT_THAT(lines[3], AllOf(HasSubstr("└─ 2 t2"), HasSubstr("sleeping"), HasSubstr("3m12s..3m15s"),
                              HasSubstr("OVERDUE"), HasSubstr("futex"), HasSubstr("1.50s")));
}

Tree tree_with_wait() {
  ThreadRow worker = thread(23456, 1);
  worker.name = "db-reader";
  worker.age = {192'000'000'000, 195'000'000'000, Exactness::estimated};
  worker.syscall = "futex";
  worker.overdue = true;
  worker.wait = Wait{};
  worker.wait->kind = "lock";
  worker.wait->detail = "pthread_mutex_t";
  worker.wait->object = "0x7f55d0a1b2c0";
  worker.wait->holder_tid = 23457;
  worker.wait->holder_name = "db-writer";
  return tree_of({thread(1), worker});
}

TEST(TreeText, TellsTheWaitInWords) {
  const auto lines = tree_lines(tree_with_wait(), Glyphs::unicode, false);
  EXPECT_THAT(lines[1], AllOf(HasSubstr("WAIT"), HasSubstr("LIVED")));
  EXPECT_THAT(lines[3], HasSubstr("mutex 0x7f55d0a1b2c0 held by 23457 db-writer"));
  EXPECT_THAT(lines[3], Not(HasSubstr("futex")));
}

TEST(TreeText, WhereThreadsBeganHasAColumnWhereThereIsRoom) {
  Tree tree = tree_with_wait();
  EXPECT_THAT(tree_lines(tree, Glyphs::unicode, false)[1], Not(HasSubstr("START")));
  StartRoutine routine;
  routine.symbol = "execute_native_thread_routine";
  routine.callable = "shop::Keeper";
  routine.module = "/usr/lib/libstdc++.so.6";
  routine.offset = 0xd44a0;
  tree.threads[1].routine = routine;
  auto lines = tree_lines(tree, Glyphs::unicode, false, 200);
  EXPECT_THAT(lines[1], HasSubstr("START"));
  EXPECT_THAT(lines[3], HasSubstr("shop::Keeper"));
  EXPECT_THAT(tree_lines(tree, Glyphs::unicode, false, 80)[1], Not(HasSubstr("START")));
  routine.symbol = routine.callable = std::nullopt;
  tree.threads[1].routine = routine;
  EXPECT_THAT(tree_lines(tree, Glyphs::unicode, false)[3], HasSubstr("libstdc++.so.6+0xd44a0"));
}

TEST(TreeText, NarrowerItStaysWithinTheColumns) {
  for (const size_t columns : {80, 100, 120, 200}) {
    const auto lines = tree_lines(tree_with_wait(), Glyphs::unicode, false, columns);
    for (size_t i = 1; i < lines.size(); ++i) EXPECT_LE(display_width(lines[i]), columns) << lines[i];
    EXPECT_THAT(lines[3], HasSubstr("23457")) << columns;
  }
  EXPECT_THAT(tree_lines(tree_with_wait(), Glyphs::unicode, false, 200)[1], HasSubstr("LIVED"));
  EXPECT_THAT(tree_lines(tree_with_wait(), Glyphs::unicode, false, 80)[1], Not(HasSubstr("LIVED")));
  for (const size_t columns : {0, 1, 20})
    EXPECT_EQ(tree_lines(tree_with_wait(), Glyphs::ascii, false, columns).size(), 4u)
        << "cut by the terminal";
}

TEST(TreeText, OneLegendHoweverManyCreatorsAreNotKnown) {
  const auto lines =
      tree_lines(tree_of({thread(1), thread(2), thread(3), thread(4, 77, false)}), Glyphs::unicode, false);
  EXPECT_THAT(lines, Contains(HasSubstr("creator not known (2 threads")).Times(1));
  EXPECT_THAT(lines, Contains(HasSubstr("creator ended: 4 by 77")).Times(1));
}

TEST(TreeText, NastyNamesStayOnTheirLine) {
  const json document =
      json::parse(R"({"schema": 1, "as_of": "x", "process": {"pid": 1, "comm": "a\u001b]0;x\u0007"},
    "threads": [{"tid": 1, "name": "es\u001b[2J\nnew\"quote\u202e", "state": "sleeping", "syscall": "\u0000"},
                {"tid": 2, "parent_tid": 1, "name": "\ufffd", "state": "\r"}]})");
  auto tree = parse_tree(document);
  ASSERT_TRUE(tree) << tree.error().message;
  const auto lines = tree_lines(*tree, Glyphs::ascii, true);
  for (const std::string& line : lines) {
    EXPECT_EQ(line.find_first_of(std::string_view("\x1b\n\r\x07\0", 5)), line.npos)
        << escape_for_terminal(line);
    EXPECT_EQ(line.find("\u202e"), line.npos);
  }
  EXPECT_THAT(lines, Contains(HasSubstr(R"(1 es\x1b[2J\nnew"quote\u202e)")));
}

TEST(TreeText, EndedThreadsOnRequest) {
  Tree tree = tree_of({thread(1)});
  ThreadRow gone = thread(9, 1);
  gone.ended = "2026-11-21T06:18:04Z";
  gone.age.exactness = Exactness::estimated;
  gone.lived_ns = 2'000'000'000;
  tree.ended_threads = {gone};
  tree.ended_dropped = 5;
  EXPECT_THAT(tree_lines(tree, Glyphs::ascii, false), Not(Contains(HasSubstr("2026-11-21"))));
  const auto lines = tree_lines(tree, Glyphs::ascii, true);
  EXPECT_THAT(lines,
              Contains(AllOf(HasSubstr("t9"), HasSubstr("~2026-11-21T06:18:04Z"), HasSubstr("~2.00s"))));
  EXPECT_THAT(lines, Contains(HasSubstr("5 more ended threads were forgotten")));
}

TEST(TreeText, AProcessThatHasEnded) {
  Tree tree = tree_of({});
  tree.process.ended = "2026-11-21T06:18:04Z";
  EXPECT_THAT(tree_lines(tree, Glyphs::ascii, true)[0], HasSubstr("ENDED at 2026-11-21T06:18:04Z"));
}

}  // namespace
}  // namespace loiter::cli
