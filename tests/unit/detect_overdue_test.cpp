// Who is overdue, and what is found of it.
#include "daemon/detect/overdue.h"
#include "tests/unit/units.h"

#include <gtest/gtest.h>

#include <cstring>

namespace loiter {
namespace {

ThreadView blocked(uint32_t tid, std::optional<uint64_t> ns, Exactness exactness = Exactness::estimated) {
  ThreadView thread;
  thread.key = {tid, tid * 10};
  thread.state = ns ? TaskState::sleeping : TaskState::running;
  thread.blocked_ns = ns;
  if (exactness == Exactness::estimated) thread.blocked_max_ns = ns;
  thread.exactness = exactness;
  return thread;
}

ProcessView make_process(uint32_t pid, std::vector<ThreadView> threads) {
  ProcessView process;
  process.key = {pid, pid * 10};
  process.threads = std::move(threads);
  return process;
}

Snapshot two_processes() {
  Snapshot snapshot;
  snapshot.processes.push_back(
      make_process(1, {blocked(1, 40 * kSecond), blocked(2, {}), blocked(3, 30 * kSecond)}));
  snapshot.processes.push_back(make_process(5, {blocked(5, 90 * kSecond), blocked(6, 30 * kSecond - 1)}));
  return snapshot;
}

std::vector<uint32_t> tids_of(const std::vector<OverdueThread>& overdue) {
  std::vector<uint32_t> tids;
  for (const OverdueThread& item : overdue) tids.push_back(item.thread->key.tid);
  return tids;
}

TEST(Overdue, TheLongestBlockedComeFirst) {
  const Snapshot snapshot = two_processes();
  EXPECT_EQ(tids_of(find_overdue(snapshot, 30 * kSecond, {})), (std::vector<uint32_t>{5, 1, 3}));
  EXPECT_EQ(tids_of(find_overdue(snapshot, 100 * kSecond, {})), std::vector<uint32_t>{});
}

TEST(Overdue, OfOneProcess) {
  const Snapshot snapshot = two_processes();
  EXPECT_EQ(tids_of(find_overdue(snapshot, 30 * kSecond, 1)), (std::vector<uint32_t>{1, 3}));
  EXPECT_EQ(tids_of(find_overdue(snapshot, 30 * kSecond, 2)), std::vector<uint32_t>{});
}

TEST(Overdue, AThreadThatRunsNeverIs) {
  const ProcessView process = make_process(1, {});
  EXPECT_FALSE(is_overdue(process, blocked(1, {}), 0));
  EXPECT_TRUE(is_overdue(process, blocked(1, 0), 0));
}

TEST(Overdue, WhatMayBeButIsNotCertainlyIsNot) {
  ThreadView thread = blocked(1, 29 * kSecond);
  thread.blocked_max_ns = 31 * kSecond;
  EXPECT_FALSE(is_overdue(make_process(1, {}), thread, 30 * kSecond));
}

TEST(Overdue, KernelThreadsRestUnlessTheyWaitUninterruptibly) {
  ProcessView kernel = make_process(2, {});
  kernel.kernel = true;
  ThreadView thread = blocked(2, 90 * kSecond);
  for (TaskState state : {TaskState::idle, TaskState::parked, TaskState::sleeping}) {
    thread.state = state;
    EXPECT_FALSE(is_overdue(kernel, thread, kSecond)) << to_string(state);
  }
  thread.state = TaskState::uninterruptible;
  EXPECT_TRUE(is_overdue(kernel, thread, kSecond));
}

TEST(Overdue, EachMakesAFindingWithAnIdThatOutlivesTheDaemon) {
  Snapshot snapshot = two_processes();
  std::strcpy(snapshot.processes[1].threads[0].name.bytes, "wor\nker");
  snapshot.processes[1].threads[0].syscall = 0;
  const auto findings = overdue_findings(find_overdue(snapshot, 30 * kSecond, {}), 30 * kSecond);
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].id.substr(0, 10), "overdue-5-") << findings[0].id;
  EXPECT_EQ(findings[0].kind, FindingKind::overdue);
  EXPECT_STREQ(to_string(findings[0].severity), "warning");
  EXPECT_STREQ(to_string(findings[0].certainty), "proven");
  EXPECT_EQ(findings[0].process.key, snapshot.processes[1].key);
  EXPECT_EQ(findings[0].id, overdue_findings(find_overdue(snapshot, 40 * kSecond, {}), kSecond)[0].id);
  EXPECT_NE(findings[0].summary.find("has been sleeping for 1m30s"), std::string::npos)
      << findings[0].summary;
  EXPECT_FALSE(findings[0].hint.empty());
  EXPECT_NE(findings[1].id, findings[2].id);
}

TEST(Overdue, ThreadsWithoutADateAreCountedAsNotJudged) {
  Snapshot snapshot;
  snapshot.begin_boot_ns = 3600 * kSecond;
  snapshot.processes.push_back(
      make_process(1, {blocked(1, kSecond, Exactness::lower_bound),
                       blocked(2, 40 * kSecond, Exactness::lower_bound), blocked(3, kSecond)}));
  EXPECT_EQ(count_undated(snapshot, 30 * kSecond, {}), 1u);
  EXPECT_EQ(count_undated(snapshot, 30 * kSecond, 1), 1u);
  EXPECT_EQ(count_undated(snapshot, 30 * kSecond, 2), 0u);
  EXPECT_EQ(count_undated(snapshot, 2 * 3600 * kSecond, {}), 0u);  // nobody has lived so long
  snapshot.processes[0].kernel = true;
  EXPECT_EQ(count_undated(snapshot, 30 * kSecond, {}), 0u);
}

}  // namespace
}  // namespace loiter
