// /proc/locks as the kernel writes it and as it never would; who is in whose way.
#include "daemon/inspect/file_locks.h"

#include <gtest/gtest.h>

#include "tests/unit/proc_files_fake.h"

namespace loiter {
namespace {

constexpr const char* kText =
    "1: POSIX  ADVISORY  WRITE 100 08:01:500 0 99\n"
    "1: -> POSIX  ADVISORY  WRITE 200 08:01:500 50 60\n"
    "1:  -> POSIX  ADVISORY  READ 300 08:01:500 55 EOF\n"
    "2: POSIX  ADVISORY  READ 101 08:01:500 100 EOF\n"
    "3: FLOCK  ADVISORY  WRITE 102 00:1a:501 0 EOF\n"
    "3: -> FLOCK  ADVISORY  READ 201 00:1a:501 0 EOF\n"
    "4: OFDLCK ADVISORY  WRITE -1 08:01:502 0 EOF\n"
    "4: -> OFDLCK ADVISORY  WRITE -1 08:01:502 0 EOF\n"
    "5: LEASE  ACTIVE    READ 103 08:01:503 0 EOF\n"
    "6: POSIX  *NOINODE* WRITE 104 <none>:0 0 EOF\n";

TEST(FileLocks, AreReadAsTheKernelWritesThem) {
  const FileLocks locks = parse_file_locks(kText);
  EXPECT_EQ(locks.not_understood, 0u);
  ASSERT_EQ(locks.locks.size(), 10u);
  const FileLock& first = locks.locks[0];
  EXPECT_EQ(first.id, 1u);
  EXPECT_EQ(first.depth, 0u);
  EXPECT_EQ(first.type, FileLock::Type::posix);
  EXPECT_TRUE(first.writes);
  EXPECT_EQ(first.pid, 100);
  EXPECT_EQ(identity_of(first), (FileIdentity{8, 1, 500}));
  EXPECT_EQ(first.start, 0u);
  EXPECT_EQ(first.end, 99u);
  EXPECT_EQ(locks.locks[1].depth, 1u);
  EXPECT_EQ(locks.locks[2].depth, 2u);
  EXPECT_FALSE(locks.locks[2].writes);
  EXPECT_EQ(locks.locks[2].end, FileLock::kEnd);
  EXPECT_EQ(locks.locks[4].device_minor, 0x1au);
  EXPECT_EQ(locks.locks[6].pid, -1);
  EXPECT_EQ(locks.locks[8].type, FileLock::Type::lease);
  EXPECT_EQ(locks.locks[9].inode, 0u);
}

TEST(FileLocks, LinesThatAreNoneAreCounted) {
  for (const char* line :
       {"", "1", "1:", "1: POSIX", "x: POSIX ADVISORY WRITE 1 08:01:5 0 EOF",
        "1: POSIX  ADVISORY  WRITE 1 08:01:5 9 3", "1: POSIX  ADVISORY  WRITE 1 08:01:5 0 EOF x",
        "1: POSIX  ADVISORY  WRITE 99999999999 08:01:5 0 EOF", "1: POSIX  ADVISORY  EAT 1 08:01:5 0 EOF",
        "1: POSIX  ADVISORY  WRITE 1 08-01-5 0 EOF"}) {
    const FileLocks locks = parse_file_locks(std::string(line) + "\n");
    EXPECT_EQ(locks.locks.size(), 0u) << line;
    EXPECT_EQ(locks.not_understood, 1u) << line;
  }
  EXPECT_EQ(parse_file_locks("1: POSIX  ADVISORY  WRITE 1 08:01:5 0 EO").not_understood, 1u) << "cut";
  EXPECT_EQ(parse_file_locks("").not_understood, 0u);
}

TEST(FileLocks, AreBounded) {
  const FileLocks locks = parse_file_locks(kText, 3);
  EXPECT_EQ(locks.locks.size(), 3u);
  EXPECT_EQ(locks.left_out, 7u);
}

TEST(FileLocks, TheHolderIsTheRootOfTheQueue) {
  const FileLocks locks = parse_file_locks(kText);
  const auto waits = lock_waits(locks, 200, std::nullopt);
  ASSERT_EQ(waits.size(), 1u);
  ASSERT_EQ(waits[0].held.size(), 1u);
  EXPECT_EQ(waits[0].held[0].pid, 100);
}

TEST(FileLocks, AWaiterBehindAWaiterAndRangesThatMeet) {
  const auto waits = lock_waits(parse_file_locks(kText), 300, FileIdentity{8, 1, 500});
  ASSERT_EQ(waits.size(), 1u);
  ASSERT_EQ(waits[0].held.size(), 1u) << "the reader at 100 is in nobody's way";
  EXPECT_EQ(waits[0].held[0].pid, 100);
  EXPECT_TRUE(lock_waits(parse_file_locks(kText), 300, FileIdentity{8, 2, 500}).empty());
  EXPECT_TRUE(lock_waits(parse_file_locks(kText), 100, std::nullopt).empty()) << "it holds, it does not wait";
}

TEST(FileLocks, SeveralMayBeInTheWay) {
  const auto waits = lock_waits(parse_file_locks("1: POSIX  ADVISORY  READ 100 08:01:500 0 9\n"
                                                 "1: -> POSIX  ADVISORY  WRITE 200 08:01:500 0 EOF\n"
                                                 "2: POSIX  ADVISORY  READ 101 08:01:500 5 EOF\n"
                                                 "3: FLOCK  ADVISORY  WRITE 102 08:01:500 0 EOF\n"
                                                 "4: POSIX  ADVISORY  WRITE 200 08:01:500 20 30\n"
                                                 "5: OFDLCK ADVISORY  READ -1 08:01:500 0 EOF\n"),
                                200, std::nullopt);
  ASSERT_EQ(waits.size(), 1u);
  ASSERT_EQ(waits[0].held.size(), 3u) << "not the flock, and not its own";
  EXPECT_EQ(waits[0].held[0].pid, 100);
  EXPECT_EQ(waits[0].held[1].pid, 101);
  EXPECT_EQ(waits[0].held[2].type, FileLock::Type::ofd);
}

TEST(FileLocks, OfAnOfdRequestTheFileTells) {
  const FileLocks locks = parse_file_locks(kText);
  EXPECT_TRUE(lock_waits(locks, 999, std::nullopt).empty());
  const auto waits = lock_waits(locks, 999, FileIdentity{8, 1, 502});
  ASSERT_EQ(waits.size(), 1u);
  EXPECT_EQ(waits[0].held.front().pid, -1);
}

TEST(FileLocks, OfAWaiterWithoutItsHolderNothingIsMadeUp) {
  const auto waits =
      lock_waits(parse_file_locks("7: -> POSIX  ADVISORY  WRITE 200 08:01:500 0 EOF\n"), 200, std::nullopt);
  ASSERT_EQ(waits.size(), 1u);
  EXPECT_TRUE(waits[0].held.empty());
}

OpenFile open_file(uint32_t pid, uint32_t fd, uint64_t inode) {
  OpenFile open;
  open.file.pid = open.file.tid = pid;
  open.file.fd = fd;
  open.file.inode = inode;
  open.file.device = 8 << 20 | 1;
  open.file.file_class = LOITER_FILE_REGULAR;
  return open;
}

TEST(FileLocks, HoldersAreThoseWhoseDescriptorsHaveIt) {
  const FileLock held = parse_file_locks("4: OFDLCK ADVISORY  WRITE -1 08:01:502 0 EOF\n").locks.front();
  const FileTable table({{open_file(10, 3, 502), open_file(11, 4, 502), open_file(12, 5, 502)}, 0});
  MadeProc proc;
  const std::string lock = "pos:\t0\nflags:\t02\nlock:\t1: OFDLCK ADVISORY  WRITE -1 08:01:502 0 EOF\n";
  proc.files["/proc/10/task/10/fdinfo/3"] = lock;
  proc.files["/proc/11/task/11/fdinfo/4"] = "pos:\t0\n";
  proc.files["/proc/12/task/12/fdinfo/5"] = lock;
  EXPECT_EQ(lock_holders(held, table, proc), (std::vector<uint32_t>{10, 12}));
  EXPECT_TRUE(lock_holders(held, FileTable(), proc).empty());
}

TEST(FileLocks, OfAPosixLockTheOneItNames) {
  const FileLocks locks = parse_file_locks(kText);
  MadeProc proc;
  EXPECT_EQ(lock_holders(locks.locks[0], FileTable(), proc), std::vector<uint32_t>{100});
  EXPECT_EQ(lock_holders(locks.locks[4], FileTable(), proc), std::vector<uint32_t>{102})
      << "flock, by its caller";
}

}  // namespace
}  // namespace loiter
