#include "cli/columns.h"

#include <gtest/gtest.h>

#include <set>

#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

ProcessRow process(uint32_t pid, std::optional<uint64_t> blocked_ns = {}, const std::string& comm = "x") {
  ProcessRow row;
  row.pid = pid;
  row.comm = comm;
  if (blocked_ns)
    row.oldest_blocked = OldestBlocked{pid, comm, "sleeping", {blocked_ns, {}, Exactness::exact}, "futex"};
  return row;
}

std::vector<uint32_t> sorted(std::vector<ProcessRow> rows, std::string_view column, bool reversed = false) {
  sort_rows(rows, *find_column(process_columns(), column), reversed);
  std::vector<uint32_t> pids;
  for (const ProcessRow& row : rows) pids.push_back(row.pid);
  return pids;
}

template <typename Row>
void expect_sound(std::span<const Column<Row>> table) {
  std::set<std::string_view> names;
  for (const Column<Row>& column : table) {
    EXPECT_TRUE(names.insert(column.name).second) << column.name;
    EXPECT_GE(column.width, column.header.size()) << column.name;
    EXPECT_GE(column.most, column.width) << column.name;
    EXPECT_FALSE(column.about.empty()) << column.name;
    EXPECT_EQ(find_column(table, column.name), &column);
    column.text(Row{});  // nothing known: no crash
    EXPECT_TRUE(column.compare(Row{}, Row{}) == 0) << column.name;
  }
}

TEST(Columns, TablesAreSound) {
  expect_sound(process_columns());
  expect_sound(thread_columns());
  EXPECT_EQ(process_columns()[0].name, "pid");
  EXPECT_EQ(thread_columns()[0].name, "tid");
}

TEST(Columns, FoundInAnyCase) {
  EXPECT_EQ(find_column(process_columns(), "OLDest"), find_column(process_columns(), "oldest"));
  EXPECT_EQ(find_column(process_columns(), "old"), nullptr);
  EXPECT_EQ(find_column(process_columns(), ""), nullptr);
}

TEST(Columns, TheOldestComesFirstAndWhatIsNotBlockedLast) {
  EXPECT_EQ(sorted({process(1, 5), process(2), process(3, 9), process(4, 0)}, "oldest"),
            (std::vector<uint32_t>{3, 1, 4, 2}));
  EXPECT_EQ(sorted({process(1, 5), process(2), process(3, 9)}, "oldest", true),
            (std::vector<uint32_t>{2, 1, 3}));
}

TEST(Columns, EqualRowsStandByPidInBothDirections) {
  const std::vector<ProcessRow> rows{process(30, 7), process(10, 7), process(20, 7)};
  EXPECT_EQ(sorted(rows, "oldest"), (std::vector<uint32_t>{10, 20, 30}));
  EXPECT_EQ(sorted(rows, "oldest", true), (std::vector<uint32_t>{10, 20, 30}));
}

TEST(Columns, NamesSortUpwardsAndFiguresDownwards) {
  EXPECT_EQ(sorted({process(1, {}, "b"), process(2, {}, "a")}, "comm"), (std::vector<uint32_t>{2, 1}));
  ProcessRow busy = process(3), idle = process(4);
  busy.cpu_percent = 99.5;
  EXPECT_EQ(sorted({idle, busy}, "cpu"), (std::vector<uint32_t>{3, 4}));
  EXPECT_EQ(sorted({busy, idle}, "pid"), (std::vector<uint32_t>{3, 4}));
}

TEST(Columns, TheWorstFindingComesFirstAndNoneLast) {
  const auto marked = [](uint32_t pid, const std::string& kind, const std::string& severity) {
    ProcessRow row = process(pid);
    row.finding = FindingMark{"id", kind, severity};
    return row;
  };
  const std::vector<ProcessRow> rows{process(1), marked(2, "spin", "info"), marked(3, "stuck", "warning"),
                                     marked(4, "leak", "warning"), marked(5, "orphan", "critical")};
  EXPECT_EQ(sorted(rows, "finding"), (std::vector<uint32_t>{5, 4, 3, 2, 1}));
  EXPECT_EQ(sorted(rows, "FINDING", true), (std::vector<uint32_t>{1, 2, 3, 4, 5}));
  const ProcessColumn& column = *find_column(process_columns(), "finding");
  EXPECT_EQ(column.text(rows[0]), "");
  EXPECT_EQ(column.text(rows[4]), "orphan");
  EXPECT_EQ(column.text(marked(6, "a\x1b", "info")), "a\\x1b");
}

TEST(Columns, ForeignStringsAreEscaped) {
  ProcessRow row = process(1, 5, "a\x1b[31m\n");
  row.oldest_blocked->syscall = "b\x9b";
  row.oldest_blocked->state = "c\x7f";
  row.unit = "d\te";
  row.exe = "/bin/\u202egnp";
  for (const ProcessColumn& column : process_columns()) {
    const std::string text = column.text(row);
    EXPECT_EQ(text.find_first_of("\x1b\n\x9b\x7f\t"), text.npos) << column.name;
    EXPECT_EQ(text.find("\u202e"), text.npos) << column.name;
  }
  EXPECT_EQ(find_column(process_columns(), "comm")->text(row), "a\\x1b[31m\\n");
}

TEST(Columns, UnitElseContainerElseCgroup) {
  const ProcessColumn& unit = *find_column(process_columns(), "unit");
  ProcessRow row;
  row.cgroup = "/c";
  EXPECT_EQ(unit.text(row), "/c");
  row.container = "docker-1";
  EXPECT_EQ(unit.text(row), "docker-1");
  row.unit = "u.service";
  EXPECT_EQ(unit.text(row), "u.service");
}

TEST(Columns, ThreadTexts) {
  ThreadRow row;
  row.tid = 7;
  row.overdue = true;
  row.parent_tid = 3;
  row.parent_alive = false;
  EXPECT_EQ(find_column(thread_columns(), "overdue")->text(row), "!");
  EXPECT_EQ(find_column(thread_columns(), "creator")->text(row), "(3)");
  row.parent_alive = true;
  EXPECT_EQ(find_column(thread_columns(), "creator")->text(row), "3");
  row.parent_tid.reset();
  EXPECT_EQ(find_column(thread_columns(), "creator")->text(row), "?");
}

}  // namespace
}  // namespace loiter::cli
