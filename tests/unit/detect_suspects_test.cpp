// Which processes are looked into before they are judged.
#include "daemon/detect/suspects.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "tests/unit/made_case.h"

namespace loiter::test {
namespace {

constexpr uint64_t kSettled = kSecond, kThreshold = 30 * kSecond;

std::vector<uint32_t> suspects_of(MadeCase& made) {
  std::vector<uint32_t> pids;
  for (const Suspect& suspect : find_suspects(made.snapshot(), made.waits(), kSettled, kThreshold))
    pids.push_back(suspect.pid);
  return pids;
}

MadeCase of_call(int64_t syscall, uint64_t blocked_s) {
  MadeCase made;
  made.add(10, 10, blocked_s);
  made.thread(10, 10).syscall = syscall;
  return made;
}

TEST(Suspects, WhoSleepsInWhatMayBeALock) {
  for (int64_t syscall : {SYS_futex, SYS_flock, SYS_fcntl}) {
    MadeCase settled = of_call(syscall, 1);
    EXPECT_EQ(suspects_of(settled), std::vector<uint32_t>{10});
    settled.thread(10, 10).blocked_ns = kSettled - 1;
    EXPECT_TRUE(suspects_of(settled).empty()) << "it has only just fallen asleep";
  }
}

TEST(Suspects, WhoIsPastTheThresholdInWhatMayTakeItsTime) {
  for (int64_t syscall : {SYS_write, SYS_connect, SYS_read, SYS_openat}) {
    MadeCase early = of_call(syscall, 29), late = of_call(syscall, 30);
    EXPECT_TRUE(suspects_of(early).empty());
    EXPECT_EQ(suspects_of(late), std::vector<uint32_t>{10});
  }
}

TEST(Suspects, NotWhoWaitsForClientsOrTime) {
  for (int64_t syscall :
       {SYS_epoll_wait, SYS_ppoll, SYS_accept4, SYS_clock_nanosleep, SYS_wait4, SYS_rt_sigtimedwait}) {
    MadeCase made = of_call(syscall, 4000);
    EXPECT_TRUE(suspects_of(made).empty()) << syscall;
  }
  MadeCase made = of_call(SYS_epoll_wait, 40);
  made.thread(10, 10).state = TaskState::uninterruptible;
  EXPECT_EQ(suspects_of(made), std::vector<uint32_t>{10}) << "but for one that a disk keeps";
  made.thread(10, 10).state = TaskState::stopped;
  EXPECT_TRUE(suspects_of(made).empty());
}

TEST(Suspects, NotAgainUntilItHasRun) {
  MadeCase made = of_call(SYS_futex, 60);
  made.judge();
  EXPECT_TRUE(suspects_of(made).empty());
  made.thread(10, 10).voluntary_switches = 8;
  EXPECT_EQ(suspects_of(made), std::vector<uint32_t>{10});
}

TEST(Suspects, AgainWhereWhoItWaitsForHasRun) {
  MadeCase made = of_call(SYS_futex, 60);
  made.add(10, 11, 60);
  made.lock(10, 10, 11, "0xa");
  made.judge();
  EXPECT_TRUE(suspects_of(made).empty());
  made.thread(10, 11).voluntary_switches = 8;
  EXPECT_EQ(suspects_of(made), std::vector<uint32_t>{10});
  made.thread(10, 10).blocked_ns = 29 * kSecond;
  EXPECT_TRUE(suspects_of(made).empty()) << "before the threshold it does not matter";
}

TEST(Suspects, TheLongestFirstAndNoKernelThreads) {
  MadeCase made;
  for (uint32_t pid : {10, 20, 30}) {
    made.add(pid, pid, pid);
    made.thread(pid, pid).syscall = SYS_futex;
  }
  made.process_of(30).kernel = true;
  EXPECT_EQ(suspects_of(made), (std::vector<uint32_t>{20, 10}));
}

}  // namespace
}  // namespace loiter::test
