// Short records: what they leave as it is, what they bring, and when the model does not believe them.
#include <gtest/gtest.h>

#include "daemon/model/host_model.h"
#include "tests/unit/model_records.h"

namespace loiter::test {
namespace {

constexpr uint32_t kFrozenState = 0x8000;

// A host of one process, pid 100, with the thread 101; seen by a census that began at 1000.
class Still : public ::testing::Test {
 protected:
  Still() {
    leader_.cgroup_id = 7;
    thread_.cpu_ns = 55;
    thread_.voluntary_switches = 3;
    thread_.regs.syscall = 202;
    thread_.marks = LOITER_MARK_REGS;
    census(1000, {leader_, thread_}, {});
  }
  void census(uint64_t begin, std::vector<loiter_thread> records, std::vector<loiter_still> still) {
    Census census = make_census(begin, begin + 100, std::move(records));
    census.still = std::move(still);
    model_.reconcile(census);
    now_ = model_.publish({});
  }
  const ThreadView* thread(uint32_t tid) { return thread_in(*now_, tid); }
  void expect_doubt(uint64_t count) {
    EXPECT_TRUE(model_.doubts());
    EXPECT_EQ(now_->repairs.doubted, count);
  }
  void expect_belief() {
    EXPECT_FALSE(model_.doubts());
    EXPECT_EQ(now_->repairs.doubted, 0u);
    EXPECT_EQ(now_->repairs.added + now_->repairs.removed, 0u);
  }

  loiter_thread leader_ = make_record(task_id(100, 100, 10, 4), "main");
  loiter_thread thread_ = make_record(task_id(101, 100, 20, 4), "one");
  size_t details_asked_ = 0;
  HostModel model_{{.max_threads = 3, .max_ended = 10, .keep_ended_ns = 1'000'000},
                   [this](uint32_t, uint64_t) {
                     ++details_asked_;
                     return ProcessDetails{};
                   }};
  std::shared_ptr<Snapshot> now_;
};

TEST_F(Still, AThreadKeepsAllAndWaitsOn) {
  census(2000, {}, {make_still(leader_), make_still(thread_)});
  census(3000, {}, {make_still(leader_), make_still(thread_)});
  expect_belief();
  ASSERT_TRUE(thread(101));
  EXPECT_EQ(thread(101)->name.view(), "one");
  EXPECT_EQ(thread(101)->cpu_ns, 55u);
  EXPECT_EQ(thread(101)->voluntary_switches, 3u);
  EXPECT_EQ(thread(101)->syscall, 202);
  EXPECT_EQ(thread(101)->state, TaskState::sleeping);
  EXPECT_EQ(thread(101)->blocked_ns, 3000u - 1100);
  EXPECT_EQ(details_asked_, 1u);
}

TEST_F(Still, AThreadThatIsInNeitherListHasEnded) {
  census(2000, {}, {make_still(leader_)});
  EXPECT_FALSE(thread(101));
  EXPECT_EQ(now_->repairs.removed, 1u);
}

TEST_F(Still, TheStateIsTheOneOfNow) {
  loiter_still frozen = make_still(thread_);
  frozen.state = kFrozenState;
  census(2000, {}, {make_still(leader_), frozen});
  EXPECT_EQ(thread(101)->state, TaskState::frozen);
  EXPECT_EQ(thread(101)->blocked_ns, 2000u - 1100);
  census(3000, {}, {make_still(leader_), make_still(thread_)});
  EXPECT_EQ(thread(101)->state, TaskState::sleeping);
  expect_belief();
}

TEST_F(Still, AWokenThreadComesInWholeAndIsStillAgainLater) {
  thread_.state = 0;
  thread_.marks |= LOITER_MARK_ON_RQ;
  census(2000, {thread_}, {make_still(leader_)});
  EXPECT_EQ(thread(101)->state, TaskState::runnable);
  EXPECT_FALSE(thread(101)->blocked_ns);
  thread_.state = kSleepingState;
  thread_.marks = LOITER_MARK_REGS;
  thread_.cpu_ns = 70;
  census(3000, {thread_}, {make_still(leader_)});
  census(4000, {}, {make_still(leader_), make_still(thread_)});
  expect_belief();
  EXPECT_EQ(thread(101)->cpu_ns, 70u);
}

TEST_F(Still, AProcessMayBeMovedToAnotherCgroupAndGetAnotherParent) {
  leader_.cgroup_id = 8;
  leader_.parent_tgid = 77;
  census(2000, {}, {make_still(leader_), make_still(thread_)});
  EXPECT_EQ(now_->find(100)->parent_pid, 77u);
  EXPECT_EQ(details_asked_, 2u) << "the path of the new cgroup";
  expect_belief();
}

TEST_F(Still, ARenameIsTakenFromTheEvent) {
  apply_to(model_, rename_event(thread_.id, 1500, "uno"));
  census(2000, {}, {make_still(leader_), make_still(thread_)});
  EXPECT_EQ(thread(101)->name.view(), "uno");
  EXPECT_FALSE(model_.take_mistold());
}

TEST_F(Still, ANameThatNoEventToldAsksForAFullCensus) {
  std::copy_n("ein", 4, thread_.comm);
  census(2000, {leader_, thread_}, {});
  EXPECT_EQ(now_->repairs.renamed, 1u);
  EXPECT_TRUE(model_.take_mistold());
  EXPECT_FALSE(model_.take_mistold());
}

TEST_F(Still, ARenameThatCameLateAsksForAFullCensus) {
  census(2000, {}, {make_still(leader_), make_still(thread_)});
  apply_to(model_, rename_event(thread_.id, 1999, "uno"));
  EXPECT_TRUE(model_.take_mistold());
}

TEST_F(Still, ARenameOfAnUnknownThreadAsksForAFullCensus) {
  apply_to(model_, rename_event(task_id(102, 100, 30), 1500, "uno"));
  EXPECT_TRUE(model_.take_mistold());
}

// --- who has ended or is another by now -------------------------------------------------------------

TEST_F(Still, WhatEndedAfterItWasReadStaysEnded) {
  apply_to(model_, exit_event(thread_.id, 2010));
  census(2000, {}, {make_still(leader_), make_still(thread_)});
  expect_belief();
  EXPECT_FALSE(thread(101));
}

TEST_F(Still, WhatEndedBeforeItWasReadIsDoubted) {
  apply_to(model_, exit_event(thread_.id, 1900));
  census(2000, {}, {make_still(leader_), make_still(thread_)});
  expect_doubt(1);
}

TEST_F(Still, ATidUsedAgainSinceIsNotGivenWhatWasReadOfTheOneBefore) {
  apply_to(model_, exit_event(thread_.id, 2010));
  apply_to(model_, birth_event(task_id(101, 100, 2020), leader_.id, 2021, "new"));
  census(2000, {}, {make_still(leader_), make_still(thread_)});
  expect_belief();
  EXPECT_EQ(thread(101)->name.view(), "new");
  EXPECT_EQ(thread(101)->cpu_ns, 0u);
}

TEST_F(Still, ALeaderThatExecsAfterItWasReadIsWhatItIsNow) {
  apply_to(model_, exec_event(task_id(100, 100, 10, 5), 100, 2010, "new"));
  census(2000, {}, {make_still(leader_)});
  expect_belief();
  EXPECT_EQ(thread(100)->name.view(), "new");
  EXPECT_EQ(thread(100)->state, TaskState::running);
}

TEST_F(Still, ALeaderThatEndsAfterItWasReadIsAZombie) {
  apply_to(model_, exit_event(leader_.id, 2010));
  census(2000, {}, {make_still(leader_), make_still(thread_)});
  expect_belief();
  EXPECT_EQ(thread(100)->state, TaskState::zombie);
}

// --- doubts -----------------------------------------------------------------------------------------

TEST_F(Still, AnUnknownThreadIsDoubtedUntilAFullCensusTells) {
  const loiter_thread unknown = make_record(task_id(102, 100, 30, 4), "two");
  census(2000, {}, {make_still(leader_), make_still(thread_), make_still(unknown)});
  expect_doubt(1);
  EXPECT_FALSE(thread(102));
  census(2200, {leader_, thread_, unknown}, {});
  EXPECT_FALSE(model_.doubts());
  EXPECT_EQ(thread(102)->name.view(), "two");
  EXPECT_EQ(now_->repairs.added, 1u);
}

TEST_F(Still, AnUnknownThreadBeyondTheLimitIsCountedAndNotDoubted) {
  const loiter_thread third = make_record(task_id(102, 100, 30, 4));
  const loiter_thread beyond = make_record(task_id(103, 100, 40, 4));
  census(2000, {third, beyond}, {make_still(leader_), make_still(thread_)});
  census(3000, {}, {make_still(leader_), make_still(thread_), make_still(third), make_still(beyond)});
  EXPECT_FALSE(model_.doubts());
  EXPECT_EQ(now_->threads_over_limit, 1u);
  apply_to(model_, exit_event(third.id, 3500));
  census(4000, {}, {make_still(leader_), make_still(thread_), make_still(beyond)});
  expect_doubt(1);  // there is room for it now
}

TEST_F(Still, AThreadThatHasMoreCpuTimeDidRun) {
  loiter_still ran = make_still(thread_);
  ran.cpu_ns = 56;
  census(2000, {}, {make_still(leader_), ran});
  expect_doubt(1);
  EXPECT_TRUE(thread(101)) << "it is there, whatever it did";
}

TEST_F(Still, AThreadThatWasOnItsWayOffTheCpuIsReadAgain) {
  thread_.marks |= LOITER_MARK_ON_CPU;
  census(2000, {thread_}, {make_still(leader_)});
  census(3000, {}, {make_still(leader_), make_still(thread_)});
  expect_doubt(1);
}

TEST_F(Still, AThreadThatThePassBeforeDidNotHaveIsDoubted) {
  apply_to(model_, birth_event(task_id(102, 100, 1500), leader_.id, 1501));
  census(2000, {},
         {make_still(leader_), make_still(thread_), make_still(make_record(task_id(102, 100, 1500)))});
  expect_doubt(1);
}

TEST_F(Still, AThreadOfAnotherProcessOrProgramIsDoubted) {
  loiter_still moved = make_still(thread_);
  moved.tgid = 50;
  census(2000, {}, {make_still(leader_), moved});
  expect_doubt(1);
  census(3000, {leader_, thread_}, {});
  loiter_still other = make_still(leader_);
  other.exec_id = 9;
  census(4000, {}, {other, make_still(thread_)});
  expect_doubt(2);
}

}  // namespace
}  // namespace loiter::test
