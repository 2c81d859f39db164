// What cannot be handed over or kept is counted and shown, and the next census sets the tree right.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

uint64_t loss(const json& status, const std::string& cause) {
  for (const auto& loss : status.at("losses"))
    if (loss.at("cause") == cause) return loss.at("count");
  ADD_FAILURE() << "no such cause: " << cause;
  return 0;
}

TEST(Loss, ARingOfOnePageLosesBirthsAndTheCensusMakesThemGood) {
  Daemon daemon({"--ring-size", "4096"});
  Workload workload("storm");
  daemon.tree(workload.pid());
  workload.command("keep 2000");

  const json tree = daemon.tree(workload.pid());
  EXPECT_EQ(tids(tree.at("threads")), threads_of(workload.pid()));
  EXPECT_EQ(tree.at("threads").size(), 2001u);
  uint64_t lost = 0;
  for (const auto& thread : tree.at("threads")) {
    const json& creator = thread.at("parent_tid");
    EXPECT_TRUE(creator.is_null() || creator == workload.pid()) << thread;
    lost += creator.is_null() && thread.at("tid") != workload.pid();
  }
  EXPECT_GT(lost, 0u);
  const json status = daemon.status();  // of the whole host, where others may lose births, too
  EXPECT_GE(loss(status, "ring_full_birth"), lost);
  EXPECT_GE(status.at("repairs").at("added"), lost);
  uint64_t total = 0;
  for (const auto& one : status.at("losses")) total += one.at("count").get<uint64_t>();
  EXPECT_EQ(status.at("losses_total"), total);
}

TEST(Loss, LostEndsAreMadeGoodToo) {
  Daemon daemon({"--ring-size", "4096"});
  Workload workload("storm");
  workload.command("keep 2000");
  daemon.tree(workload.pid());
  workload.command("release");
  ASSERT_TRUE(await("they have ended", [&] { return threads_of(workload.pid()).size() == 1; }));

  const json tree = daemon.tree(workload.pid());
  EXPECT_EQ(tids(tree.at("threads")), std::set<pid_t>{workload.pid()});
  const json status = daemon.status();
  EXPECT_GT(loss(status, "ring_full_exit"), 0u);
  EXPECT_GT(status.at("repairs").at("removed"), 0);
  const auto& ended = tree.at("ended_threads");
  const auto estimated = std::count_if(
      ended.begin(), ended.end(), [](const json& thread) { return thread.at("exactness") == "estimated"; });
  EXPECT_GT(estimated, 0) << "ends that no event told";
}

TEST(Loss, AStormOfShortLivesLeavesNothingInTheTree) {
  Daemon daemon({"--ring-size", "4096"});
  Workload workload("storm");
  workload.command("threads 5000");
  workload.command("processes 200");
  EXPECT_EQ(tids(daemon.tree(workload.pid()).at("threads")), std::set<pid_t>{workload.pid()});
  EXPECT_GT(daemon.status().at("losses_total"), 0);
}

TEST(Loss, ThreadsBeyondTheLimitAreCountedAndShown) {
  Daemon daemon({"--max-threads", "100"});
  Workload workload("storm");
  workload.command("keep 500");
  const json status = daemon.status();
  EXPECT_LE(status.at("counts").at("threads"), 100);
  EXPECT_GE(loss(status, "threads_over_limit"), 400u);
  workload.command("release");
  ASSERT_TRUE(await("they have ended", [&] { return threads_of(workload.pid()).size() == 1; }));
  EXPECT_LE(daemon.status().at("counts").at("threads"), 100);
}

TEST(Loss, EndedThreadsBeyondTheLimitAreForgottenAndCounted) {
  Daemon daemon({"--max-ended", "10"});
  Workload workload("storm");
  daemon.tree(workload.pid());
  workload.command("threads 100");
  // A join returns before the kernel tells of the end of the thread.
  json tree;
  EXPECT_TRUE(await("all ends are told", [&] {
    tree = daemon.tree(workload.pid());
    return tree.at("ended_dropped") >= 90;
  })) << tree;
  EXPECT_LE(tree.at("ended_threads").size(), 10u);
  EXPECT_LE(daemon.status().at("counts").at("ended_kept"), 10);
}

}  // namespace
}  // namespace loiter::test
