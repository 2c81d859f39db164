// The model case by case: what an event does, what a census sets right, and who wins where they differ.
#include "daemon/model/host_model.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "tests/unit/model_records.h"

namespace loiter::test {
namespace {

// A host of one process, pid 100, with threads 101 and 102; seen by a census that began at 1000.
class HostModelTest : public ::testing::Test {
 protected:
  HostModelTest() {
    census(1000, {make_record(leader_, "main"), make_record(first_, "one"), make_record(second_, "two")});
  }

  void census(uint64_t begin, std::vector<loiter_thread> records) {
    model_.reconcile(make_census(begin, begin + 100, std::move(records)));
  }
  std::shared_ptr<Snapshot> snapshot() { return model_.publish({}); }
  Event apply(const Event& event) { return apply_to(model_, event, &old_name_); }

  loiter_task_id leader_ = task_id(100, 100, 10);
  loiter_task_id first_ = task_id(101, 100, 20);
  loiter_task_id second_ = task_id(102, 100, 30);
  HostModel model_{{.max_threads = 50, .max_ended = 10, .keep_ended_ns = 1'000'000}, no_details};
  std::string old_name_;
};

TEST_F(HostModelTest, TheFirstCensusRepairsNothing) {
  auto now = snapshot();
  EXPECT_EQ(now->thread_count, 3u);
  EXPECT_EQ(now->blocked_count, 3u);
  ASSERT_EQ(now->processes.size(), 1u);
  EXPECT_EQ(now->processes[0].comm.view(), "main");
  EXPECT_EQ(now->processes[0].threads[0].key.tid, 100u);
  EXPECT_EQ(now->repairs.added + now->repairs.removed + now->repairs.renamed + now->repairs.execs, 0u);
}

TEST_F(HostModelTest, ABirthTellsTheCreator) {
  apply(birth_event(task_id(103, 100, 1500), first_, 1501, "three"));
  auto now = snapshot();
  const ThreadView* born = thread_in(*now, 103);
  ASSERT_TRUE(born);
  EXPECT_EQ(born->name.view(), "three");
  EXPECT_EQ(born->creator, (TaskKey{101, 20}));
  EXPECT_TRUE(born->creator_alive);
  EXPECT_EQ(now->events.born, 1u);
}

TEST_F(HostModelTest, ACreatorIsNotMistakenForWhoHasItsTidNow) {
  apply(birth_event(task_id(103, 100, 1500), first_, 1501));
  apply(exit_event(first_, 1600));
  EXPECT_FALSE(thread_in(*snapshot(), 103)->creator_alive);
  apply(birth_event(task_id(101, 100, 1700), leader_, 1701));
  auto now = snapshot();
  EXPECT_FALSE(thread_in(*now, 103)->creator_alive);
  EXPECT_EQ(thread_in(*now, 103)->creator, (TaskKey{101, 20}));
}

TEST_F(HostModelTest, AProcessHasAParentButNoCreatorInItsTree) {
  apply(birth_event(task_id(200, 200, 1500), first_, 1501, "child"));
  auto now = snapshot();
  const ProcessView* child = now->find(200);
  ASSERT_TRUE(child);
  EXPECT_EQ(child->parent_pid, 100u);
  EXPECT_EQ(child->threads[0].creator, TaskKey{});
}

TEST_F(HostModelTest, AnExitEndsAThreadAndLearnsItsName) {
  EXPECT_EQ(apply(exit_event(first_, 1500, 77)).name, "one");
  auto now = snapshot();
  EXPECT_FALSE(thread_in(*now, 101));
  const EndedThread* ended = ended_in(*now, 101);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->ended_boot_ns, 1500u);
  EXPECT_EQ(ended->exactness, Exactness::exact);
  EXPECT_EQ(ended->cpu_ns, 77u);
  EXPECT_EQ(ended->name.view(), "one");
}

TEST_F(HostModelTest, AnEndedThreadKeepsItsThreadPointer) {
  Event birth = birth_event(task_id(107, 100, 1400), leader_, 1401);
  birth.tls_base = 0x7f0011;
  apply(birth);
  apply(exit_event(task_id(107, 100, 1400), 1500));
  apply(exit_event(first_, 1600));
  auto now = snapshot();
  EXPECT_EQ(ended_in(*now, 107)->tls_base, 0x7f0011u);
  EXPECT_EQ(ended_in(*now, 101)->tls_base, 0u) << "it was there before";
}

TEST_F(HostModelTest, AZombieTellsWhenItEnded) {
  EXPECT_EQ(thread_in(*snapshot(), 100)->ended_boot_ns, 0u);
  apply(exit_event(leader_, 1500));
  EXPECT_EQ(thread_in(*snapshot(), 100)->state, TaskState::zombie);
  EXPECT_EQ(thread_in(*snapshot(), 100)->ended_boot_ns, 1500u);
}

TEST_F(HostModelTest, ARenameTellsTheOldName) {
  apply(rename_event(first_, 1500, "uno"));
  EXPECT_EQ(old_name_, "one");
  EXPECT_EQ(thread_in(*snapshot(), 101)->name.view(), "uno");
  apply(rename_event(task_id(999, 100, 5), 1501, "who"));
  EXPECT_EQ(old_name_, "");
}

TEST_F(HostModelTest, NamesOfAllBytesAreKept) {
  apply(rename_event(first_, 1500, std::string("\xff\x1b\n\"'\\", 6)));
  EXPECT_EQ(thread_in(*snapshot(), 101)->name.view(), std::string_view("\xff\x1b\n\"'\\", 6));
  apply(rename_event(first_, 1501, std::string(200, 'x')));
  EXPECT_EQ(thread_in(*snapshot(), 101)->name.view(), std::string(15, 'x'));
}

// --- events since a census began win over what it read ----------------------------------------------

TEST_F(HostModelTest, WhatEndedAfterItWasReadStaysEnded) {
  apply(exit_event(first_, 2010));
  census(2000, {make_record(leader_, "main"), make_record(first_, "one"), make_record(second_, "two")});
  auto now = snapshot();
  EXPECT_FALSE(thread_in(*now, 101));
  EXPECT_EQ(now->repairs.added, 0u);
}

TEST_F(HostModelTest, WhatEndedAfterItWasReadStaysEndedThoughItsBirthWasLost) {
  const loiter_task_id brief = task_id(103, 100, 1500);
  apply(exit_event(brief, 2010));
  census(2000, {make_record(leader_), make_record(first_), make_record(second_), make_record(brief)});
  EXPECT_FALSE(thread_in(*snapshot(), 103));
}

TEST_F(HostModelTest, WhatWasBornAfterTheWalkerPassedStays) {
  apply(birth_event(task_id(99, 100, 2010), first_, 2011));
  census(2000, {make_record(leader_), make_record(first_), make_record(second_)});
  EXPECT_TRUE(thread_in(*snapshot(), 99));
}

TEST_F(HostModelTest, WhatStartedBeforeButWasTiedToItsTidAfterTheWalkerPassedStays) {
  apply(birth_event(task_id(99, 100, 1999), first_, 2001));
  census(2000, {make_record(leader_), make_record(first_), make_record(second_)});
  EXPECT_TRUE(thread_in(*snapshot(), 99));
  census(3000, {make_record(leader_), make_record(first_), make_record(second_)});
  EXPECT_FALSE(thread_in(*snapshot(), 99));
}

TEST_F(HostModelTest, ANameGivenSinceWins) {
  apply(rename_event(first_, 2010, "uno"));
  census(2000, {make_record(leader_), make_record(first_, "one"), make_record(second_)});
  EXPECT_EQ(thread_in(*snapshot(), 101)->name.view(), "uno");
  census(3000, {make_record(leader_), make_record(first_, "ein"), make_record(second_)});
  EXPECT_EQ(thread_in(*snapshot(), 101)->name.view(), "ein");
}

TEST_F(HostModelTest, ATidUsedAgainSinceIsNotGivenBack) {
  apply(exit_event(first_, 2010));
  apply(birth_event(task_id(101, 100, 2020), leader_, 2021, "new"));
  census(2000, {make_record(leader_), make_record(first_, "one"), make_record(second_)});
  auto now = snapshot();
  EXPECT_EQ(thread_in(*now, 101)->name.view(), "new");
  EXPECT_EQ(thread_in(*now, 101)->key.start_boot_ns, 2020u);
}

TEST_F(HostModelTest, APidUsedAgainSinceIsNotGivenBack) {
  census(2000, {make_record(leader_, "main")});
  apply(exit_event(leader_, 3010));
  apply(birth_event(task_id(100, 100, 3020), task_id(1, 1, 1), 3021, "new"));
  census(3000, {make_record(leader_, "main")});
  auto now = snapshot();
  ASSERT_EQ(now->processes.size(), 1u);
  EXPECT_EQ(now->processes[0].key.start_boot_ns, 3020u);
  EXPECT_EQ(now->processes[0].comm.view(), "new");
  ASSERT_EQ(now->ended_processes.size(), 1u);
  EXPECT_EQ(now->ended_processes[0].comm.view(), "main");
  EXPECT_EQ(now->ended_processes[0].ended_boot_ns, 3010u);
}

// --- what was lost is repaired, and counted ---------------------------------------------------------

TEST_F(HostModelTest, ALostBirthIsAdded) {
  census(2000, {make_record(leader_, "main"), make_record(first_, "one"), make_record(second_, "two"),
                make_record(task_id(103, 100, 1500), "lost")});
  auto now = snapshot();
  EXPECT_EQ(thread_in(*now, 103)->name.view(), "lost");
  EXPECT_EQ(thread_in(*now, 103)->creator, TaskKey{});
  EXPECT_EQ(now->repairs.added, 1u);
}

TEST_F(HostModelTest, ALateBirthStillTellsTheCreator) {
  census(2000, {make_record(leader_), make_record(first_), make_record(second_),
                make_record(task_id(103, 100, 1500))});
  apply(birth_event(task_id(103, 100, 1500), second_, 1501));
  EXPECT_EQ(thread_in(*snapshot(), 103)->creator, (TaskKey{102, 30}));
  EXPECT_EQ(snapshot()->repairs.added, 0u);
}

TEST_F(HostModelTest, ALostExitIsRemovedAndItsTimeEstimated) {
  census(2000, {make_record(leader_, "main"), make_record(second_, "two")});
  auto now = snapshot();
  EXPECT_FALSE(thread_in(*now, 101));
  EXPECT_EQ(ended_in(*now, 101)->exactness, Exactness::estimated);
  EXPECT_EQ(now->repairs.removed, 1u);
  apply(exit_event(first_, 1700));  // it was only late
  now = snapshot();
  EXPECT_EQ(ended_in(*now, 101)->exactness, Exactness::exact);
  EXPECT_EQ(ended_in(*now, 101)->ended_boot_ns, 1700u);
  EXPECT_EQ(now->repairs.removed, 0u);
}

TEST_F(HostModelTest, ALostRenameIsRepaired) {
  census(2000, {make_record(leader_, "main"), make_record(first_, "uno"), make_record(second_, "two")});
  EXPECT_EQ(thread_in(*snapshot(), 101)->name.view(), "uno");
  EXPECT_EQ(snapshot()->repairs.renamed, 1u);
}

TEST_F(HostModelTest, ALostExecIsRepaired) {
  census(2000, {make_record(task_id(100, 100, 10, 1), "new")});
  auto now = snapshot();
  EXPECT_EQ(now->thread_count, 1u);
  EXPECT_EQ(now->repairs.execs, 1u);
  EXPECT_EQ(now->repairs.removed, 2u);
}

TEST_F(HostModelTest, AnEndThatNoEventToldIsNotedWhenTheTidIsUsedAgain) {
  apply(birth_event(task_id(101, 100, 1500), leader_, 1501, "new"));
  auto now = snapshot();
  EXPECT_EQ(now->thread_count, 3u);
  EXPECT_EQ(ended_in(*now, 101)->key.start_boot_ns, 20u);
  EXPECT_EQ(ended_in(*now, 101)->exactness, Exactness::estimated);
}

TEST_F(HostModelTest, WhenAPidIsUsedAgainAllOfTheOldProcessHasEnded) {
  census(2000, {make_record(task_id(100, 100, 1500), "new"), make_record(task_id(101, 100, 1600), "its")});
  auto now = snapshot();
  EXPECT_EQ(now->thread_count, 2u);
  EXPECT_EQ(now->find(100)->key.start_boot_ns, 1500u);
  ASSERT_EQ(now->ended_processes.size(), 1u);
  EXPECT_EQ(now->ended_processes[0].key, (TaskKey{100, 10}));
  EXPECT_EQ(now->ended_processes[0].comm.view(), "main");
}

TEST_F(HostModelTest, ThreadsOfANewProcessMayBeKnownBeforeItsLeader) {
  // Its leader has the pid of the old one; the birth was lost, its thread's was not, and has a lower tid.
  apply(birth_event(task_id(50, 100, 1600), task_id(100, 100, 1500), 1601, "early"));
  census(2000, {make_record(task_id(50, 100, 1600), "early"), make_record(task_id(100, 100, 1500), "new")});
  auto now = snapshot();
  EXPECT_EQ(now->thread_count, 2u);
  EXPECT_EQ(now->find(100)->threads.size(), 2u);
  EXPECT_EQ(now->find(100)->key.start_boot_ns, 1500u);
}

// --- what comes too late does no harm ---------------------------------------------------------------

TEST_F(HostModelTest, ALateBirthDoesNotTakeTheTidFromItsNextUser) {
  census(2000, {make_record(leader_), make_record(task_id(101, 100, 1900), "next"), make_record(second_)});
  apply(birth_event(task_id(101, 100, 1500), leader_, 1501, "late"));
  apply(exit_event(task_id(101, 100, 1500), 1600));
  auto now = snapshot();
  ASSERT_TRUE(thread_in(*now, 101));
  EXPECT_EQ(thread_in(*now, 101)->name.view(), "next");
  EXPECT_EQ(now->thread_count, 3u);
}

TEST_F(HostModelTest, ALateExecDoesNotEndTheThreadsOfTheNewProgram) {
  const loiter_task_id now_leader = task_id(100, 100, 10, 1);
  census(2000, {make_record(now_leader, "new"), make_record(task_id(105, 100, 1700), "its")});
  apply(exec_event(now_leader, 100, 1600, "new"));
  apply(birth_event(task_id(105, 100, 1700), now_leader, 1701, "its"));
  auto now = snapshot();
  ASSERT_TRUE(thread_in(*now, 105));
  EXPECT_EQ(thread_in(*now, 105)->creator, (TaskKey{100, 10}));
}

TEST_F(HostModelTest, ALateExecOfAnOlderProgramIsLeftOut) {
  census(2000, {make_record(task_id(100, 100, 10, 2), "second")});
  apply(exec_event(task_id(100, 100, 10, 1), 100, 1600, "first"));
  EXPECT_EQ(thread_in(*snapshot(), 100)->name.view(), "second");
}

TEST_F(HostModelTest, TheLateExitOfAReplacedLeaderDoesNotEndItsSuccessor) {
  census(2000, {make_record(task_id(100, 100, 10, 1), "new")});
  apply(exit_event(leader_, 1600));
  EXPECT_NE(thread_in(*snapshot(), 100)->state, TaskState::zombie);
}

TEST_F(HostModelTest, AnExitBeforeItsBirthIsNotUndoneByIt) {
  const loiter_task_id brief = task_id(103, 100, 1500);
  apply(exit_event(brief, 1502));
  apply(birth_event(brief, leader_, 1501));
  EXPECT_FALSE(thread_in(*snapshot(), 103));
}

// --- the last system call of who runs ---------------------------------------------------------------------

TEST_F(HostModelTest, WhoRunsIsKnownToPollByItsLastCall) {
  loiter_thread loop = make_record(first_, "loop"), computes = make_record(second_, "computes");
  for (loiter_thread* each : {&loop, &computes}) {
    each->state = 0;
    each->marks = LOITER_MARK_REGS | LOITER_MARK_ON_RQ | LOITER_MARK_ON_CPU;
  }
  loop.regs.syscall = SYS_epoll_pwait;
  computes.regs.syscall = SYS_futex;
  census(2000, {make_record(leader_, "main"), loop, computes});
  auto now = snapshot();
  EXPECT_EQ(thread_in(*now, 101)->state, TaskState::running);
  EXPECT_TRUE(thread_in(*now, 101)->polls);
  EXPECT_EQ(thread_in(*now, 101)->syscall, -1) << "it may have come back from it";
  EXPECT_FALSE(thread_in(*now, 102)->polls);

  loop.regs.syscall = -1;  // an interrupt of what it computes
  census(3000, {make_record(leader_, "main"), loop, computes});
  EXPECT_FALSE(thread_in(*snapshot(), 101)->polls);

  loop.regs.syscall = SYS_epoll_pwait;
  loop.state = kSleepingState;
  loop.marks = LOITER_MARK_REGS;
  census(4000, {make_record(leader_, "main"), loop, computes});
  now = snapshot();
  EXPECT_FALSE(thread_in(*now, 101)->polls) << "it sleeps there";
  EXPECT_EQ(thread_in(*now, 101)->syscall, SYS_epoll_pwait);
}

// --- exec -------------------------------------------------------------------------------------------

TEST_F(HostModelTest, AnExecByTheLeaderEndsItsThreads) {
  apply(exec_event(task_id(100, 100, 10, 1), 100, 1500, "new", "/bin/new"));
  auto now = snapshot();
  EXPECT_EQ(now->thread_count, 1u);
  EXPECT_EQ(now->find(100)->comm.view(), "new");
  EXPECT_EQ(now->find(100)->exe, "/bin/new");
}

TEST_F(HostModelTest, AThreadThatExecsBecomesTheLeader) {
  apply(exit_event(leader_, 1490, 5));
  apply(exit_event(first_, 1491, 6));
  EXPECT_EQ(thread_in(*snapshot(), 100)->state, TaskState::zombie);
  apply(exec_event(task_id(100, 100, 10, 1), 102, 1500, "new"));
  auto now = snapshot();
  EXPECT_EQ(now->thread_count, 1u);
  EXPECT_EQ(now->find(100)->key, (TaskKey{100, 10}));
  EXPECT_EQ(thread_in(*now, 100)->name.view(), "new");
  EXPECT_EQ(thread_in(*now, 100)->state, TaskState::running);
  EXPECT_FALSE(ended_in(*now, 100));
  EXPECT_EQ(ended_in(*now, 102)->exactness, Exactness::exact);
  census(2000, {make_record(task_id(100, 100, 10, 1), "new")});
  now = snapshot();
  EXPECT_EQ(now->repairs.removed + now->repairs.execs + now->repairs.added, 0u);
}

TEST_F(HostModelTest, CpuTimeIsNeitherLostNorCountedTwiceByAnExec) {
  std::vector<loiter_thread> records{make_record(leader_), make_record(first_), make_record(second_)};
  records[0].cpu_ns = 100;
  records[1].cpu_ns = 20;
  records[2].cpu_ns = 3;
  census(2000, records);
  EXPECT_EQ(snapshot()->find(100)->cpu_ns, 123u);
  apply(exit_event(leader_, 2490, 100));
  apply(exit_event(first_, 2491, 20));
  apply(exec_event(task_id(100, 100, 10, 1), 102, 2500));
  loiter_thread record = make_record(task_id(100, 100, 10, 1));
  record.cpu_ns = 4;
  census(3000, {record});
  EXPECT_EQ(snapshot()->find(100)->cpu_ns, 124u);
}

TEST_F(HostModelTest, ARecordReadBeforeAnExecIsNotTakenOver) {
  apply(exec_event(task_id(100, 100, 10, 1), 100, 2010, "new"));
  census(2000, {make_record(leader_, "main")});
  auto now = snapshot();
  EXPECT_EQ(thread_in(*now, 100)->name.view(), "new");
  EXPECT_FALSE(thread_in(*now, 100)->blocked_ns);
  EXPECT_EQ(now->repairs.execs, 0u);
}

TEST_F(HostModelTest, AfterALostExecTheOldLeadersEndIsNotTheNewOnes) {
  apply(exit_event(leader_, 1500));
  census(2000, {make_record(task_id(100, 100, 10, 1), "new")});
  EXPECT_EQ(thread_in(*snapshot(), 100)->state, TaskState::sleeping);
  census(3000, {});
  EXPECT_EQ(snapshot()->repairs.removed, 3u);  // both threads, and the one whose exec was lost
  EXPECT_EQ(ended_in(*snapshot(), 100)->exactness, Exactness::estimated);
  EXPECT_EQ(ended_in(*snapshot(), 100)->ended_boot_ns, 3000u);
}

// --- a leader that ends first -----------------------------------------------------------------------

TEST_F(HostModelTest, ALeaderThatEndedStaysAsAZombieWhileItsThreadsLive) {
  apply(exit_event(leader_, 1500));
  loiter_thread zombie = make_record(leader_, "main");
  zombie.exit_state = kZombieState;
  census(2000, {zombie, make_record(first_, "one"), make_record(second_, "two")});
  auto now = snapshot();
  EXPECT_EQ(now->thread_count, 3u);
  EXPECT_EQ(thread_in(*now, 100)->state, TaskState::zombie);
  EXPECT_FALSE(thread_in(*now, 100)->blocked_ns);
  EXPECT_EQ(now->find(100)->comm.view(), "main");
}

TEST_F(HostModelTest, AProcessEndsWithItsLastThreadAndNotWithItsLeader) {
  apply(exit_event(leader_, 1500));
  apply(exit_event(first_, 1800));
  apply(exit_event(second_, 1900));
  census(2000, {});
  auto now = snapshot();
  EXPECT_TRUE(now->processes.empty());
  const ProcessView* ended = now->find(100);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->ended_boot_ns, 1900u);
  EXPECT_EQ(ended->comm.view(), "main");
  EXPECT_EQ(ended_in(*now, 100)->ended_boot_ns, 1500u);
  EXPECT_EQ(ended_in(*now, 100)->exactness, Exactness::exact);
  EXPECT_EQ(now->repairs.removed, 0u);
}

TEST_F(HostModelTest, AThreadStillThereAfterItsEndIsShownAndCountedOnce) {
  std::vector<loiter_thread> records{make_record(leader_), make_record(first_), make_record(second_)};
  records[1].cpu_ns = 50;
  apply(exit_event(first_, 1900, 50));
  census(2000, records);  // 101 is stuck on its way out
  auto now = snapshot();
  EXPECT_TRUE(thread_in(*now, 101));
  EXPECT_FALSE(ended_in(*now, 101));
  EXPECT_EQ(now->find(100)->cpu_ns, 50u);
  EXPECT_EQ(now->repairs.added, 0u);
  census(3000, {make_record(leader_), make_record(second_)});
  now = snapshot();
  EXPECT_EQ(ended_in(*now, 101)->ended_boot_ns, 1900u);
  EXPECT_EQ(ended_in(*now, 101)->exactness, Exactness::exact);
  EXPECT_EQ(now->find(100)->cpu_ns, 50u);
}

// --- bounds -----------------------------------------------------------------------------------------

TEST(HostModelBounds, NoMoreThreadsAreKeptThanAllowed) {
  HostModel model({.max_threads = 3, .max_ended = 10, .keep_ended_ns = 1'000'000}, no_details);
  std::vector<loiter_thread> records;
  for (uint32_t tid = 1; tid <= 10; ++tid) records.push_back(make_record(task_id(tid, 1, tid)));
  model.reconcile(make_census(1000, 1100, records));
  EXPECT_EQ(model.publish({})->thread_count, 3u);
  EXPECT_EQ(model.publish({})->threads_over_limit, 7u);
  for (uint32_t tid = 11; tid <= 30; ++tid) {
    apply_to(model, birth_event(task_id(tid, tid, 1000 + tid), records[0].id, 1200));
    apply_to(model, exec_event(task_id(tid + 50, tid + 50, 1000 + tid, 1), tid + 50, 1201));
  }
  EXPECT_EQ(model.publish({})->thread_count, 3u);
  EXPECT_EQ(model.publish({})->processes.size(), 1u);
  model.reconcile(make_census(2000, 2100, {records[7], records[8], records[9]}));
  model.reconcile(make_census(3000, 3100, {records[7], records[8], records[9]}));
  EXPECT_EQ(model.publish({})->thread_count, 3u);
  EXPECT_TRUE(thread_in(*model.publish({}), 10));
  EXPECT_EQ(model.publish({})->threads_over_limit, 0u);
}

TEST(HostModelBounds, EndedThreadsAreForgottenByNumberAndByAge) {
  HostModel model({.max_threads = 100, .max_ended = 5, .keep_ended_ns = 1000}, no_details);
  const loiter_task_id leader = task_id(1, 1, 1);
  model.reconcile(make_census(1000, 1100, {make_record(leader)}));
  for (uint32_t tid = 2; tid < 20; ++tid) {
    apply_to(model, birth_event(task_id(tid, 1, 1100 + tid), leader, 1100 + tid));
    apply_to(model, exit_event(task_id(tid, 1, 1100 + tid), 1200 + tid));
  }
  auto now = model.publish({});
  EXPECT_EQ(now->ended.size(), 5u);
  EXPECT_EQ(now->ended_dropped, 13u);
  EXPECT_EQ(now->find(1)->ended_dropped, 13u);
  model.reconcile(make_census(2218, 2300, {make_record(leader)}));
  now = model.publish({});
  EXPECT_EQ(now->ended.size(), 2u);
  EXPECT_EQ(now->ended_dropped, 13u);
}

TEST(HostModelBounds, WithoutALogTheCensusBringsNobodyBack) {
  HostModel model({.max_threads = 100, .max_ended = 0, .keep_ended_ns = 0}, no_details);
  const loiter_task_id leader = task_id(1, 1, 1);
  const loiter_task_id thread = task_id(2, 1, 2);
  model.reconcile(make_census(1000, 1100, {make_record(leader), make_record(thread)}));
  apply_to(model, exit_event(thread, 2010));
  model.reconcile(make_census(2000, 2100, {make_record(leader), make_record(thread)}));
  EXPECT_EQ(model.publish({})->thread_count, 1u);
  EXPECT_EQ(model.publish({})->ended.size(), 0u);
}

}  // namespace
}  // namespace loiter::test
