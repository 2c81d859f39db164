// What becomes of threads by the calls of their library: each fate from the events that lead there.
#include <gtest/gtest.h>

#include "daemon/model/pthread_book.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

constexpr uint32_t kPid = 100;

loiter_task_id task(uint32_t tid) {
  return {.tid = tid, .tgid = kPid, .start_boot_ns = tid, .exec_id = 0, .pad = 0};
}

uint64_t id_of(uint32_t tid) {
  return 0x7f0000000000 + tid * 0x1000;
}

// A process with the main thread kPid, watched from time 1 on.
class Book : public ::testing::Test {
 protected:
  Book() { book->watch({kPid, kPid}, 1); }

  void call(loiter_pthread_call which, uint32_t caller, uint64_t thread,
            loiter_detached detached = LOITER_JOINABLE, uint64_t limit = 7) {
    Event event;
    event.type = LOITER_EVENT_PTHREAD;
    event.boot_ns = now += 10;
    event.task = task(caller);
    event.tls_base = id_of(caller);
    event.call = which;
    event.thread = thread;
    event.routine = 0x4000 + thread;
    event.arg = limit;
    event.detached = detached;
    book->apply(event);
  }
  void birth(uint32_t tid, uint32_t creator = kPid, uint64_t id = 0) {
    Event event;
    event.type = LOITER_EVENT_BIRTH;
    event.boot_ns = now += 10;
    event.task = task(tid);
    event.creator = task(creator);
    event.clone_flags = 0x3d0f00;
    event.tls_base = id ? id : id_of(tid);
    book->apply(event);
  }
  void make(uint32_t tid, loiter_detached detached = LOITER_JOINABLE, uint32_t creator = kPid) {
    call(LOITER_PTHREAD_CREATE, creator, 0, detached);
    birth(tid, creator);
  }
  void end(uint32_t tid) {
    Event event;
    event.type = LOITER_EVENT_EXIT;
    event.boot_ns = now += 10;
    event.task = task(tid);
    book->apply(event);
  }
  std::shared_ptr<const PthreadsView> view() {
    auto views = book->publish();
    return views.contains(kPid) ? views.at(kPid) : nullptr;
  }
  // joined, detached, unjoined, undecided, live
  std::vector<uint64_t> counts() {
    auto now_view = view();
    return {now_view->joined, now_view->detached, now_view->unjoined.size(), now_view->undecided,
            now_view->live.size()};
  }
  using Counts = std::vector<uint64_t>;

  std::unique_ptr<PthreadBook> book = std::make_unique<PthreadBook>();
  uint64_t now = 1000;
};

TEST_F(Book, AThreadIsLiveWithItsRoutineAndCreator) {
  make(101, LOITER_DETACHED, kPid);
  const auto live = view()->live;
  ASSERT_EQ(live.size(), 1u);
  EXPECT_EQ(live[0].id, id_of(101));
  EXPECT_EQ(live[0].task.tid, 101u);
  EXPECT_EQ(live[0].creator.tid, kPid);
  EXPECT_EQ(live[0].routine, 0x4000u);
  EXPECT_EQ(live[0].arg, 7u);
  EXPECT_EQ(live[0].detached_at_birth, LOITER_DETACHED);
}

TEST_F(Book, JoinedWhileItLives) {
  make(101);
  call(LOITER_PTHREAD_JOIN, kPid, id_of(101));
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0, 1}));
  end(101);
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0, 0}));
  EXPECT_EQ(view()->settled.at(0).joiner.tid, kPid);
}

TEST_F(Book, JoinedAfterItsEnd) {
  make(101);
  end(101);
  EXPECT_EQ(counts(), (Counts{0, 0, 1, 0, 0}));
  call(LOITER_PTHREAD_JOIN, kPid, id_of(101));
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0, 0}));
}

TEST_F(Book, DetachedAtBirthByItselfAndAfterItsEnd) {
  make(101, LOITER_DETACHED);
  make(102);
  make(103);
  call(LOITER_PTHREAD_DETACH, 102, id_of(102));
  for (uint32_t tid : {101, 102, 103}) end(tid);
  EXPECT_EQ(counts(), (Counts{0, 2, 1, 0, 0}));
  call(LOITER_PTHREAD_DETACH, kPid, id_of(103));
  EXPECT_EQ(counts(), (Counts{0, 3, 0, 0, 0}));
}

TEST_F(Book, UnjoinedOnesAreKeptByTheirEnd) {
  for (uint32_t tid : {101, 102, 103}) make(tid);
  for (uint32_t tid : {103, 101}) end(tid);
  const auto unjoined = view()->unjoined;
  ASSERT_EQ(unjoined.size(), 2u);
  EXPECT_EQ(unjoined[0].task.tid, 103u);
  EXPECT_EQ(unjoined[1].task.tid, 101u);
}

TEST_F(Book, ATryThatCameTooEarlyJoinsNobody) {
  make(101);
  call(LOITER_PTHREAD_TRY_JOIN, kPid, id_of(101));
  now += 2 * kSecond;
  end(101);
  EXPECT_EQ(counts(), (Counts{0, 0, 1, 0, 0}));
  call(LOITER_PTHREAD_TRY_JOIN, kPid, id_of(101));
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0, 0}));
}

TEST_F(Book, ATryAtTheVeryMomentOfTheEndIsUndecidedUntilThePthreadIsUsedAgain) {
  make(101);
  call(LOITER_PTHREAD_TRY_JOIN, kPid, id_of(101));
  end(101);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 1, 0}));
  call(LOITER_PTHREAD_CREATE, kPid, 0);
  birth(102, kPid, id_of(101));
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0, 1}));
}

TEST_F(Book, AJoinWithATimeLimitDecidesOnlyWhereItWasSeenToHaveReturned) {
  make(101);
  make(102);
  call(LOITER_PTHREAD_TIMED_JOIN, kPid, id_of(101));
  end(101);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 1, 1}));
  call(LOITER_PTHREAD_CLOCK_JOIN, kPid, id_of(102));
  call(LOITER_PTHREAD_CREATE, kPid, 0);  // it is back
  now += 2 * kSecond;
  end(102);
  EXPECT_EQ(counts(), (Counts{0, 0, 1, 1, 0}));
}

TEST_F(Book, AJoinOfMuslIsTwoCallsAndCertain) {
  make(101);
  call(LOITER_PTHREAD_JOIN, kPid, id_of(101));
  call(LOITER_PTHREAD_TIMED_JOIN, kPid, id_of(101), LOITER_JOINABLE, 0);
  now += 2 * kSecond;
  end(101);
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0, 0}));
}

TEST_F(Book, AJoinerThatEndsFirstHasJoinedNobody) {
  make(101);
  make(102);
  call(LOITER_PTHREAD_JOIN, 102, id_of(101));
  end(102);
  now += 2 * kSecond;
  end(101);
  EXPECT_EQ(counts(), (Counts{0, 0, 2, 0, 0}));
}

TEST_F(Book, AJoinThatReturnedJustBeforeTheEndIsTold) {  // exit_mm() wakes the joiner first
  make(101);
  make(102);
  call(LOITER_PTHREAD_JOIN, kPid, id_of(101));
  call(LOITER_PTHREAD_JOIN, kPid, id_of(102));
  end(101);
  end(102);
  EXPECT_EQ(counts(), (Counts{2, 0, 0, 0, 0}));
}

TEST_F(Book, ASecondJoinerAndOneselfJoinNobody) {
  make(101);
  make(102);
  call(LOITER_PTHREAD_JOIN, kPid, id_of(101));
  call(LOITER_PTHREAD_JOIN, 102, id_of(101));
  call(LOITER_PTHREAD_JOIN, 102, id_of(102));
  end(101);
  end(102);
  EXPECT_EQ(view()->settled.at(0).joiner.tid, kPid);
  EXPECT_EQ(counts(), (Counts{1, 0, 1, 0, 0}));
}

TEST_F(Book, APthreadThatIsUsedAgainWasJoinedWhateverWasLost) {
  make(101);
  end(101);
  EXPECT_EQ(counts(), (Counts{0, 0, 1, 0, 0}));
  call(LOITER_PTHREAD_CREATE, kPid, 0);
  birth(102, kPid, id_of(101));
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0, 1}));
  EXPECT_EQ(view()->live.at(0).task.tid, 102u);
}

TEST_F(Book, CallsThatAreKnownBeforeTheBirthsOfEarlierOnesAreNotMixedUp) {
  call(LOITER_PTHREAD_CREATE, kPid, 1);
  const uint64_t between = now + 5;
  call(LOITER_PTHREAD_CREATE, kPid, 2);
  Event late;
  late.type = LOITER_EVENT_BIRTH;
  late.boot_ns = between;
  late.task = task(101);
  late.creator = task(kPid);
  late.clone_flags = 0x3d0f00;
  late.tls_base = id_of(101);
  book->apply(late);
  birth(102);
  const auto live = view()->live;
  ASSERT_EQ(live.size(), 2u);
  EXPECT_EQ(live[0].task.tid, 101u);
  EXPECT_EQ(live[0].routine, 0x4001u);
  EXPECT_EQ(live[1].routine, 0x4002u);
}

TEST_F(Book, ACallThatFailedHasNoThread) {
  call(LOITER_PTHREAD_CREATE, kPid, 1);
  call(LOITER_PTHREAD_CREATE, kPid, 2);
  birth(101);
  ASSERT_EQ(view()->live.size(), 1u);
  EXPECT_EQ(view()->live[0].routine, 0x4002u);
  EXPECT_EQ(view()->created, 1u);
}

TEST_F(Book, AThreadMadeWithoutTheLibraryIsNone) {
  birth(101);
  end(101);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0, 0}));
}

TEST_F(Book, ThreadsOfBeforeAreNone) {
  call(LOITER_PTHREAD_JOIN, kPid, id_of(55));
  end(55);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0, 0}));
  EXPECT_EQ(view()->created, 0u);
}

TEST_F(Book, AnExecLeavesNone) {
  make(101);
  make(102);
  end(101);
  end(102);
  Event exec;
  exec.type = LOITER_EVENT_EXEC;
  exec.boot_ns = now += 10;
  exec.task = task(kPid);
  book->apply(exec);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0, 0}));
  EXPECT_EQ(view()->since_boot_ns, now);
}

TEST_F(Book, IsBoundedAndCountsWhatItDoesNotKeep) {
  book = std::make_unique<PthreadBook>(PthreadBook::Limits{.processes = 1, .threads = 2, .settled = 1});
  book->watch({kPid, kPid}, 1);
  book->watch({kPid + 1, kPid + 1}, 1);
  for (uint32_t tid : {101, 102, 103}) make(tid);
  EXPECT_EQ(view()->live.size(), 2u);
  EXPECT_EQ(view()->created, 3u);
  EXPECT_EQ(view()->forgotten, 1u);
  EXPECT_EQ(book->publish().size(), 1u);
  for (uint32_t tid : {101, 102}) call(LOITER_PTHREAD_JOIN, kPid, id_of(tid));
  for (uint32_t tid : {101, 102}) end(tid);
  EXPECT_EQ(view()->joined, 2u);
  EXPECT_EQ(view()->settled.size(), 1u);
}

TEST_F(Book, AnUnwatchedOrEndedProcessIsForgotten) {
  make(101);
  Snapshot snapshot;
  ProcessView process;
  process.key = {kPid, kPid};
  snapshot.processes.push_back(process);
  book->expire(snapshot);
  EXPECT_TRUE(view());
  snapshot.processes[0].key.start_boot_ns = 99999;  // another one by that pid
  book->expire(snapshot);
  EXPECT_FALSE(view());
  book->watch({kPid, kPid}, 1);
  book->unwatch({kPid, kPid});
  EXPECT_FALSE(view());
}

TEST_F(Book, AViewIsSharedWhileNothingHappens) {
  make(101);
  const auto before = view();
  EXPECT_EQ(view(), before);
  end(101);
  EXPECT_NE(view(), before);
}

}  // namespace
}  // namespace loiter::test
