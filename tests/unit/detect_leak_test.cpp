// Leaks, and what grows and is none.
#include "daemon/detect/leak.h"

#include <gtest/gtest.h>

#include "tests/unit/made_host.h"

namespace loiter::test {
namespace {

// Thresholds of 2 s: windows of 8 s, five of them, 8 threads.
std::vector<Finding> leaks(const MadeHost& made, const KnownLimits& limits = {}) {
  return find_leaks(made.host(), made.history, limits);
}

template <typename T>
T evidence(const Finding& finding, const std::string& name) {
  for (const Evidence& item : finding.evidence)
    if (item.name == name) return std::get<T>(item.value);
  ADD_FAILURE() << "no evidence " << name;
  return {};
}

TEST(Leak, ThreadsThatRestAndPileUp) {
  MadeHost made;
  made.process(10);
  made.run(60, [&](size_t) { made.add(10, 3, Manner::rests); });
  const std::vector<Finding> found = leaks(made);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].kind, FindingKind::leak);
  EXPECT_EQ(found[0].severity, Severity::warning);
  EXPECT_EQ(found[0].certainty, Certainty::likely);
  EXPECT_EQ(found[0].count, 60u);
  EXPECT_EQ(found[0].threads.size(), kMostFindingThreads);
  EXPECT_EQ(found[0].threads[0].blocked_ns, 60 * kSecond) << "the longest blocked first";
  ASSERT_TRUE(found[0].threads[0].site);
  EXPECT_NEAR(evidence<double>(found[0], "threads_per_minute"), 60.0, 2.0);
  EXPECT_EQ(evidence<uint64_t>(found[0], "ends"), 0u);
  EXPECT_EQ(evidence<uint64_t>(found[0], "births"), 8 * (evidence<uint64_t>(found[0], "windows") - 1));
  EXPECT_EQ(evidence<std::string>(found[0], "created_in"), "pthread_create < make_3 < main");
  EXPECT_NE(found[0].summary.find("60 threads made in make_3"), std::string::npos) << found[0].summary;
  EXPECT_EQ(evidence<uint64_t>(found[0], "alike"), 60u);
  EXPECT_EQ(evidence<std::string>(found[0], "alike_in"), "futex()");
  EXPECT_EQ(found[0].hint.find("60 of them wait in futex(): "), 0u) << found[0].hint;
}

TEST(Leak, IsToldAsSoonAsItsWindowsAreOver) {
  MadeHost made;
  made.process(10);
  size_t at = 0;
  for (; at < 200 && leaks(made).empty(); ++at) {
    made.add(10, 3, Manner::rests);
    made.step();
  }
  EXPECT_LE(at, 5 * 8 + 2u);
  EXPECT_GT(at, 4 * 8u);
}

TEST(Leak, NotWhatIsMadeAtOnceOrComesBack) {
  MadeHost made;
  made.process(10);
  for (int i = 0; i < 64; ++i) made.add(10, 1, Manner::rests);  // a pool
  made.run(120, [&](size_t i) {
    made.add(10, 2, Manner::rests);  // a burst every 20 s that goes again
    if (i % 20 == 19) made.end(10, 2, 20);
    EXPECT_TRUE(leaks(made).empty()) << i;
  });
}

TEST(Leak, NotThePoolThatFollowsItsLoad) {
  MadeHost made;
  made.process(10);
  bool told = false;
  made.run(250, [&](size_t i) {
    if (i % 2 == 0) made.add(10, 2, Manner::works);
    for (const Finding& finding : leaks(made)) {
      told = true;
      EXPECT_EQ(finding.severity, Severity::info) << i;
      EXPECT_EQ(finding.certainty, Certainty::possible) << i;
      EXPECT_GE(i, Growth::kPatience * 5 * 8u - 8);
    }
  });
  EXPECT_TRUE(told);
}

TEST(Leak, TimersThatWakeByTheClockAreOne) {
  MadeHost made;
  made.process(10);
  size_t at = 0;
  for (; at < 200 && leaks(made).empty(); ++at) {
    if (at % 2 == 0) made.add(10, 2, Manner::ticks);
    made.step();
  }
  EXPECT_LE(at, 6 * 8 + 2u);
  ASSERT_FALSE(leaks(made).empty());
  EXPECT_EQ(leaks(made)[0].severity, Severity::warning);
}

// Almost as timers, but they wait for what comes from outside, do much when they wake, or wake often
// or irregularly.
TEST(Leak, NotThoseThatOnlyLookLikeTimers) {
  for (const Manner manner : {Manner::serves, Manner::computes, Manner::hurries, Manner::varies}) {
    MadeHost made;
    made.process(10);
    made.run(100, [&](size_t i) {
      if (i % 2 == 0) made.add(10, 2, manner);
      EXPECT_TRUE(leaks(made).empty()) << i;
    });
  }
}

TEST(Leak, ChurnHidesNone) {
  MadeHost made;
  made.process(10);
  made.run(60, [&](size_t i) {
    const size_t burst = 5 + i * 7 % 11;
    for (size_t k = 0; k < burst; ++k) made.add(10, 4, Manner::works);
    made.step(kSecond / 2);
    made.end(10, 4, burst);
    made.add(10, 4, Manner::rests);  // one of them stays
  });
  const std::vector<Finding> found = leaks(made);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_GT(evidence<uint64_t>(found[0], "ends"), 100u);
}

TEST(Leak, IsResolvedWhenItShrinksOrStops) {
  MadeHost made;
  made.process(10);
  made.process(11);
  made.run(60, [&](size_t) {
    made.add(10, 3, Manner::rests);
    made.add(11, 3, Manner::rests);
  });
  ASSERT_EQ(leaks(made).size(), 2u);
  EXPECT_NE(leaks(made)[0].id, leaks(made)[1].id);
  made.end(10, 3, 40);
  made.run(1);
  ASSERT_EQ(leaks(made).size(), 1u);
  EXPECT_EQ(leaks(made)[0].process.key.tid, 11u);
  made.run(4 * 8);
  EXPECT_EQ(leaks(made).size(), 1u);
  made.run(3 * 8);
  EXPECT_TRUE(leaks(made).empty());
}

TEST(Leak, OfThreadsWithoutASite) {
  MadeHost made;
  made.process(10);
  made.run(60, [&](size_t) { made.add(10, 0, Manner::rests); });
  const std::vector<Finding> found = leaks(made);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].summary.find("whose creation was not seen"), std::string::npos) << found[0].summary;
  EXPECT_EQ(evidence<std::string>(found[0], "without_site_reason"), explanation_of(SiteGap::rate_limited));
}

// Births that come too fast for their stacks to be taken: one leak, not two.
TEST(Leak, ThreadsWithoutASiteCountWithThoseThatHaveOne) {
  MadeHost made;
  made.process(10);
  made.run(60, [&](size_t) {
    made.add(10, 3, Manner::rests);
    for (int i = 0; i < 3; ++i) made.add(10, 0, Manner::rests);
  });
  const std::vector<Finding> found = leaks(made);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].count, 240u);
  EXPECT_EQ(evidence<uint64_t>(found[0], "live_without_site"), 180u);
}

TEST(Leak, SitesThatAreForgottenMakeNone) {
  MadeHost made;
  MadeHost::Process& process = made.process(10);
  for (int i = 0; i < 200; ++i) made.add(10, 3, Manner::rests);
  made.run(100, [&](size_t i) {
    if (i < 20) return;
    // Thread by thread they lose their site; nobody is born.
    process.threads[1 + i].site = 0;
    --process.origins.sites[0].births;
    EXPECT_TRUE(leaks(made).empty()) << i;
  });
}

TEST(Leak, TellsTheTimeLeftUntilTheNearestLimit) {
  MadeHost made;
  made.process(10);
  made.run(60, [&](size_t) { made.add(10, 3, Manner::rests); });
  KnownLimits limits;
  limits.processes[10] = {.pids = {{"/app", 61, 121}, {"/", 61, 100'000}}, .nproc = 5000, .cpu = {}};
  const std::vector<Finding> found = leaks(made, limits);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(evidence<std::string>(found[0], "limit"), "pids.max");
  EXPECT_EQ(evidence<uint64_t>(found[0], "limit_max"), 121u);
  EXPECT_NEAR(static_cast<double>(evidence<uint64_t>(found[0], "time_left_ns")), 60e9, 2e9);
}

TEST(Leak, ALongSleepOfTheHostIsNoGrowth) {
  MadeHost made;
  made.process(10);
  for (int i = 0; i < 20; ++i) {
    made.step(20 * kSecond);  // each census more than a window late
    for (int k = 0; k < 10; ++k) made.add(10, 3, Manner::rests);
    EXPECT_TRUE(leaks(made).empty());
  }
}

}  // namespace
}  // namespace loiter::test
