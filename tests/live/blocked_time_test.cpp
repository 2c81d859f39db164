// How long a thread has been blocked, held against its own clock: for waits that began before the daemon
// did and after, on an idle machine and on one whose every CPU is taken.
#include <gtest/gtest.h>

#include <unistd.h>
#include <algorithm>

#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

const std::vector<std::string> kKinds = {"futex", "mutex", "pipe", "poll", "nanosleep", "sigwait", "wait"};

// The promise of accuracy.
int64_t slack(int64_t age) {
  return 50 * kMillisecond + age / 100;
}

// The thread went to sleep between the fact's two stamps: its true age is that uncertain, no more.
// `may_be_lower_bound`: where no clock of its CPU could be read in time, that is said, and holds.
void expect_true_age_within(const json& tree, const json& fact, bool may_be_lower_bound = false) {
  const json thread = find_thread(tree, fact.at("tid"));
  ASSERT_FALSE(thread.is_null()) << fact;
  const int64_t as_of = tree.at("as_of_boottime_ns");
  const int64_t least = as_of - fact.at("after").get<int64_t>();
  const int64_t most = as_of - fact.at("before").get<int64_t>();
  ASSERT_FALSE(thread.at("blocked_ns").is_null()) << thread;
  EXPECT_LE(thread.at("blocked_ns"), most + slack(most)) << thread << fact;
  if (may_be_lower_bound && thread.at("exactness") == "lower_bound") return;
  ASSERT_TRUE(thread.at("exactness") == "exact" || thread.at("exactness") == "estimated") << thread;
  if (thread.at("exactness") == "exact") {
    EXPECT_GE(thread.at("blocked_ns"), least - slack(least)) << thread << fact;
  } else {
    ASSERT_FALSE(thread.at("blocked_max_ns").is_null()) << thread;
    EXPECT_GE(thread.at("blocked_max_ns"), thread.at("blocked_ns"));
    EXPECT_GE(thread.at("blocked_max_ns"), least - slack(least)) << thread << fact;
  }
}

// On an idle machine the lower figure itself is the age.
void expect_age(const json& tree, const json& fact) {
  expect_true_age_within(tree, fact);
  const json thread = find_thread(tree, fact.at("tid"));
  const int64_t least = tree.at("as_of_boottime_ns").get<int64_t>() - fact.at("after").get<int64_t>();
  EXPECT_GE(thread.at("blocked_ns"), least - slack(least)) << thread << fact;
}

TEST(BlockedTime, OfWaitsFromBeforeTheDaemon) {
  Workload workload("blocker", kKinds);
  ASSERT_TRUE(workload.await_age(3 * kNsPerSecond));
  // The first census dates them. Where the machine takes the CPU away while that reads the clocks (met in an
  // emulator on a busy host), they are lower bounds for good, and said to be: another daemon reads them anew.
  json tree;
  const auto is_bound = [&](const json& fact) {
    return find_thread(tree, fact.at("tid")).at("exactness") == "lower_bound";
  };
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Daemon daemon;
    tree = daemon.tree(workload.pid());
    if (std::ranges::none_of(workload.facts(), is_bound)) break;
  }
  for (const auto& fact : workload.facts()) {
    expect_age(tree, fact);
    EXPECT_GE(find_thread(tree, fact.at("tid")).at("blocked_ns"),
              3 * kNsPerSecond * 99 / 100 - 50 * kMillisecond);
  }
}

TEST(BlockedTime, OfWaitsThatBeganUnderItsEyes) {
  Daemon daemon({"--interval", "200ms"});
  Workload workload("blocker", kKinds);
  const json young = daemon.tree(workload.pid());
  for (const auto& fact : workload.facts()) expect_age(young, fact);
  ASSERT_TRUE(workload.await_age(2 * kNsPerSecond));
  const json old = daemon.tree(workload.pid());
  for (const auto& fact : workload.facts()) expect_age(old, fact);
}

TEST(BlockedTime, GrowsWithTheClock) {
  Workload workload("blocker", {"futex"});
  Daemon daemon;
  const auto look = [&] {
    const json tree = daemon.tree(workload.pid());
    const json thread = find_thread(tree, workload.facts().front().at("tid"));
    return std::pair<int64_t, int64_t>(tree.at("as_of_boottime_ns"), thread.at("blocked_ns"));
  };
  const auto [first_time, first_age] = look();
  ASSERT_TRUE(workload.await_age(1 * kNsPerSecond));
  const auto [second_time, second_age] = look();
  EXPECT_NEAR(second_age - first_age, second_time - first_time, 50 * kMillisecond);
}

TEST(BlockedTime, StartsAnewWithEachWait) {
  Daemon daemon({"--interval", "200ms"});
  Workload workload("renamer");
  const pid_t tid = Workload::the(workload.facts(), "thread").at("tid");
  const auto age = [&] { return find_thread(daemon.tree(workload.pid()), tid).at("blocked_ns"); };
  ASSERT_TRUE(await("its first wait is old", [&] {
    const json now = age();
    return !now.is_null() && now >= kNsPerSecond;
  }));
  const int64_t woken = static_cast<int64_t>(boottime_now_ns());
  workload.command("self 6e6577");
  json thread, tree;
  ASSERT_TRUE(await("it waits again", [&] {
    tree = daemon.tree(workload.pid());
    thread = find_thread(tree, tid);
    return !thread.at("blocked_ns").is_null();
  }));
  const int64_t most = tree.at("as_of_boottime_ns").get<int64_t>() - woken;
  EXPECT_LE(thread.at("blocked_ns"), most + slack(most)) << thread;
}

TEST(BlockedTime, LiesWithinItsBoundsOnASaturatedMachine) {
  Workload early("blocker", kKinds);
  const std::string threads = std::to_string(2 * sysconf(_SC_NPROCESSORS_ONLN));
  Workload spinner("spinner", {threads, "120"});
  Workload later("blocker", kKinds);
  Daemon daemon;
  Workload latest("blocker", kKinds);
  ASSERT_TRUE(latest.await_age(2 * kNsPerSecond));
  for (const Workload* workload : {&early, &later, &latest}) {
    const json tree = daemon.tree(workload->pid());
    for (const auto& fact : workload->facts()) expect_true_age_within(tree, fact, true);
  }
}

TEST(BlockedTime, ABusyThreadHasNone) {
  Workload spinner("spinner", {"2", "120"});
  Daemon daemon;
  const json tree = daemon.tree(spinner.pid());
  for (const auto& fact : spinner.facts()) {
    const json thread = find_thread(tree, fact.at("tid"));
    EXPECT_TRUE(thread.at("state") == "running" || thread.at("state") == "runnable") << thread;
    EXPECT_TRUE(thread.at("blocked_ns").is_null()) << thread;
    EXPECT_TRUE(thread.at("blocked_max_ns").is_null()) << thread;
    EXPECT_TRUE(thread.at("exactness").is_null()) << thread;
    EXPECT_EQ(thread.at("overdue"), false) << thread;
  }
}

}  // namespace
}  // namespace loiter::test
