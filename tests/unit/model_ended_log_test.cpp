// What is kept of threads and processes that ended, and what is forgotten.
#include "daemon/model/ended_log.h"

#include <gtest/gtest.h>

namespace loiter::test {
namespace {

EndedThread ended(uint32_t tid, uint64_t ended_boot_ns, uint32_t tgid = 1) {
  EndedThread thread;
  thread.key = {tid, 100};
  thread.tgid = tgid;
  thread.process_start_boot_ns = 50;
  thread.ended_boot_ns = ended_boot_ns;
  return thread;
}

ProcessView ended_process(uint32_t pid, uint64_t ended_boot_ns) {
  ProcessView process;
  process.key = {pid, 50};
  process.ended_boot_ns = ended_boot_ns;
  process.threads.resize(3);
  return process;
}

Snapshot copy_of(const EndedLog& log) {
  Snapshot snapshot;
  log.copy_to(snapshot);
  return snapshot;
}

TEST(EndedLog, FindsWhatWasAddedAndNothingElse) {
  EndedLog log(10, 1000);
  log.add(ended(7, 200));
  ASSERT_TRUE(log.find({7, 100}));
  EXPECT_EQ(log.find({7, 100})->ended_boot_ns, 200u);
  EXPECT_FALSE(log.find({7, 101}));
  EXPECT_FALSE(log.find({8, 100}));
}

TEST(EndedLog, KeepsNoMoreThanItsBoundAndCountsTheRest) {
  EndedLog log(3, 1'000'000);
  for (uint32_t tid = 1; tid <= 10; ++tid) log.add(ended(tid, tid, tid % 2 + 1));
  Snapshot snapshot = copy_of(log);
  ASSERT_EQ(snapshot.ended.size(), 3u);
  EXPECT_EQ(snapshot.ended.front().key.tid, 8u);
  EXPECT_EQ(snapshot.ended_dropped, 7u);
  EXPECT_EQ(log.dropped_of({1, 50}), 3u);
  EXPECT_EQ(log.dropped_of({2, 50}), 4u);
  EXPECT_FALSE(log.find({7, 100}));
  EXPECT_EQ(log.find({9, 100})->ended_boot_ns, 9u);
}

TEST(EndedLog, ForgetsByAgeWithoutCounting) {
  EndedLog log(10, 1000);
  log.add(ended(1, 100));
  log.add(ended(2, 2000));
  log.add_process(ended_process(1, 100));
  log.add_process(ended_process(2, 2000));
  log.expire(1100);
  EXPECT_EQ(copy_of(log).ended.size(), 2u);
  log.expire(1101);
  EXPECT_EQ(copy_of(log).ended.size(), 1u);
  EXPECT_EQ(copy_of(log).ended_processes.size(), 1u);
  EXPECT_EQ(copy_of(log).ended_dropped, 0u);
  log.expire(500);  // the host may be younger than keep_ns
  EXPECT_EQ(copy_of(log).ended.size(), 1u);
}

TEST(EndedLog, WhatIsTakenBackIsGoneAndNotCounted) {
  EndedLog log(2, 1000);
  log.add(ended(1, 10));
  EXPECT_TRUE(log.remove({1, 100}));
  EXPECT_FALSE(log.remove({1, 100}));
  EXPECT_FALSE(log.find({1, 100}));
  EXPECT_TRUE(copy_of(log).ended.empty());
  for (uint32_t tid = 2; tid <= 3; ++tid) log.add(ended(tid, tid));
  EXPECT_EQ(copy_of(log).ended.size(), 2u);
  EXPECT_EQ(copy_of(log).ended_dropped, 0u);
}

TEST(EndedLog, KeepsProcessesWithoutTheirThreads) {
  EndedLog log(2, 1000);
  for (uint32_t pid = 1; pid <= 5; ++pid) log.add_process(ended_process(pid, pid));
  Snapshot snapshot = copy_of(log);
  ASSERT_EQ(snapshot.ended_processes.size(), 2u);
  EXPECT_EQ(snapshot.ended_processes.front().key.tid, 4u);
  EXPECT_TRUE(snapshot.ended_processes.front().threads.empty());
}

TEST(EndedLog, CountsOfProcessesForgottenMakeRoomForOthers) {
  EndedLog log(2, 1'000'000);
  for (uint32_t pid = 1; pid <= 100; ++pid) {
    for (uint32_t tid = 0; tid < 5; ++tid) log.add(ended(pid * 10 + tid, pid, pid));
    EXPECT_EQ(log.dropped_of({pid, 50}), 3u) << pid;
    log.add_process(ended_process(pid, pid));
  }
}

TEST(EndedLog, WithoutRoomItKeepsNothing) {
  EndedLog log(0, 1000);
  log.add(ended(1, 1));
  log.add_process(ended_process(1, 1));
  log.expire(5000);
  EXPECT_TRUE(copy_of(log).ended.empty());
  EXPECT_TRUE(copy_of(log).ended_processes.empty());
}

}  // namespace
}  // namespace loiter::test
