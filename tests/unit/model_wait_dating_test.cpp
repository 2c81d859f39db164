// How long a thread has been blocked, by the model: from its switch counts, from the scheduler's clocks, and
// where the two do not agree.
#include <gtest/gtest.h>

#include "tests/unit/model_records.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

constexpr uint64_t kPass = 1'000'000;  // how long a census takes

const loiter_task_id kId = task_id(7, 7, kSecond);

// One thread, watched by censuses at given seconds.
class WaitDating : public ::testing::Test {
 protected:
  loiter_thread asleep(uint64_t switches) {
    loiter_thread record = make_record(kId);
    record.voluntary_switches = switches;
    return record;
  }
  loiter_thread awake(uint64_t switches) {
    loiter_thread record = asleep(switches);
    record.marks = LOITER_MARK_ON_CPU | LOITER_MARK_ON_RQ;
    return record;
  }

  // Its CPU's clock_task lags by `lag_ns`; the scheduler clock is CLOCK_MONOTONIC.
  loiter_thread dated(loiter_thread record, uint64_t exec_start, uint64_t now, uint64_t lag_ns = 0) {
    record.exec_start = exec_start;
    record.rq = {.clock = now, .clock_task = now - lag_ns};
    return record;
  }

  const ThreadView& census(uint64_t now, const loiter_thread& record, bool with_clock = false) {
    Census census = make_census(now, now + kPass, {record});
    census.begin.boot_ns += suspended_ns_;
    census.end.boot_ns += suspended_ns_;
    if (with_clock) {
      census.begin.cpu = census.end.cpu = 63;
      census.begin.reader = {.clock = now, .clock_task = now};
      census.end.reader = {.clock = now + kPass, .clock_task = now + kPass};
    }
    model_.reconcile(census);
    snapshot_ = model_.publish({});
    return *thread_in(*snapshot_, kId.tid);
  }

  uint64_t suspended_ns_ = 0;
  HostModel model_{{}, no_details};
  std::shared_ptr<Snapshot> snapshot_;
};

void expect_wait(const ThreadView& thread, uint64_t least, std::optional<uint64_t> most,
                 Exactness exactness) {
  EXPECT_EQ(thread.blocked_ns, least);
  EXPECT_EQ(thread.blocked_max_ns, most);
  EXPECT_STREQ(to_string(thread.exactness), to_string(exactness));
}

TEST_F(WaitDating, WithoutAClockAWaitIsAsOldAsItsFirstSight) {
  expect_wait(census(10 * kSecond, asleep(5)), 0, {}, Exactness::lower_bound);
  expect_wait(census(15 * kSecond, asleep(5)), 5 * kSecond - kPass, {}, Exactness::lower_bound);
}

TEST_F(WaitDating, WithoutAClockAWaitThatBeganUnderOurEyesLiesBetweenTwoCensuses) {
  census(10 * kSecond, awake(5));
  expect_wait(census(11 * kSecond, asleep(6)), 0, kSecond, Exactness::estimated);
  expect_wait(census(12 * kSecond, asleep(6)), kSecond - kPass, 2 * kSecond, Exactness::estimated);
}

TEST_F(WaitDating, AnotherSwitchIsAnotherWait) {
  census(10 * kSecond, asleep(5));
  census(15 * kSecond, asleep(5));
  expect_wait(census(16 * kSecond, asleep(6)), 0, kSecond, Exactness::estimated);
}

TEST_F(WaitDating, WhoRunsOrIsAZombieDoesNotWait) {
  census(10 * kSecond, asleep(5));
  EXPECT_FALSE(census(11 * kSecond, awake(6)).blocked_ns);
  EXPECT_EQ(snapshot_->blocked_count, 0u);
  census(12 * kSecond, asleep(7));
  loiter_thread zombie = asleep(7);
  zombie.exit_state = kZombieState;
  EXPECT_FALSE(census(13 * kSecond, zombie).blocked_ns);
}

TEST_F(WaitDating, AWaitFromBeforeTheDaemonIsDatedByTheClock) {
  expect_wait(census(4000 * kSecond, dated(asleep(5), 400 * kSecond, 4000 * kSecond, 2 * kSecond), true),
              3598 * kSecond, 3600 * kSecond, Exactness::estimated);
  expect_wait(census(4100 * kSecond, dated(asleep(5), 400 * kSecond, 4100 * kSecond, 3 * kSecond), true),
              3698 * kSecond, 3700 * kSecond, Exactness::estimated);
  EXPECT_EQ(snapshot_->repairs.redated, 0u);
}

TEST_F(WaitDating, NoWaitIsOlderThanItsThread) {
  expect_wait(census(100 * kSecond, dated(asleep(5), kSecond / 2, 100 * kSecond, 10 * kSecond), true),
              89 * kSecond + kSecond / 2, 99 * kSecond, Exactness::estimated);
}

TEST_F(WaitDating, ASuspendedHostDoesNotMakeThreadsYounger) {
  suspended_ns_ = 1000 * kSecond;
  expect_wait(census(100 * kSecond, dated(asleep(5), 2 * kSecond, 100 * kSecond), true), 98 * kSecond,
              98 * kSecond, Exactness::estimated);
  EXPECT_EQ(snapshot_->repairs.redated, 0u);
}

TEST_F(WaitDating, TheLastCensusThatSawItRunNarrowsTheRange) {
  census(100 * kSecond, dated(awake(5), 100 * kSecond, 100 * kSecond, 10 * kSecond), true);
  const uint64_t exec_start = 90 * kSecond + kSecond / 2;  // half a second later, with a lag of 10 s
  expect_wait(census(101 * kSecond, dated(asleep(6), exec_start, 101 * kSecond, 10 * kSecond), true),
              kSecond / 2, kSecond / 2, Exactness::estimated);
}

TEST_F(WaitDating, WhereTheClockContradictsWhatWasSeenTheCountsHold) {
  census(100 * kSecond, dated(awake(5), 100 * kSecond, 100 * kSecond), true);
  expect_wait(census(101 * kSecond, dated(asleep(6), 50 * kSecond, 101 * kSecond), true), 0, kSecond,
              Exactness::estimated);
  EXPECT_EQ(snapshot_->repairs.redated, 1u);
}

TEST_F(WaitDating, AClockThatSaysTheFutureIsNotBelieved) {
  expect_wait(census(100 * kSecond, dated(asleep(5), 200 * kSecond, 250 * kSecond), true), 0, {},
              Exactness::lower_bound);
  EXPECT_EQ(snapshot_->repairs.redated, 1u);
}

TEST_F(WaitDating, AClockThatIsALittleAheadSaysThatTheWaitHasJustBegun) {
  const uint64_t ahead = 100 * kSecond + kPass + 2'000'000;
  expect_wait(census(100 * kSecond, dated(asleep(5), ahead, ahead), true), 0, 10'000'000 - kPass,
              Exactness::estimated);
  EXPECT_EQ(snapshot_->repairs.redated, 0u);
}

TEST_F(WaitDating, WithoutAClockWhoWasBornUnderOurEyesWaitsNoLongerThanItLives) {
  census(10 * kSecond, asleep(5));
  const loiter_task_id child = task_id(8, 7, 10 * kSecond + kSecond / 2);
  Event birth = birth_event(child, kId, child.start_boot_ns);
  std::string old_name;
  model_.apply(birth, old_name);
  loiter_thread record = make_record(child);
  model_.reconcile(make_census(11 * kSecond, 11 * kSecond + kPass, {asleep(5), record}));
  snapshot_ = model_.publish({});
  expect_wait(*thread_in(*snapshot_, 8), 0, kSecond / 2, Exactness::estimated);
}

TEST_F(WaitDating, EqualCountsHoldThoughTheClockMoved) {
  census(100 * kSecond, dated(asleep(5), 40 * kSecond, 100 * kSecond), true);
  expect_wait(census(101 * kSecond, dated(asleep(5), 90 * kSecond, 101 * kSecond), true), 61 * kSecond,
              61 * kSecond, Exactness::estimated);
  EXPECT_EQ(snapshot_->repairs.redated, 1u);
}

TEST_F(WaitDating, AnExecBeginsAnew) {
  census(100 * kSecond, dated(asleep(5), 40 * kSecond, 100 * kSecond), true);
  loiter_thread other = dated(asleep(5), 100 * kSecond + kSecond / 2, 101 * kSecond);
  other.id.exec_id = 1;  // its event was lost, and by chance the counts are the same
  expect_wait(census(101 * kSecond, other, true), kSecond / 2, kSecond / 2, Exactness::estimated);
}

TEST_F(WaitDating, AWaitThatBeganWhileTheCensusWentOnHasNoAgeYet) {
  expect_wait(census(100 * kSecond, dated(asleep(5), 100 * kSecond + 500, 100 * kSecond + 500), true), 0, 0,
              Exactness::estimated);
}

TEST_F(WaitDating, ASyscallIsToldOfThoseThatWaitInOne) {
  loiter_thread record = asleep(5);
  record.marks = LOITER_MARK_REGS;
  record.regs.syscall = 202;
  EXPECT_EQ(census(10 * kSecond, record).syscall, 202);
  record.marks |= LOITER_MARK_COMPAT;
  EXPECT_TRUE(census(11 * kSecond, record).compat);
  record.marks = LOITER_MARK_REGS | LOITER_MARK_USER_WORKER;
  EXPECT_EQ(census(12 * kSecond, record).syscall, -1);
  record.marks = 0;
  EXPECT_EQ(census(13 * kSecond, record).syscall, -1);
  record.marks = LOITER_MARK_REGS;
  record.regs.syscall = -1;
  EXPECT_EQ(census(14 * kSecond, record).syscall, -1);
  record.regs.syscall = 202;
  record.marks = LOITER_MARK_REGS | LOITER_MARK_ON_CPU;
  EXPECT_EQ(census(15 * kSecond, record).syscall, -1);
}

}  // namespace
}  // namespace loiter::test
