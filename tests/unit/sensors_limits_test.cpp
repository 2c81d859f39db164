// What limits the number of threads, as the kernel writes it; and read from a made /proc and cgroup file
// system.
#include "daemon/sensors/limits.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace loiter::test {
namespace {

TEST(Limits, PlaceOfAController) {
  const auto v2 = place_of("0::/system.slice/api.service\n", "pids");
  ASSERT_TRUE(v2);
  EXPECT_TRUE(v2->v2);
  EXPECT_EQ(v2->folder, "");
  EXPECT_EQ(v2->path, "/system.slice/api.service");
  const std::string hybrid = "9:name=systemd:/s\n8:pids:/user/p\n2:cpu,cpuacct:/c:d\n0::/u\n";
  EXPECT_EQ(place_of(hybrid, "pids")->folder, "/pids");
  EXPECT_EQ(place_of(hybrid, "pids")->path, "/user/p");
  EXPECT_EQ(place_of(hybrid, "cpu")->folder, "/cpu,cpuacct");
  EXPECT_EQ(place_of(hybrid, "cpu")->path, "/c:d");
  EXPECT_EQ(place_of(hybrid, "memory")->folder, "/unified");
}

TEST(Limits, PathsThatLeadUpwardsAreRefused) {
  EXPECT_FALSE(place_of("0::/../x\n", "pids"));
  EXPECT_FALSE(place_of("0::/a/..\n", "pids"));
  EXPECT_FALSE(place_of("0::x\n", "pids"));
  EXPECT_TRUE(place_of("0::/a..b/...\n", "pids"));
  EXPECT_FALSE(place_of("", "pids"));
  EXPECT_FALSE(place_of("rubbish\n:\n", "pids"));
}

TEST(Limits, SoftLimitOfProcesses) {
  const std::string text =
      "Limit                     Soft Limit           Hard Limit           Units     \n"
      "Max processes             4096                 8192                 processes \n";
  EXPECT_EQ(max_processes_of(text), 4096u);
  EXPECT_EQ(max_processes_of("Max processes             unlimited            unlimited  processes\n"),
            std::nullopt);
  EXPECT_EQ(max_processes_of("Max open files 7 7 files\n"), std::nullopt);
}

TEST(Limits, RootAndThePrivilegedAreNotBound) {
  const auto bound = [](const std::string& uid, const std::string& capabilities) {
    return is_bound_by_nproc("Name:\tx\nUid:\t" + uid + "\t7\t7\t7\nCapEff:\t" + capabilities + "\n");
  };
  EXPECT_TRUE(bound("1000", "0000000000000000"));
  EXPECT_FALSE(bound("0", "0000000000000000"));
  EXPECT_FALSE(bound("1000", "0000000000200000")) << "CAP_SYS_ADMIN";
  EXPECT_FALSE(bound("1000", "0000000001000000")) << "CAP_SYS_RESOURCE";
  EXPECT_TRUE(bound("1000", "fffffffffedfffff")) << "all others";
  EXPECT_FALSE(is_bound_by_nproc("Uid:\t1000\n"));
}

TEST(Limits, Numbers) {
  EXPECT_EQ(number_of("4096\n"), 4096u);
  EXPECT_EQ(number_of("max\n"), std::nullopt);
  EXPECT_EQ(number_of("12x"), std::nullopt);
  EXPECT_EQ(number_of(""), std::nullopt);
  EXPECT_EQ(number_of("99999999999999999999999"), std::nullopt);
  EXPECT_EQ(threads_of("0.20 0.18 0.12 1/80 11206\n"), 80u);
  EXPECT_EQ(threads_of("0.20"), std::nullopt);
}

TEST(Limits, ThrottlingOfBothVersions) {
  const auto v2 = throttling_of("usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7\n");
  ASSERT_TRUE(v2);
  EXPECT_EQ(v2->periods, 10u);
  EXPECT_EQ(v2->throttled_periods, 4u);
  EXPECT_EQ(v2->throttled_ns, 7000u);
  EXPECT_EQ(throttling_of("nr_periods 10\nnr_throttled 4\nthrottled_time 7\n")->throttled_ns, 7u);
  EXPECT_FALSE(throttling_of("usage_usec 5\n"));
}

TEST(Limits, OfThisHostAndProcess) {
  const HostLimits host = LimitReader().host();
  EXPECT_GT(host.threads.value_or(0), 1u);
  EXPECT_GT(host.threads_max.value_or(0), host.threads.value_or(0));
  EXPECT_GT(host.pid_max.value_or(0), static_cast<uint64_t>(getpid()));
  EXPECT_FALSE(LimitReader().process(static_cast<uint32_t>(getpid()), 1)) << "it began at another time";
}

class MadeFiles : public ::testing::Test {
 protected:
  MadeFiles() {
    char name[] = "/tmp/loiter-limits-XXXXXX";
    root = mkdtemp(name);
  }
  ~MadeFiles() override { std::filesystem::remove_all(root); }
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = root + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  void make_process(const std::string& cgroup) {
    write("/proc/42/cgroup", cgroup);
    write("/proc/42/status", "Uid:\t7\t7\t7\t7\nCapEff:\t0\n");
    write("/proc/42/limits", "Max processes             300                  300   processes\n");
    write("/proc/42/stat", "42 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0 1 2 3\n");
  }
  std::optional<ProcessLimits> read() const {
    return LimitReader(root + "/proc", root + "/cgroup").process(42, 0);
  }
  std::string root;
};

TEST_F(MadeFiles, LimitsOfAllAncestors) {
  make_process("0::/pod/box/leaf\n");
  write("/cgroup/pod/pids.max", "1000\n");
  write("/cgroup/pod/pids.current", "30\n");
  write("/cgroup/pod/box/pids.max", "max\n");
  write("/cgroup/pod/box/pids.current", "20\n");
  write("/cgroup/pod/box/leaf/pids.max", "50\n");
  write("/cgroup/pod/box/leaf/pids.current", "10\n");
  write("/cgroup/pod/box/leaf/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n");
  write("/cgroup/pod/cpu.stat", "nr_periods 9\nnr_throttled 2\nthrottled_usec 5\n");
  const std::optional<ProcessLimits> limits = read();
  ASSERT_TRUE(limits);
  ASSERT_EQ(limits->pids.size(), 2u);
  EXPECT_EQ(limits->pids[0].cgroup, "/pod/box/leaf");
  EXPECT_EQ(limits->pids[0].max, 50u);
  EXPECT_EQ(limits->pids[1].cgroup, "/pod");
  EXPECT_EQ(limits->pids[1].current, 30u);
  EXPECT_EQ(limits->nproc, 300u);
  ASSERT_TRUE(limits->cpu);
  EXPECT_EQ(limits->cpu->cgroup, "/pod");
}

TEST_F(MadeFiles, OfCgroupV1) {
  make_process("8:pids:/a\n2:cpu,cpuacct:/b\n0::/c\n");
  write("/cgroup/pids/a/pids.max", "7\n");
  write("/cgroup/pids/a/pids.current", "3\n");
  write("/cgroup/cpu,cpuacct/b/cpu.stat", "nr_periods 9\nnr_throttled 2\nthrottled_time 5\n");
  const std::optional<ProcessLimits> limits = read();
  ASSERT_TRUE(limits);
  ASSERT_EQ(limits->pids.size(), 1u);
  EXPECT_EQ(limits->pids[0].max, 7u);
  EXPECT_EQ(limits->cpu->throttled_ns, 5u);
}

TEST_F(MadeFiles, NothingToReadIsNoLimit) {
  make_process("0::/none\n");
  const std::optional<ProcessLimits> limits = read();
  ASSERT_TRUE(limits);
  EXPECT_TRUE(limits->pids.empty());
  EXPECT_FALSE(limits->cpu);
  std::filesystem::remove_all(root + "/proc/42");
  EXPECT_FALSE(read());
}

}  // namespace
}  // namespace loiter::test
