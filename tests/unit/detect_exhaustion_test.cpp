// Limits on the number of threads, and who is on course for them.
#include "daemon/detect/exhaustion.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/made_host.h"

namespace loiter::test {
namespace {

// Thresholds of 2 s: windows of 8 s, within 240 s.
KnownLimits pids(uint32_t pid, uint64_t current, uint64_t max, const std::string& cgroup = "/app") {
  KnownLimits limits;
  limits.processes[pid].pids = {{cgroup, current, max}};
  return limits;
}

std::vector<Finding> found(const MadeHost& made, const KnownLimits& limits) {
  return find_exhaustion(made.host(), made.history, limits);
}

MadeHost growing(size_t seconds = 40) {
  MadeHost made;
  made.process(10);
  made.run(seconds, [&](size_t) { made.add(10, 1, Manner::works); });
  return made;
}

TEST(Exhaustion, OnCourseWithinTheTime) {
  const MadeHost made = growing();
  // 60 a minute: 100 left are 100 s.
  std::vector<Finding> findings = found(made, pids(10, 41, 141));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity, Severity::warning);
  EXPECT_EQ(findings[0].certainty, Certainty::likely);
  EXPECT_EQ(findings[0].process.key.tid, 10u);
  EXPECT_EQ(findings[0].count, 41u);
  EXPECT_NE(findings[0].summary.find("1m40s"), std::string::npos) << findings[0].summary;
  EXPECT_TRUE(found(made, pids(10, 41, 41 + 300)).empty()) << "300 s";
  findings = found(made, pids(10, 41, 41 + 20));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity, Severity::critical) << "20 s of 240";
}

TEST(Exhaustion, NamesTheThreadsThatWereMadeWhereItGrew) {
  MadeHost made;
  made.process(10);
  for (int i = 0; i < 40; ++i) made.add(10, 2, Manner::rests);
  made.run(40, [&](size_t) { made.add(10, 1, Manner::rests); });
  const std::vector<Finding> findings = found(made, pids(10, 81, 181));
  ASSERT_EQ(findings.size(), 1u);
  ASSERT_EQ(findings[0].threads.size(), kMostFindingThreads);
  for (const FindingThread& named : findings[0].threads) {
    const auto& threads = made.snapshot.find(10)->threads;
    const auto at =
        std::ranges::find_if(threads, [&](const ThreadView& thread) { return thread.key == named.key; });
    ASSERT_NE(at, threads.end());
    EXPECT_EQ(at->site, 1u);
  }
}

TEST(Exhaustion, NotWhoStandsNearALimitAndStays) {
  MadeHost made;
  made.process(10);
  for (int i = 0; i < 60; ++i) made.add(10, 1, Manner::works);
  made.run(60, [&](size_t i) {
    if (i % 3 == 0) made.add(10, 1, Manner::works);
    if (i % 3 == 1) made.end(10, 1, 1);
    EXPECT_TRUE(found(made, pids(10, 62, 64)).empty()) << i;
    EXPECT_TRUE(found(made, pids(10, 64, 64)).empty()) << "full since ever: it is meant to be";
  });
}

TEST(Exhaustion, NotAPoolThatIsMadeAtOnce) {
  MadeHost made;
  made.process(10);
  made.run(60, [&](size_t i) {
    if (i == 10)
      for (int k = 0; k < 100; ++k) made.add(10, 1, Manner::rests);
    EXPECT_TRUE(i < 20 || found(made, pids(10, 101, 300)).empty()) << i;
  });
}

TEST(Exhaustion, NineTenthsAndAJumpAreTold) {
  MadeHost made;
  made.process(10);
  made.run(20);
  for (int k = 0; k < 92; ++k) made.add(10, 1, Manner::rests);
  made.step();
  EXPECT_EQ(found(made, pids(10, 93, 100)).size(), 1u);
  EXPECT_TRUE(found(made, pids(10, 89, 100)).empty());
}

TEST(Exhaustion, WhatHasGrownUntilItIsFullIsToldWhileItIs) {
  MadeHost made = growing(60);
  made.run(100);
  EXPECT_TRUE(found(made, pids(10, 61, 64)).empty()) << "it grows no more";
  const std::vector<Finding> findings = found(made, pids(10, 61, 61));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity, Severity::critical);
  EXPECT_NE(findings[0].summary.find("no more can be made"), std::string::npos);
}

TEST(Exhaustion, OfAnAncestorAndOncePerLimit) {
  MadeHost made;
  made.process(10).cgroup = "/pod/one";
  made.process(11).cgroup = "/pod/two";
  made.run(40, [&](size_t) {
    made.add(10, 1, Manner::works);
    made.add(10, 1, Manner::works);
    made.add(11, 1, Manner::works);
  });
  KnownLimits limits = pids(10, 122, 250, "/pod");
  limits.processes[11].pids = {{"/pod", 122, 250}};
  const std::vector<Finding> findings = found(made, limits);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].process.key.tid, 10u) << "which grows more";
}

TEST(Exhaustion, OfAUserByTheLowestLimit) {
  const MadeHost made = growing();
  KnownLimits limits;
  limits.processes[10].nproc = 1'000'000;
  EXPECT_TRUE(found(made, limits).empty());
  limits.processes[10].nproc = 100;
  const std::vector<Finding> findings = found(made, limits);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_NE(findings[0].summary.find("user 1000 has 41 of at most 100"), std::string::npos)
      << findings[0].summary;
}

TEST(Exhaustion, OfTheHost) {
  const MadeHost made = growing();
  KnownLimits limits;
  limits.processes[10];
  limits.host = {.threads = 900, .threads_max = 1000, .pid_max = 4'000'000};
  const std::vector<Finding> findings = found(made, limits);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_NE(findings[0].summary.find("threads-max"), std::string::npos);
}

TEST(Exhaustion, NearestLimitsComeFirstAndZeroRoomIsNow) {
  const MadeHost made = growing();
  KnownLimits limits;
  limits.processes[10] = {.pids = {{"/app", 41, 1000}, {"/", 41, 45}}, .nproc = 50, .cpu = {}};
  const std::vector<LimitUse> uses = limits_of(made.view(10), limits, made.history);
  ASSERT_EQ(uses.size(), 3u);
  EXPECT_EQ(uses[0].scope, "cgroup /");
  EXPECT_EQ(uses[1].name, "RLIMIT_NPROC");
  LimitUse full{.name = {}, .scope = {}, .used = 70, .max = 64, .growth = nullptr};
  EXPECT_EQ(full.left_ns(1.0), 0u);
  EXPECT_EQ(full.left_ns(0.0), std::nullopt);
  full.max = UINT64_MAX;
  EXPECT_EQ(full.left_ns(1e-9), std::nullopt);
}

TEST(Exhaustion, IsCalledTheSameWhoeverGrowsMost) {
  MadeHost made = growing();
  made.process(11);
  const std::string id = found(made, pids(10, 41, 141)).at(0).id;
  made.run(40, [&](size_t) {
    for (int i = 0; i < 3; ++i) made.add(11, 1, Manner::works);
  });
  const std::vector<Finding> later = found(made, pids(10, 121, 231));
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].process.key.tid, 11u);
  EXPECT_EQ(later[0].id, id);
}

}  // namespace
}  // namespace loiter::test
