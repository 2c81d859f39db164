// Threads that want a CPU: those that do not get one, and those that do not let go of it.
#include "daemon/detect/starved.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/detect/spin.h"
#include "tests/unit/made_host.h"

namespace loiter::test {
namespace {

std::vector<Finding> starved(const MadeHost& made, const KnownLimits& limits = {}) {
  return find_starved(made.host(), made.history, limits);
}

KnownLimits throttled(std::initializer_list<uint32_t> pids, uint64_t periods = 100, uint64_t count = 90) {
  KnownLimits limits;
  for (const uint32_t pid : pids) limits.processes[pid].cpu = CpuThrottling{"/app", periods, count, 7'000};
  return limits;
}

TEST(Starved, RunnableWithoutHavingRun) {
  MadeHost made;
  made.process(10);
  made.add(10, 0, Manner::starves);
  made.add(10, 0, Manner::starves);
  made.process(11);
  made.add(11, 0, Manner::spins);
  made.run(2);
  EXPECT_TRUE(starved(made).empty()) << "seen so for one second";
  made.run(1);
  const std::vector<Finding> findings = starved(made);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity, Severity::warning);
  EXPECT_EQ(findings[0].certainty, Certainty::likely);
  EXPECT_EQ(findings[0].count, 2u);
  EXPECT_EQ(findings[0].process.key.tid, 10u);
  EXPECT_EQ(findings[0].since_boot_ns, made.snapshot.begin_boot_ns - 2 * kSecond);
  const bool names_runner = std::ranges::any_of(
      findings[0].evidence, [](const Evidence& item) { return item.name == "runs_there_tid"; });
  EXPECT_TRUE(names_runner) << "who is on its CPU";
  EXPECT_EQ(find_starving(made.host(), made.history).size(), 1u);
}

TEST(Starved, WhoRanMeanwhileIsNot) {
  for (int what = 0; what < 3; ++what) {
    MadeHost made;
    made.process(10);
    made.add(10, 0, Manner::starves);
    made.run(10, [&](size_t i) {
      ThreadView& thread = made.process(10).threads[1];
      if (what == 0) thread.cpu_ns += 1000;
      if (what == 1) ++thread.involuntary_switches;
      if (what == 2 && i % 2 == 0) ++thread.voluntary_switches;
      EXPECT_TRUE(starved(made).empty()) << what;
    });
  }
}

TEST(Starved, ItEndsWhenItRuns) {
  MadeHost made;
  made.process(10);
  made.add(10, 0, Manner::starves);
  made.run(10);
  EXPECT_EQ(starved(made).size(), 1u);
  made.set_manner(10, Manner::spins);
  made.run(1);
  EXPECT_TRUE(starved(made).empty());
}

// The daemon came to run only each fifth second: so might others.
TEST(Starved, TimeInWhichTheDaemonCouldNotRunCountsNot) {
  MadeHost made;
  made.process(10);
  made.add(10, 0, Manner::starves);
  made.step();
  made.step(5 * kSecond);
  EXPECT_TRUE(starved(made).empty());
  made.step(60 * kSecond);
  EXPECT_EQ(starved(made).size(), 1u) << "one interval each";
  const ThreadRun* run = made.history.runs().find(made.view(10).threads[1].key);
  EXPECT_EQ(run->starved_ns, 2 * kSecond);
}

TEST(Starved, ThrottledCgroupsAreNamedAndOne) {
  MadeHost made;
  for (const uint32_t pid : {10, 11}) {
    made.process(pid);
    made.add(pid, 0, Manner::squeezed);
  }
  made.run(5);
  EXPECT_TRUE(starved(made).empty()) << "it runs now and then: why that is seldom is not known";
  EXPECT_TRUE(starved(made, throttled({10, 11}, 1000, 3)).empty()) << "hardly ever throttled";
  const std::vector<Finding> findings = starved(made, throttled({10, 11}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].count, 2u);
  EXPECT_NE(findings[0].summary.find("cgroup /app"), std::string::npos) << findings[0].summary;
  EXPECT_NE(findings[0].hint.find("cpu.max"), std::string::npos);
  const bool has_throttled = std::ranges::any_of(findings[0].evidence, [](const Evidence& item) {
    return item.name == "nr_throttled" && std::get<uint64_t>(item.value) == 90;
  });
  EXPECT_TRUE(has_throttled);
  EXPECT_EQ(find_starving(made.host(), made.history).size(), 2u);
}

TEST(Starved, WhoComputesInAThrottledCgroupIsNot) {
  MadeHost made;
  made.process(10);
  made.add(10, 0, Manner::spins);
  made.run(20);
  EXPECT_TRUE(starved(made, throttled({10})).empty());
}

// --- spin --------------------------------------------------------------------------------------------------

TEST(Spin, OnACpuWithoutAVoluntarySwitch) {
  MadeHost made;
  made.process(10);
  made.add(10, 1, Manner::spins);
  made.add(10, 1, Manner::spins);
  made.add(10, 2, Manner::spins);
  made.run(2);
  EXPECT_TRUE(find_spinning(made.host(), made.history).empty());
  made.run(1);
  const std::vector<Finding> findings = find_spinning(made.host(), made.history);
  ASSERT_EQ(findings.size(), 2u) << "by where they were made";
  EXPECT_EQ(findings[0].count + findings[1].count, 3u);
  EXPECT_EQ(findings[0].severity, Severity::info);
  EXPECT_EQ(findings[0].certainty, Certainty::possible);
  EXPECT_NE(findings[0].id, findings[1].id);
  EXPECT_TRUE(starved(made).empty());
}

TEST(Spin, WhoHasJustBegunIsNotCounted) {
  MadeHost made;
  made.process(10);
  made.add(10, 1, Manner::spins);
  made.run(20);
  made.add(10, 1, Manner::spins);
  made.run(2);
  const std::vector<Finding> findings = find_spinning(made.host(), made.history);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].count, 1u);
}

TEST(Spin, WhoWaitsNowAndThenDoesNot) {
  MadeHost made;
  made.process(10);
  made.add(10, 1, Manner::spins);
  made.run(20, [&](size_t i) {
    if (i % 2 == 0) ++made.process(10).threads[1].voluntary_switches;
    EXPECT_TRUE(find_spinning(made.host(), made.history).empty());
  });
}

TEST(Spin, WhoIsNotLetDoesNot) {
  MadeHost made;
  made.process(10);
  made.add(10, 1, Manner::squeezed);
  made.add(10, 1, Manner::starves);
  made.run(20);
  EXPECT_TRUE(find_spinning(made.host(), made.history).empty());
}

TEST(Spin, KernelThreadsDoNot) {
  MadeHost made;
  made.process(10);
  made.add(10, 1, Manner::spins);
  made.run(20);
  ASSERT_EQ(find_spinning(made.host(), made.history).size(), 1u);
  made.snapshot.processes[0].kernel = true;
  EXPECT_TRUE(find_spinning(made.host(), made.history).empty());
}

}  // namespace
}  // namespace loiter::test
