// Names of system calls: of this machine, of 32-bit programs, of calls younger than the library, of none.
#include "daemon/model/syscalls.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <thread>
#include <vector>

namespace loiter {
namespace {

TEST(Syscalls, HaveTheNamesOfThisMachine) {
  EXPECT_EQ(syscall_name(SYS_futex, false), "futex");
  EXPECT_EQ(syscall_name(SYS_read, false), "read");
  EXPECT_EQ(syscall_name(SYS_epoll_pwait, false), "epoll_pwait");
}

#if defined(__x86_64__)
TEST(Syscalls, Of32BitProgramsAreOfTheirOwnTable) {
  EXPECT_EQ(syscall_name(240, true), "futex");
  EXPECT_EQ(syscall_name(3, true), "read");
  EXPECT_EQ(syscall_name(3, false), "close");
}
#endif

TEST(Syscalls, YoungerThanTheLibraryAreKnownToo) {
  EXPECT_EQ(syscall_name(455, false), "futex_wait");
  EXPECT_EQ(syscall_name(462, true), "mseal");
}

TEST(Syscalls, ANumberWithoutANameStandsForItself) {
  EXPECT_EQ(syscall_name(100'000, false), "syscall_100000");
}

TEST(Syscalls, AProgramThatAsksForAllNumbersDoesNotFillTheTable) {
  const std::string& before = syscall_name(SYS_futex, false);
  for (int64_t number = 1'000'000; number < 1'010'000; ++number) syscall_name(number, false);
  EXPECT_EQ(syscall_name(2'000'000, false), "syscall_other");
  EXPECT_EQ(&syscall_name(SYS_futex, false), &before);
}

TEST(Syscalls, MayBeAskedForByManyThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] {
      for (int64_t number = 0; number < 300; ++number) EXPECT_FALSE(syscall_name(number, false).empty());
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace loiter
