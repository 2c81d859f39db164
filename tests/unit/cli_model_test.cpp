#include "cli/model.h"
#include "tests/unit/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json tree_document() {
  return json::parse(
      R"({"schema": 1, "as_of": "2026-11-21T06:18:04.000000000Z", "as_of_boottime_ns": 9000000000,
    "threshold_ns": 30000000000, "ended_dropped": 4,
    "process": {"pid": 812, "parent_pid": 1, "comm": "api", "exe": null, "cgroup": "/x", "unit": "api.service",
                "container": null, "uid": 33, "kernel": false, "thread_count": 2, "blocked": 1, "overdue": 1,
                "born_per_s": 0.5, "cpu_percent": 12.25, "cpu_ns": 77, "ended": null,
                "oldest_blocked": {"tid": 814, "name": "w", "state": "sleeping", "blocked_ns": 5,
                                   "blocked_max_ns": 6, "exactness": "estimated", "syscall": "futex"},
                "finding": {"id": "deadlock-812-2", "kind": "deadlock", "severity": "critical"}},
    "threads": [
      {"tid": 812, "parent_tid": null, "parent_alive": null, "name": "api", "state": "running",
       "born_boottime_ns": 1000000000, "blocked_ns": null, "blocked_max_ns": null, "exactness": null,
       "syscall": null, "cpu": 1, "cpu_ns": 5, "voluntary_switches": 3, "involuntary_switches": 4, "overdue": false},
      {"tid": 814, "parent_tid": 812, "parent_alive": true, "name": "w", "state": "sleeping",
       "born_boottime_ns": 2000000000, "blocked_ns": 3, "blocked_max_ns": null, "exactness": "lower_bound",
       "syscall": "futex", "overdue": true, "a_new_field": {"x": 1},
       "finding": {"id": "stuck-812-1", "kind": "stuck", "severity": "warning"}}],
    "ended_threads": [
      {"tid": 813, "parent_tid": 812, "name": "gone", "born_boottime_ns": 1000000000, "ended": "2026",
       "ended_boottime_ns": 4000000000, "exactness": "exact", "cpu_ns": 9}]})");
}

TEST(ParseTree, ReadsEveryField) {
  auto tree = parse_tree(tree_document());
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ(tree->threshold_ns, 30 * kSecond);
  EXPECT_EQ(tree->ended_dropped, 4u);
  EXPECT_EQ(tree->process.pid, 812u);
  EXPECT_EQ(tree->process.exe, "");
  EXPECT_EQ(tree->process.unit, "api.service");
  EXPECT_EQ(tree->process.container, std::nullopt);
  EXPECT_EQ(tree->process.cpu_percent, 12.25);
  EXPECT_EQ(tree->process.ended, std::nullopt);
  ASSERT_TRUE(tree->process.oldest_blocked);
  EXPECT_EQ(tree->process.oldest_blocked->age.blocked_max_ns, 6u);
  ASSERT_EQ(tree->threads.size(), 2u);
  const ThreadRow& leader = tree->threads[0];
  EXPECT_EQ(leader.parent_tid, std::nullopt);
  EXPECT_FALSE(leader.age.exactness);
  EXPECT_EQ(leader.involuntary_switches, 4u);
  EXPECT_EQ(leader.lived_ns, 8 * kSecond);
  const ThreadRow& worker = tree->threads[1];
  EXPECT_EQ(worker.parent_tid, 812u);
  EXPECT_EQ(worker.age.exactness, Exactness::lower_bound);
  EXPECT_EQ(worker.syscall, "futex");
  EXPECT_TRUE(worker.overdue);
  ASSERT_TRUE(worker.finding && tree->process.finding);
  EXPECT_EQ(worker.finding->id, "stuck-812-1");
  EXPECT_EQ(worker.finding->kind, "stuck");
  EXPECT_EQ(worker.finding->severity, "warning");
  EXPECT_EQ(tree->process.finding->kind, "deadlock");
  EXPECT_FALSE(leader.finding);
  ASSERT_EQ(tree->ended_threads.size(), 1u);
  EXPECT_EQ(tree->ended_threads[0].lived_ns, 3 * kSecond);
}

TEST(ParseTree, RefusesWhatIsNoTree) {
  for (const char* pointer : {"/process", "/threads"}) {
    json document = tree_document();
    document.erase(std::string(pointer).substr(1));
    EXPECT_FALSE(parse_tree(document)) << pointer;
  }
  EXPECT_FALSE(parse_tree(json::array()));
  EXPECT_FALSE(parse_tree(json()));
}

TEST(ParseTree, RefusesMembersOfAnotherType) {
  for (const char* pointer : {"/threads/0/tid", "/threads/0/name", "/process/comm", "/process/pid",
                              "/process/oldest_blocked", "/threads/1/blocked_ns", "/threads/1/overdue"}) {
    json document = tree_document();
    document[json::json_pointer(pointer)] = json::array({1});
    auto tree = parse_tree(document);
    ASSERT_FALSE(tree) << pointer;
    EXPECT_EQ(tree.error().kind, Error::Kind::unavailable);
    EXPECT_THAT(tree.error().message, HasSubstr("cannot be understood"));
  }
}

TEST(ParseTree, RefusesTidsOutOfRange) {
  for (const int64_t tid : {int64_t{-1}, int64_t{1} << 32}) {
    for (const char* pointer : {"/threads/0/tid", "/threads/1/parent_tid", "/process/pid"}) {
      json document = tree_document();
      document[json::json_pointer(pointer)] = tid;
      EXPECT_FALSE(parse_tree(document)) << pointer << " " << tid;
    }
  }
}

TEST(ParseTree, AClockThatWentBackGivesNoHugeAge) {
  json document = tree_document();
  document["threads"][0]["born_boottime_ns"] = 99 * kSecond;
  auto tree = parse_tree(document);
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->threads[0].lived_ns, 0u);
}

TEST(ParseProcessList, ReadsHostAndProcesses) {
  const json document =
      json::parse(R"({"schema": 1, "as_of": "x", "host": {"name": "h", "processes": 1, "threads": 2,
    "blocked": 3, "overdue": 4, "born_per_s": 1.5, "ended_per_s": 2.5, "census_ns": 6, "losses_total": 7,
    "threshold_ns": 8}, "processes": [{"pid": 5, "comm": "c", "oldest_blocked": null}]})");
  auto list = parse_process_list(document);
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->host.overdue, 4u);
  EXPECT_EQ(list->host.ended_per_s, 2.5);
  EXPECT_EQ(list->host.losses_total, 7u);
  ASSERT_EQ(list->processes.size(), 1u);
  EXPECT_FALSE(list->processes[0].oldest_blocked);
  EXPECT_FALSE(parse_process_list(json{{"schema", 1}}));
}

TEST(FormatAge, ShowsHowWellItIsKnown) {
  const uint64_t ns = 192 * kSecond;
  EXPECT_EQ(format_age({ns, ns, Exactness::exact}), "3m12s");
  EXPECT_EQ(format_age({ns, ns, Exactness::estimated}), "~3m12s");
  EXPECT_EQ(format_age({ns, std::nullopt, Exactness::lower_bound}), ">=3m12s");
  EXPECT_EQ(format_age({std::nullopt, std::nullopt, Exactness::unknown}), "?");
  EXPECT_EQ(format_age({}), "");
}

TEST(FormatAge, ARangeOnlyWhereItsEndsDiffer) {
  const uint64_t ns = 192 * kSecond;
  EXPECT_EQ(format_age({ns, ns + 3 * kSecond, Exactness::estimated}, true), "3m12s..3m15s");
  EXPECT_EQ(format_age({ns, ns + 3 * kSecond, Exactness::estimated}), "~3m12s");
  EXPECT_EQ(format_age({ns, ns + kSecond, Exactness::estimated}, true), "~3m12s") << "less than a hundredth";
  EXPECT_EQ(format_age({ns, std::nullopt, Exactness::estimated}, true), "~3m12s");
  EXPECT_EQ(format_age({ns, ns - 1, Exactness::estimated}, true), "~3m12s");
}

}  // namespace
}  // namespace loiter::cli
