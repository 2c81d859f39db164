// What /proc tells, from made files and from this very process.
#include "daemon/sensors/procfs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

TEST(CgroupOf, TakesTheLineOfCgroupV2) {
  EXPECT_EQ(cgroup_of("0::/system.slice/api.service\n"), "/system.slice/api.service");
  EXPECT_EQ(cgroup_of("0::/a:b\n"), "/a:b");
  EXPECT_EQ(cgroup_of("0::/x"), "/x");
}

TEST(CgroupOf, OnAHybridHostSystemdKnowsBetterThanTheRoot) {
  EXPECT_EQ(cgroup_of("12:cpu,cpuacct:/\n1:name=systemd:/system.slice/api.service\n0::/\n"),
            "/system.slice/api.service");
  EXPECT_EQ(cgroup_of("1:name=systemd:/a\n0::/b\n"), "/b");
}

TEST(CgroupOf, OnAV1HostWithoutSystemdTheDeepestNameIsTaken) {
  EXPECT_EQ(cgroup_of("3:memory:/docker/abc\n2:cpu:/\n"), "/docker/abc");
  EXPECT_EQ(cgroup_of("0::/\n"), "/");
}

TEST(CgroupOf, TakesNothingFromWhatIsNone) {
  EXPECT_EQ(cgroup_of(""), "");
  EXPECT_EQ(cgroup_of("\n\n:\nx\n5:y\n"), "");
}

TEST(StartTicksOf, CountsFieldsFromBehindTheName) {
  const std::string rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21\n";
  EXPECT_EQ(start_ticks_of("12 (sh)" + rest), 4242u);
  EXPECT_EQ(start_ticks_of("12 (a) b) (c 7)" + rest), 4242u);
  EXPECT_EQ(start_ticks_of("12 (\n)" + rest), 4242u);
}

TEST(StartTicksOf, RefusesWhatIsNoStat) {
  for (const char* text :
       {"", "12 (sh", "12 (sh)", "12 (sh) S 1 2", "1 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 y"})
    EXPECT_FALSE(start_ticks_of(text)) << text;
}

uint64_t start_of_self_ns() {
  const uint64_t per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  return thread_stat(getpid(), getpid())->start_ticks * (1'000'000'000 / per_second) + 5;
}

TEST(Procfs, TellsTheExecutableOfThisProcess) {
  const auto details = Procfs().details(static_cast<uint32_t>(getpid()), start_of_self_ns());
  ASSERT_TRUE(details);
  EXPECT_EQ(details->exe, exe_of(getpid()));
  EXPECT_TRUE(details->cgroup.empty() || details->cgroup[0] == '/');
}

TEST(Procfs, AnotherProcessThatHasThePidNowIsNotMistaken) {
  EXPECT_FALSE(Procfs().details(static_cast<uint32_t>(getpid()), start_of_self_ns() + 1'000'000'000));
  EXPECT_FALSE(Procfs().details(static_cast<uint32_t>(getpid()), 0));
  EXPECT_FALSE(Procfs().details(4'194'305, 0));  // beyond PID_MAX_LIMIT
}

TEST(Procfs, TellsProcessesFromThreadsAndFromNothing) {
  const Procfs procfs;
  const auto self = procfs.classify(static_cast<uint32_t>(getpid()));
  EXPECT_EQ(self.kind, Procfs::PidKind::process);
  EXPECT_EQ(self.tgid, static_cast<uint32_t>(getpid()));
  std::thread([&] {
    const auto thread = procfs.classify(static_cast<uint32_t>(gettid()));
    EXPECT_EQ(thread.kind, Procfs::PidKind::thread);
    EXPECT_EQ(thread.tgid, static_cast<uint32_t>(getpid()));
  }).join();
  EXPECT_EQ(procfs.classify(4'194'305).kind, Procfs::PidKind::none);
  EXPECT_EQ(procfs.classify(0).kind, Procfs::PidKind::none);
}

// A /proc of its own.
class MadeProc : public ::testing::Test {
 protected:
  void write(const std::string& pid, const std::string& name, const std::string& text) {
    mkdir(dir_.file(pid).c_str(), 0755);
    std::ofstream(dir_.file(pid + "/" + name)) << text;
  }
  std::string stat_line(const std::string& name, uint64_t flags, uint64_t start) {
    return "7 (" + name + ") S 1 7 7 0 -1 " + std::to_string(flags) + " 0 0 0 0 0 0 0 0 20 0 1 0 " +
           std::to_string(start) + " 0 0\n";
  }
  TempDir dir_;
};

TEST_F(MadeProc, KernelThreadsAreKnownByTheirFlag) {
  write("7", "status", "Name:\tkworker/0:1\nUmask:\t0000\nTgid:\t7\n");
  write("7", "stat", stat_line("kworker/0:1", 0x4208060 | 0x00200000, 5));
  EXPECT_EQ(Procfs(dir_.path()).classify(7).kind, Procfs::PidKind::kernel_thread);
  write("7", "stat", stat_line("kworker/0:1", 0x400000, 5));
  EXPECT_EQ(Procfs(dir_.path()).classify(7).kind, Procfs::PidKind::process);
}

TEST_F(MadeProc, ANameThatLooksLikeFieldsIsNotTakenForThem) {
  write("7", "status", "Name:\tTgid:\\n9\nTgid:\t3\n");
  write("7", "stat", stat_line("x) S 1 2 3 4 5 2097152", 0x400000, 5));
  EXPECT_EQ(Procfs(dir_.path()).classify(7).kind, Procfs::PidKind::thread);
  EXPECT_EQ(Procfs(dir_.path()).classify(7).tgid, 3u);
}

TEST_F(MadeProc, DetailsOfAProcessWhoseExecutableCannotBeRead) {
  write("7", "stat", stat_line("sh", 0, 300));
  write("7", "cgroup", "0::/x.service\n");
  const uint64_t tick = 1'000'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  const auto details = Procfs(dir_.path()).details(7, 300 * tick + tick - 1);
  ASSERT_TRUE(details);
  EXPECT_EQ(details->exe, "");
  EXPECT_EQ(details->cgroup, "/x.service");
  EXPECT_FALSE(Procfs(dir_.path()).details(7, 301 * tick));
}

TEST_F(MadeProc, HalfReadableProcessesAreGone) {
  write("7", "status", "Name:\tx\n");
  EXPECT_EQ(Procfs(dir_.path()).classify(7).kind, Procfs::PidKind::none);
  EXPECT_FALSE(Procfs(dir_.path()).details(7, 0));
}

}  // namespace
}  // namespace loiter::test
