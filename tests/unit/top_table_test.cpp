// A table's cursor, order, filter and search, whatever happens to its rows.
#include <gtest/gtest.h>

#include "cli/top/process_rows.h"
#include "cli/top/table.h"
#include "cli/top/thread_rows.h"
#include "tests/unit/top_samples.h"

namespace loiter::top::test {
namespace {

Table process_table() {
  auto columns = cli::process_columns();
  return Table(headings_of(columns), column_named(columns, "oldest"), column_named(columns, "comm"));
}

std::shared_ptr<const Rows> rows_of(std::vector<cli::ProcessRow> processes) {
  return std::make_shared<ProcessRows>(*list_reply(std::move(processes)).list);
}

std::vector<std::string> drawn(Table& table, size_t lines, size_t columns = 80) {
  std::vector<Line> out;
  table.draw(out, lines, columns);
  return text_of(out);
}

// The line of the screen, counted from the headings, that the cursor is on.
size_t cursor_line(Table& table, size_t lines) {
  std::vector<Line> out;
  table.draw(out, lines, 80);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i].spans().front().style == Style::cursor) return i;
  return 0;
}

uint32_t pid_at_cursor(const Table& table, const Rows& rows) {
  return static_cast<uint32_t>(rows.id(table.row_at_cursor().value()).number);
}

std::vector<cli::ProcessRow> many(uint32_t count) {
  std::vector<cli::ProcessRow> processes;
  for (uint32_t pid = 1; pid <= count; ++pid)
    processes.push_back(process(pid, "p" + std::to_string(pid), 1000 - pid));
  return processes;
}

TEST(TopTable, OldestBlockedComesFirst) {
  Table table = process_table();
  table.set_rows(rows_of({process(1, "young", 5), process(2, "old", 500), process(3, "middle", 50)}));
  auto lines = drawn(table, 10);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_NE(lines[0].find("OLDEST↓"), std::string::npos);
  EXPECT_NE(lines[1].find("old"), std::string::npos);
  EXPECT_NE(lines[2].find("middle"), std::string::npos);
  EXPECT_NE(lines[3].find("young"), std::string::npos);
}

TEST(TopTable, WhatIsNotBlockedComesAfterAllThatIs) {
  cli::ProcessRow running = process(1, "running", 0);
  running.oldest_blocked.reset();
  Table table = process_table();
  table.set_rows(rows_of({running, process(2, "blocked", 0)}));
  EXPECT_NE(drawn(table, 10)[2].find("running"), std::string::npos);
}

TEST(TopTable, EveryColumnCanBeSortedByAndInverted) {
  Table table = process_table();
  auto rows = rows_of(many(5));
  table.set_rows(rows);
  const std::string first = table.sorted_by();
  std::set<std::string> seen;
  for (size_t i = 0; i < cli::process_columns().size(); ++i, table.sort_beside(1))
    seen.insert(table.sorted_by());
  EXPECT_EQ(seen.size(), cli::process_columns().size());
  EXPECT_EQ(table.sorted_by(), first);
  EXPECT_EQ(pid_at_cursor(table, *rows), 1u);
  table.invert();
  EXPECT_EQ(table.sorted_by(), "OLDEST↑");
  EXPECT_EQ(pid_at_cursor(table, *rows), 5u);
  table.sort_beside(-1);
  table.sort_beside(1);
  EXPECT_EQ(table.sorted_by(), "OLDEST↓") << "a column chosen anew begins with its useful order";
}

TEST(TopTable, TheCursorStaysOnItsRowAndLineWhenTheOrderChanges) {
  Table table = process_table();
  table.set_rows(rows_of(many(100)));
  drawn(table, 21);
  for (int i = 0; i < 50; ++i) table.move(key_of(KeyCode::down));
  for (int i = 0; i < 5; ++i) table.move(key_of(KeyCode::up));
  size_t line = cursor_line(table, 21);
  auto changed = many(100);
  changed[45].oldest_blocked->age.blocked_ns = 970 * kSecond;  // pid 46 moves up
  auto rows = rows_of(changed);
  table.set_rows(rows);
  EXPECT_EQ(pid_at_cursor(table, *rows), 46u);
  EXPECT_EQ(cursor_line(table, 21), line);
  table.invert();
  EXPECT_EQ(pid_at_cursor(table, *rows), 46u);
  EXPECT_EQ(cursor_line(table, 21), line);
}

TEST(TopTable, ACursorNeverMovedStaysAtTheTop) {
  Table table = process_table();
  table.set_rows(rows_of(many(10)));
  auto rows = rows_of({process(7, "seven", 1), process(8, "eight", 2)});
  table.set_rows(rows);
  EXPECT_EQ(pid_at_cursor(table, *rows), 8u);
  table.move(key_of(KeyCode::down));
  table.move(key_of(KeyCode::home));
  table.invert();
  EXPECT_EQ(pid_at_cursor(table, *rows), 7u);
}

TEST(TopTable, APidUsedAgainIsAnotherProcess) {
  Table table = process_table();
  table.set_rows(rows_of({process(1, "a", 3), process(2, "b", 2), process(3, "c", 1)}));
  table.move(key_of(KeyCode::down));
  cli::ProcessRow reused = process(2, "other", 99);
  reused.start_boottime_ns += 1;
  auto rows = rows_of({process(1, "a", 3), reused, process(3, "c", 1)});
  table.set_rows(rows);
  EXPECT_EQ(pid_at_cursor(table, *rows), 1u) << "the neighbour that took its place, not the new process";
}

TEST(TopTable, TheCursorSurvivesTheEndOfItsRowAndOfAll) {
  Table table = process_table();
  table.set_rows(rows_of(many(30)));
  drawn(table, 11);
  table.move(key_of(KeyCode::end));
  auto rows = rows_of(many(3));
  table.set_rows(rows);
  EXPECT_EQ(pid_at_cursor(table, *rows), 3u);
  EXPECT_EQ(drawn(table, 11).size(), 4u);
  table.set_rows(rows_of({}));
  EXPECT_FALSE(table.row_at_cursor());
  for (KeyCode code : {KeyCode::up, KeyCode::down, KeyCode::end, KeyCode::page_up, KeyCode::page_down})
    table.move(key_of(code));
  EXPECT_FALSE(table.search("x"));
  EXPECT_FALSE(table.search_again(1));
  EXPECT_EQ(drawn(table, 11).size(), 1u);
}

TEST(TopTable, PagesOverlapByOneRow) {
  Table table = process_table();
  auto rows = rows_of(many(100));
  table.set_rows(rows);
  drawn(table, 11);  // ten rows
  table.move(key_of(KeyCode::page_down));
  EXPECT_EQ(pid_at_cursor(table, *rows), 10u);
  EXPECT_EQ(cursor_line(table, 11), 1u);
  table.move(key_of(KeyCode::page_up));
  EXPECT_EQ(pid_at_cursor(table, *rows), 1u);
}

TEST(TopTable, AnySizeOfScreenShowsTheCursor) {
  Table table = process_table();
  table.set_rows(rows_of(many(50)));
  table.move(key_of(KeyCode::end));
  for (size_t lines : {1, 2, 3, 10, 49, 50, 51, 200, 2, 1}) {
    for (size_t columns : {1, 7, 80}) {
      std::vector<Line> out;
      table.draw(out, lines, columns);
      EXPECT_LE(out.size(), lines);
      for (const Line& line : out) EXPECT_EQ(line.width(), columns);
      EXPECT_EQ(out.back().spans().front().style, Style::cursor);
    }
  }
}

TEST(TopTable, AFilterShowsWhatMatchesInAnyCaseOfLetters) {
  Table table = process_table();
  auto rows = rows_of({process(1, "Redis", 3), process(2, "postgres", 2), process(3, "redis-cli", 1)});
  table.set_rows(rows);
  table.set_filter("REDIS");
  EXPECT_EQ(table.shown(), 2u);
  table.set_filter("futex");
  EXPECT_EQ(table.shown(), 3u);
  table.set_filter("nothing like it");
  EXPECT_EQ(table.shown(), 0u);
  table.set_filter("");
  EXPECT_EQ(table.shown(), 3u);
}

TEST(TopTable, SearchGoesOnAroundTheEnds) {
  Table table = process_table();
  auto rows = rows_of({process(1, "w1", 9), process(2, "y", 8), process(3, "w2", 7), process(4, "z", 6)});
  table.set_rows(rows);
  EXPECT_TRUE(table.search("w2"));
  EXPECT_EQ(pid_at_cursor(table, *rows), 3u);
  EXPECT_TRUE(table.search("w"));
  EXPECT_TRUE(table.search_again(1));
  EXPECT_EQ(pid_at_cursor(table, *rows), 1u);
  EXPECT_TRUE(table.search_again(1));
  EXPECT_EQ(pid_at_cursor(table, *rows), 3u);
  EXPECT_TRUE(table.search_again(-1));
  EXPECT_EQ(pid_at_cursor(table, *rows), 1u);
  EXPECT_TRUE(table.search_again(-1));
  EXPECT_EQ(pid_at_cursor(table, *rows), 3u);
  EXPECT_FALSE(table.search("no such"));
  EXPECT_EQ(pid_at_cursor(table, *rows), 3u);
}

TEST(TopTable, NastyNamesKeepTheColumnsAligned) {
  const std::vector<std::string> names{
      "\x1b[2J",   "a\nb",        "\xff\xfe", "日本語スレッド",        "e\u0301e\u0301e\u0301", "\u202egnp.x",
      "tab\tname", "quote\"'`\\", "",         std::string("nul\0x", 5)};
  std::vector<cli::ProcessRow> processes;
  for (uint32_t i = 0; i < names.size(); ++i) processes.push_back(process(i + 1, names[i], 1));
  Table table = process_table();
  table.set_rows(rows_of(processes));
  for (size_t columns : {10, 30, 80, 140}) {
    std::vector<Line> out;
    table.draw(out, 40, columns);
    ASSERT_EQ(out.size(), names.size() + 1);
    for (const Line& line : out) {
      EXPECT_EQ(line.width(), columns) << line.text();
      for (char c : line.text()) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
  }
}

TEST(TopTable, ATreeOfTwentyThousandInOneChainIsDrawn) {
  std::vector<cli::ThreadRow> threads;
  for (uint32_t i = 0; i < 20'000; ++i)
    threads.push_back(thread(i + 1, i ? std::optional(i) : std::nullopt, "worker", i));
  auto rows = std::make_shared<ThreadRows>(*tree_reply(process(1, "deep", 1), threads).tree);
  auto columns = cli::thread_columns();
  Table table(headings_of(columns), column_named(columns, "tid"), column_named(columns, "name"));
  table.set_tree(true);
  table.set_rows(rows);
  table.move(key_of(KeyCode::end));
  auto lines = drawn(table, 24);
  EXPECT_NE(lines.back().find("20000"), std::string::npos);
  EXPECT_NE(lines.back().find("└─worker"), std::string::npos);
  EXPECT_NE(lines.back().find("…"), std::string::npos);
}

}  // namespace
}  // namespace loiter::top::test
