// Deadlocks, orphans and stuck chains on made hosts; and their healthy twins.
#include "daemon/detect/deadlock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>

#include "daemon/detect/orphan.h"
#include "daemon/detect/stuck.h"
#include "tests/unit/made_case.h"

namespace loiter::test {
namespace {

using testing::HasSubstr;

std::vector<uint32_t> tids_of(const Finding& finding) {
  std::vector<uint32_t> tids;
  for (const FindingThread& thread : finding.threads) tids.push_back(thread.key.tid);
  return tids;
}

// All that it concerns, in order; each once.
std::vector<uint32_t> members_of(const Finding& finding) {
  std::vector<uint32_t> tids;
  for (const FindingMember& member : finding.members) {
    EXPECT_EQ(member.start_boot_ns, member.tid * 1000) << "as MadeCase has them";
    tids.push_back(member.tid);
  }
  for (const FindingThread& thread : finding.threads) tids.push_back(thread.key.tid);
  std::ranges::sort(tids);
  EXPECT_EQ(std::ranges::adjacent_find(tids), tids.end());
  return tids;
}

// Two threads of process 10 that hold what the other one wants.
MadeCase crossed(uint64_t blocked_s = 2) {
  MadeCase made;
  made.add(10, 10, 100, WaitKind::poll);
  made.add(10, 11, blocked_s);
  made.add(10, 12, blocked_s + 1);
  made.lock(10, 11, 12, "0xb");
  made.lock(10, 12, 11, "0xa");
  return made;
}

TEST(Deadlock, OfTwoLocksIsProvenAtOnce) {
  MadeCase made = crossed();
  const auto findings = find_deadlocks(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  const Finding& finding = findings[0];
  EXPECT_EQ(finding.kind, FindingKind::deadlock);
  EXPECT_EQ(finding.certainty, Certainty::proven);
  EXPECT_EQ(finding.severity, Severity::critical);
  EXPECT_EQ(finding.count, 2u);
  EXPECT_EQ(finding.chain, 2u);
  EXPECT_EQ(tids_of(finding), (std::vector<uint32_t>{11, 12}));
  EXPECT_EQ(finding.since_boot_ns, made.snapshot().begin_boot_ns - 2 * kSecond)
      << "since the last fell asleep";
  EXPECT_THAT(finding.summary, HasSubstr("11 (t11) for 12, 12 (t12) for 11"));
}

TEST(Deadlock, KeepsItsId) {
  MadeCase made = crossed();
  EXPECT_EQ(find_deadlocks(made.judge())[0].id, find_deadlocks(crossed(50).judge())[0].id);
}

TEST(Deadlock, WhoWaitsOnItIsCounted) {
  MadeCase made = crossed();
  for (uint32_t tid = 20; tid < 60; ++tid) {
    made.add(10, tid, tid);
    made.lock(10, tid, tid == 20 ? 11 : tid - 1, "0xc");
  }
  const auto findings = find_deadlocks(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].count, 42u);
  EXPECT_EQ(findings[0].threads.size(), kMostFindingThreads);
  EXPECT_EQ(members_of(findings[0]).size(), 42u);
  EXPECT_EQ(findings[0].threads[2].key.tid, 59u) << "the longest blocked of the others first";
  EXPECT_TRUE(find_stuck(made.judge()).empty()) << "one finding for all of them";
}

TEST(Deadlock, WithATimeLimitIsOnlyLikely) {
  MadeCase made = crossed();
  made.wait(10, 11).bounded = true;
  EXPECT_EQ(find_deadlocks(made.judge())[0].certainty, Certainty::likely);
  made.wait(10, 11).bounded.reset();
  EXPECT_EQ(find_deadlocks(made.judge())[0].certainty, Certainty::likely) << "not known to have none";
}

TEST(Deadlock, OfOneThreadWithItself) {
  MadeCase made;
  made.add(10, 10, 5);
  made.lock(10, 10, 10, "0xa");
  const auto findings = find_deadlocks(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].certainty, Certainty::proven);
  EXPECT_THAT(findings[0].summary, HasSubstr("that it holds itself"));
}

TEST(Deadlock, AcrossProcesses) {
  MadeCase made;
  made.add(10, 10, 5);
  made.add(20, 20, 5);
  made.lock(10, 10, 20, "0xa", 20);
  made.lock(20, 20, 10, "0xb", 10);
  const auto findings = find_deadlocks(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].threads[1].pid, 20u);
}

TEST(Deadlock, NoneWhereOneHasRunSince) {
  MadeCase made = crossed();
  made.judge();
  made.thread(10, 12).voluntary_switches = 8;
  const HostCase host(made.snapshot(), made.waits(), Thresholds::of(30 * kSecond));
  EXPECT_TRUE(find_deadlocks(host).empty());
}

TEST(Deadlock, NoneWhereThePeersOnlyTalkToEachOther) {
  MadeCase made;
  made.add(10, 10, 50, WaitKind::read);
  made.add(20, 20, 50, WaitKind::read);
  made.wait(10, 10).object = "pipe:[1]";
  made.wait(10, 10).peers = {{20, 1}};
  made.wait(20, 20).object = "pipe:[2]";
  made.wait(20, 20).peers = {{10, 1}};
  const HostCase host = made.judge();
  ASSERT_EQ(host.roots().size(), 1u);
  ASSERT_EQ(host.roots()[0].cycle.size(), 2u) << "it is a cycle";
  EXPECT_TRUE(find_deadlocks(host).empty());
  EXPECT_TRUE(find_stuck(host).empty());
}

TEST(Deadlock, OfWritersToEachOtherIsLikelyPastTheThreshold) {
  for (const WaitKind kind : {WaitKind::write, WaitKind::read}) {
    MadeCase made;
    made.add(10, 10, 31, WaitKind::wait_child);
    made.add(20, 20, 30, kind);
    made.wait(10, 10).holder = {HolderState::alive, 0, 20};
    made.wait(20, 20).object = "pipe:[2]";
    made.wait(20, 20).peers = {{10, 1}};
    const auto findings = find_deadlocks(made.judge());
    ASSERT_EQ(findings.size(), kind == WaitKind::write ? 1u : 0u) << to_string(kind);
    if (!findings.empty()) {
      EXPECT_EQ(findings[0].certainty, Certainty::likely);
      EXPECT_TRUE(find_deadlocks(made.judge(31)).empty());
    }
  }
}

TEST(Deadlock, ThatTheKernelFoundIsProven) {
  MadeCase made;
  made.add(10, 10, 5, WaitKind::lock);
  made.wait(10, 10).holder.state = HolderState::deadlocked;
  made.add(10, 11, 4);
  made.lock(10, 11, 10, "0xa");
  made.add(10, 12, 3, WaitKind::lock);
  made.wait(10, 12).holder.state = HolderState::deadlocked;
  const auto findings = find_deadlocks(made.judge());
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].certainty, Certainty::proven);
  EXPECT_EQ(findings[0].count, 2u);
  EXPECT_EQ(findings[1].count, 1u);
  EXPECT_TRUE(find_stuck(made.judge(1)).empty());
}

// --- orphans ---------------------------------------------------------------------------------------------

MadeCase left_locked(HolderState state) {
  MadeCase made;
  made.add(10, 10, 100, WaitKind::poll);
  for (uint32_t tid : {11, 12, 13}) {
    made.add(10, tid, tid - 9);
    made.wait(10, tid).kind = WaitKind::lock;
    made.wait(10, tid).object = "0xa";
    made.wait(10, tid).holder = {state, 99, 10};
  }
  return made;
}

TEST(Orphan, ALockWhoseOwnerEndedIsOneFinding) {
  MadeCase made = left_locked(HolderState::ended);
  auto findings = find_orphans(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].count, 3u);
  EXPECT_EQ(findings[0].threads[0].key.tid, 13u) << "who waits longest";
  EXPECT_EQ(findings[0].certainty, Certainty::likely) << "nobody saw the owner end";
  EXPECT_EQ(findings[0].severity, Severity::critical);
  EXPECT_TRUE(find_stuck(made.judge(1)).empty()) << "told once";

  EndedThread& end = made.snapshot().ended.emplace_back();
  end.key = {99, 99'000};
  end.tgid = 10;
  end.ended_boot_ns = made.snapshot().begin_boot_ns - kSecond;
  findings = find_orphans(made.judge());
  EXPECT_EQ(findings[0].certainty, Certainty::proven);
  EXPECT_THAT(findings[0].summary, HasSubstr("ended 1"));
}

TEST(Orphan, ALockOfTheParentIsTold) {
  MadeCase made = left_locked(HolderState::inherited);
  const auto findings = find_orphans(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].certainty, Certainty::proven);
  EXPECT_THAT(findings[0].summary, HasSubstr("forked"));
}

TEST(Orphan, WhoWaitsOnTheWaitersIsCounted) {
  MadeCase made = left_locked(HolderState::ended);
  made.add(10, 14, 1);
  made.lock(10, 14, 13, "0xb");
  const auto findings = find_orphans(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].count, 4u);
}

TEST(Orphan, NotWhereTheHolderIsNotKnown) {
  MadeCase made = left_locked(HolderState::unknown);
  EXPECT_TRUE(find_orphans(made.judge()).empty());
}

TEST(Orphan, WhoReadsWhatOnlyItselfCouldWrite) {
  MadeCase made;
  made.add(10, 10, 5, WaitKind::read);
  made.wait(10, 10).object = "pipe:[1]";
  made.wait(10, 10).peers = {{10, 4}};
  EXPECT_TRUE(find_orphans(made.judge()).empty()) << "another thread or a signal handler may";
  made.wait(10, 10).only_itself = true;
  const auto findings = find_orphans(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].certainty, Certainty::likely);
  EXPECT_TRUE(find_stuck(made.judge(1)).empty());
}

// --- stuck -----------------------------------------------------------------------------------------------

// `waiters` threads behind one that waits in `kind`.
MadeCase behind(WaitKind kind, uint32_t waiters, uint64_t blocked_s) {
  MadeCase made;
  made.add(10, 10, 500, kind);
  made.wait(10, 10).object = "tcp 10.0.0.2:4 -> 10.0.0.7:5432 established";
  for (uint32_t i = 0; i < waiters; ++i) {
    made.add(10, 11 + i, blocked_s);
    made.lock(10, 11 + i, 10, "0xa");
  }
  return made;
}

TEST(Stuck, ManyBehindOneLockAreOneFindingOfTheRoot) {
  MadeCase made = behind(WaitKind::read, 412, 40);
  const auto findings = find_stuck(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].count, 413u);
  const std::vector<uint32_t> members = members_of(findings[0]);
  EXPECT_EQ(members.size(), 413u);
  EXPECT_EQ(std::pair(members.front(), members.back()), std::pair(10u, 422u));
  EXPECT_EQ(findings[0].threads[0].key.tid, 10u);
  EXPECT_EQ(findings[0].severity, Severity::warning);
  EXPECT_EQ(findings[0].certainty, Certainty::likely);
  EXPECT_THAT(findings[0].hint, HasSubstr("10.0.0.7:5432"));
  EXPECT_THAT(findings[0].hint, HasSubstr("timeout"));
}

TEST(Stuck, NotBeforeTheThreshold) {
  EXPECT_TRUE(find_stuck(behind(WaitKind::read, 3, 29).judge()).empty());
  EXPECT_EQ(find_stuck(behind(WaitKind::read, 3, 30).judge()).size(), 1u);
}

TEST(Stuck, NotBehindALeaderThatWaitsForClients) {
  EXPECT_TRUE(find_stuck(behind(WaitKind::accept, 3, 400).judge()).empty());
  EXPECT_TRUE(find_stuck(behind(WaitKind::poll, 3, 400).judge()).empty());
}

// pgbench: its threads wait for each other until all have their connections.
TEST(Stuck, AtABarrierOnlyWhereNobodyIsOnTheWay) {
  MadeCase made;
  made.add(10, 10, 5, WaitKind::read);
  for (uint32_t tid : {11, 12}) {
    made.add(10, tid, 40, WaitKind::barrier);
    made.wait(10, tid).object = "0x1000";
  }
  const auto found = [&](uint64_t leader_s, uint64_t waiters_s) {
    made.thread(10, 10).blocked_ns = leader_s * kSecond;
    for (uint32_t tid : {11, 12}) made.thread(10, tid).blocked_ns = waiters_s * kSecond;
    return find_stuck(made.judge()).size();
  };
  EXPECT_EQ(found(5, 40), 0u) << "it has run 5 s ago, and may come yet";
  EXPECT_EQ(found(35, 40), 1u);
  EXPECT_EQ(found(5, 299), 0u);
  EXPECT_EQ(found(5, 300), 1u) << "ten thresholds are too long for any way";
  made.thread(10, 10).state = TaskState::running;
  made.thread(10, 10).blocked_ns.reset();
  for (uint32_t tid : {11, 12}) made.thread(10, tid).blocked_ns = 40 * kSecond;
  EXPECT_TRUE(find_stuck(made.judge()).empty()) << "it runs";
  made.thread(10, 10).state = TaskState::zombie;
  EXPECT_EQ(find_stuck(made.judge()).size(), 1u) << "it has ended";
  made.thread(10, 12).blocked_ns = 3 * kSecond;
  EXPECT_TRUE(find_stuck(made.judge()).empty()) << "they still come";
}

// An event loop that keeps a lock as a gate, and whose timer wakes it between two looks.
TEST(Stuck, NotBehindALoopThatRunsBetweenItsPolls) {
  MadeCase made = behind(WaitKind::poll, 3, 40);
  TurnWatch turns;
  turns.see(made.judge());
  made.snapshot().begin_boot_ns += kSecond;
  const auto next = [&](TaskState state, int64_t syscall) {
    ThreadView& loop = made.thread(10, 10);
    made.inspected(10, 10).blocked = false;
    made.inspected(10, 10).wait.reset();
    loop.state = state;
    loop.syscall = syscall;
    ++loop.voluntary_switches;
    if (state == TaskState::running) loop.blocked_ns.reset();
    return made.judge();
  };
  EXPECT_TRUE(find_stuck(next(TaskState::sleeping, SYS_ppoll)).empty()) << "its system call tells";
  EXPECT_TRUE(find_stuck(next(TaskState::running, -1), turns).empty()) << "it polled a second ago";
  EXPECT_EQ(find_stuck(next(TaskState::running, -1)).size(), 1u);
  // Waiters that came after its last poll: it may have taken the lock since.
  for (uint32_t tid = 11; tid < 14; ++tid) made.thread(10, tid).blocked_ns = 35 * kSecond;
  made.snapshot().begin_boot_ns += 40 * kSecond;
  EXPECT_EQ(find_stuck(next(TaskState::running, -1), turns).size(), 1u);
}

// One that is never caught asleep: the last that it asked the kernel for tells.
TEST(Stuck, NotBehindALoopThatPollsWithoutEverSleeping) {
  MadeCase made = behind(WaitKind::poll, 3, 400);
  ThreadView& loop = made.thread(10, 10);
  made.inspected(10, 10).blocked = false;
  made.inspected(10, 10).wait.reset();
  loop.state = TaskState::running;
  loop.blocked_ns.reset();
  TurnWatch turns;
  const auto after = [&](uint64_t seconds, bool polls) {
    made.snapshot().begin_boot_ns += seconds * kSecond;
    for (uint32_t tid = 11; tid < 14; ++tid) *made.thread(10, tid).blocked_ns += seconds * kSecond;
    loop.polls = polls;
    turns.see(made.judge());
    return find_stuck(made.judge(), turns).size();
  };
  EXPECT_EQ(after(1, false), 1u) << "it has never been seen to poll";
  EXPECT_EQ(after(1, true), 0u);
  EXPECT_EQ(after(1, false), 0u) << "it works for a moment";
  EXPECT_EQ(after(250, false), 0u) << "at length";
  EXPECT_EQ(after(60, false), 1u) << "it has not polled for ten times the threshold: it hangs at work";
  EXPECT_EQ(after(1, true), 0u) << "not after all";
}

// Off its CPU it may just have come back from a poll: that has to be seen often, and not in one and the same
// absence.
TEST(Stuck, BehindOneThatWaitsForACpuOnlyWhenThatIsNoChance) {
  MadeCase made = behind(WaitKind::poll, 3, 400);
  ThreadView& root = made.thread(10, 10);
  made.inspected(10, 10).blocked = false;
  made.inspected(10, 10).wait.reset();
  root.state = TaskState::runnable;
  root.blocked_ns.reset();
  TurnWatch turns;
  const auto after_census = [&](bool ran) {
    made.snapshot().begin_boot_ns += kSecond;
    root.cpu_ns += ran ? 1 : 0;
    turns.see(made.judge());
    return find_stuck(made.judge(), turns).size();
  };
  for (uint32_t i = 1; i < TurnWatch::kLeastInterrupted; ++i) EXPECT_EQ(after_census(true), 0u) << i;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(after_census(false), 0u) << "it has not run since";
  made.snapshot().begin_boot_ns += 20 * kSecond;
  EXPECT_EQ(after_census(false), 1u) << "for longer than the threshold: it is held up itself";
  EXPECT_EQ(after_census(true), 1u) << "the sixteenth time";
  root.polls = true;
  EXPECT_EQ(after_census(true), 0u);
  root.polls = false;
  EXPECT_EQ(after_census(true), 0u) << "all begins anew";
  root.state = TaskState::running;
  made.snapshot().begin_boot_ns += 400 * kSecond;
  EXPECT_EQ(after_census(true), 1u) << "on its CPU it is seen to compute";
}

TEST(Stuck, ALoopThatHangsItselfIs) {
  MadeCase made = behind(WaitKind::poll, 3, 40);
  TurnWatch turns;
  turns.see(made.judge());
  made.wait(10, 10).kind = WaitKind::write;
  ASSERT_EQ(find_stuck(made.judge(), turns).size(), 1u);
  made.thread(10, 10).blocked_ns = kSecond;
  EXPECT_TRUE(find_stuck(made.judge(), turns).empty()) << "not for so long yet";
}

TEST(Stuck, TurnsAreForgottenWithTheirProcess) {
  MadeCase made = behind(WaitKind::accept, 1, 40);
  TurnWatch turns;
  turns.see(made.judge());
  EXPECT_EQ(turns.size(), 1u);
  made.process_of(10).ended_boot_ns = 1;
  turns.see(made.judge());
  EXPECT_EQ(turns.size(), 0u);
}

TEST(Stuck, NotInWaitsThatMayRest) {
  for (WaitKind kind :
       {WaitKind::condvar, WaitKind::semaphore, WaitKind::read, WaitKind::sleep, WaitKind::poll,
        WaitKind::accept, WaitKind::signal, WaitKind::join, WaitKind::wait_child, WaitKind::futex,
        WaitKind::stopped, WaitKind::frozen, WaitKind::io_uring}) {
    MadeCase made;
    made.add(10, 10, 4000, kind);
    EXPECT_TRUE(find_stuck(made.judge()).empty()) << to_string(kind);
  }
  for (WaitKind kind : {WaitKind::lock, WaitKind::barrier, WaitKind::write, WaitKind::connect, WaitKind::disk,
                        WaitKind::file_lock}) {
    MadeCase made;
    made.add(10, 10, 4000, kind);
    EXPECT_EQ(find_stuck(made.judge()).size(), 1u) << to_string(kind);
  }
}

TEST(Stuck, AJoinIsNotUnlessWhatItWaitsForIs) {
  MadeCase made;
  made.add(10, 10, 500, WaitKind::join);
  made.wait(10, 10).holder = {HolderState::alive, 11, 10};
  made.add(10, 11, 500, WaitKind::sleep);
  EXPECT_TRUE(find_stuck(made.judge()).empty());
  made.add(10, 12, 500, WaitKind::read);
  made.lock(10, 11, 12, "0xa");
  const auto findings = find_stuck(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].count, 3u);
  EXPECT_EQ(findings[0].threads[0].key.tid, 12u);
}

TEST(Stuck, ThoseAtOneThingWithoutAHolderAreOne) {
  MadeCase made;
  for (uint32_t tid = 10; tid < 15; ++tid) {
    made.add(10, tid, 40 + tid, WaitKind::barrier);
    made.wait(10, tid).object = tid < 14 ? "0xbar" : "0xother";
  }
  const auto findings = find_stuck(made.judge());
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].count + findings[1].count, 5u);
}

TEST(Stuck, BehindOneThatRunsOnlyWhileItWasJustSeen) {
  MadeCase made;
  made.add(10, 10, 0);
  made.add(10, 11, 60);
  made.lock(10, 11, 10, "0xa");
  const auto findings = find_stuck(made.judge());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].threads[0].key.tid, 10u);
  EXPECT_THAT(findings[0].summary, HasSubstr("which runs"));
  made.snapshot().begin_mono_ns += 1'000'000;  // a census later, without another look
  const HostCase later(made.snapshot(), made.waits(), Thresholds::of(30 * kSecond));
  EXPECT_EQ(later.threads()[later.find(10, 11)].next, kWaitsForNobody);
  EXPECT_TRUE(find_stuck(later).empty()) << "whether it still holds the lock is not known";
}

}  // namespace
}  // namespace loiter::test
