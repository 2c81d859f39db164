// The history itself: what it keeps, for how long, and that it is bounded.
#include "daemon/detect/history.h"

#include <gtest/gtest.h>

#include "tests/unit/made_host.h"

namespace loiter::test {
namespace {

TEST(History, FollowsCohortsBySite) {
  MadeHost made;
  made.process(10);
  made.add(10, 7, Manner::rests);
  made.add(10, 9, Manner::rests);
  made.add(10, 9, Manner::rests);
  made.add(10, 0, Manner::rests);
  made.step();
  const ProcessHistory* process = made.history.find(made.view(10).key);
  ASSERT_TRUE(process);
  EXPECT_EQ(process->total.now(), 5u);
  ASSERT_EQ(process->cohorts.size(), 3u);
  EXPECT_EQ(process->find(0)->growth.now(), 1u);
  EXPECT_EQ(process->find(7)->growth.now(), 1u);
  EXPECT_EQ(process->find(9)->growth.now(), 2u);
  EXPECT_FALSE(process->find(8));
  // A site between comes, one is forgotten.
  made.add(10, 8, Manner::rests);
  auto& sites = made.process(10).origins.sites;
  sites.erase(sites.begin());
  made.step();
  process = made.history.find(made.view(10).key);
  EXPECT_FALSE(process->find(7));
  EXPECT_EQ(process->find(8)->growth.now(), 1u);
  EXPECT_EQ(process->find(9)->growth.now(), 2u);
  EXPECT_EQ(process->find(0)->growth.now(), 2u) << "its thread is there still";
}

TEST(History, AProcessThatEndsIsForgottenAndItsPidIsAnothers) {
  MadeHost made;
  made.process(10);
  made.add(10, 1, Manner::rests);
  made.run(20);
  const TaskKey old = made.view(10).key;
  EXPECT_TRUE(made.history.find(old));
  made.end_process(10);
  made.process(10);
  made.step();
  EXPECT_FALSE(made.history.find(old));
  const ProcessHistory* now = made.history.find(made.view(10).key);
  ASSERT_TRUE(now);
  EXPECT_EQ(now->total.now(), 1u);
  EXPECT_TRUE(now->cohorts.empty());
}

TEST(History, CountsCgroupsWithThoseBelowAndUsers) {
  MadeHost made;
  made.process(10).cgroup = "/a/b/c";
  made.process(11).cgroup = "/a/b";
  made.process(12).cgroup = "/a/x";
  made.process(12).uid = 7;
  made.step();
  EXPECT_EQ(made.history.of_cgroup("/a/b/c")->now(), 1u);
  EXPECT_EQ(made.history.of_cgroup("/a/b")->now(), 2u);
  EXPECT_EQ(made.history.of_cgroup("/a")->now(), 3u);
  EXPECT_EQ(made.history.of_cgroup("/")->now(), 3u);
  EXPECT_FALSE(made.history.of_cgroup("/b"));
  EXPECT_EQ(made.history.of_user(1000)->now(), 2u);
  EXPECT_EQ(made.history.of_user(7)->now(), 1u);
  EXPECT_EQ(made.history.of_host().now(), 3u);
  made.end_process(12);
  made.run(10);
  EXPECT_FALSE(made.history.of_cgroup("/a/x")) << "forgotten with the next window";
  EXPECT_FALSE(made.history.of_user(7));
  EXPECT_EQ(made.history.of_cgroup("/a")->now(), 2u);
}

TEST(History, ASnapshotThatIsNotYoungerChangesNothing) {
  MadeHost made;
  made.process(10);
  made.add(10, 0, Manner::starves);
  made.run(3);
  const TaskKey key = made.view(10).threads[1].key;
  EXPECT_EQ(made.history.runs().find(key)->starved_ns, 2 * kSecond);
  made.history.add(made.snapshot);
  EXPECT_EQ(made.history.runs().find(key)->starved_ns, 2 * kSecond);
  Snapshot older;
  older.begin_mono_ns = made.snapshot.begin_mono_ns - 1;
  made.history.add(older);
  EXPECT_TRUE(made.history.find(made.view(10).key));
}

TEST(History, WindowsOfAnotherLengthBeginAnew) {
  MadeHost made;
  made.process(10);
  made.run(40, [&](size_t) { made.add(10, 3, Manner::rests); });
  const TaskKey key = made.view(10).key;
  made.history.set_thresholds(made.thresholds);
  EXPECT_TRUE(made.history.find(key)) << "nothing has changed";
  made.history.set_thresholds(Thresholds::of(5 * kSecond));
  EXPECT_FALSE(made.history.find(key));
  made.step();
  EXPECT_EQ(made.history.find(key)->find(3)->growth.leak(), Growth::Leak::none);
}

TEST(History, WhoGrowsIsTheGreatestFirst) {
  MadeHost made;
  for (const uint32_t pid : {10, 11, 12, 13}) made.process(pid).cgroup = "/p" + std::to_string(pid);
  for (int i = 0; i < 50; ++i) made.add(13, 1, Manner::rests);
  for (const uint32_t pid : {10, 11, 12, 13}) made.process(pid).uid = pid;
  made.run(30, [&](size_t) {
    made.add(10, 1, Manner::rests);
    made.add(11, 1, Manner::rests);
    made.add(11, 1, Manner::rests);
  });
  const std::vector<TaskKey> growing = made.history.growing(made.snapshot);
  ASSERT_EQ(growing.size(), 2u) << "neither who is great nor who is small";
  EXPECT_EQ(growing[0].tid, 11u);
  EXPECT_EQ(growing[1].tid, 10u);
  EXPECT_EQ(made.history.growing(made.snapshot, 1).size(), 1u);
}

// Processes of one thread each, none of which grows.
TEST(History, OfACgroupThatGrowsOneSpeaksForAll) {
  MadeHost made;
  made.process(500).uid = 3;
  made.run(30, [&](size_t i) { made.process(1000 + static_cast<uint32_t>(i)).cgroup = "/forks"; });
  const std::vector<TaskKey> growing = made.history.growing(made.snapshot);
  ASSERT_FALSE(growing.empty());
  EXPECT_LE(growing.size(), 2u) << "one of the cgroup, one of the user";
  EXPECT_GE(growing[0].tid, 1000u);
}

TEST(History, IsBounded) {
  Snapshot snapshot;
  snapshot.begin_mono_ns = kSecond;
  std::vector<ThreadView> runners;
  for (uint32_t i = 0; i < RunWatch::kMost + 100; ++i) {
    ThreadView thread = make_thread(1'000'000 + i, "r", {});
    runners.push_back(thread);
  }
  snapshot.processes.push_back(make_process(1, "run", runners));
  for (uint32_t i = 0; i < History::kMostProcesses + 50; ++i) {
    ProcessView process = make_process(10 + i, "p", {make_thread(10 + i, "p", 1)});
    process.cgroup = "/c" + std::to_string(i);
    process.uid = i;
    snapshot.processes.push_back(process);
  }
  History history(Thresholds::of(kSecond), kSecond);
  history.add(snapshot);
  EXPECT_EQ(history.runs().size(), RunWatch::kMost);
  EXPECT_EQ(history.runs().left_out(), 100u);
  EXPECT_GE(history.left_out(), 51u);
  EXPECT_FALSE(history.find({10 + History::kMostProcesses + 49, 1000 * (10 + History::kMostProcesses + 49)}));
  EXPECT_FALSE(history.of_cgroup("/c" + std::to_string(History::kMostGroups + 10)));
  // Room is made where some go.
  snapshot.begin_mono_ns += kSecond;
  snapshot.processes.erase(snapshot.processes.begin(), snapshot.processes.begin() + 100);
  history.add(snapshot);
  EXPECT_EQ(history.runs().size(), 0u);
  snapshot.begin_mono_ns += kSecond;
  history.add(snapshot);
  EXPECT_TRUE(history.find(snapshot.processes.back().key));
}

TEST(History, SamplesOfThreadsThatMoveAreBounded) {
  MadeHost made;
  made.process(10);
  made.run(60, [&](size_t) {
    for (int i = 0; i < 20; ++i) made.add(10, 1, Manner::works);
  });
  const ProcessHistory* process = made.history.find(made.view(10).key);
  EXPECT_EQ(process->samples.size(), History::kSamplesOfCohort);
  made.run(30);
  EXPECT_TRUE(process->samples.empty()) << "it grows no more";
}

TEST(History, AThreadWithTheNumberOfAnotherBeginsAnew) {
  MadeHost made;
  made.process(10);
  made.add(10, 0, Manner::starves);
  made.run(5);
  ++made.process(10).threads[1].key.start_boot_ns;
  made.step();
  EXPECT_EQ(made.history.runs().find(made.view(10).threads[1].key)->starved_ns, 0u);
}

TEST(History, AThreadThatSleepsOrSwitchesBeginsAnew) {
  MadeHost made;
  made.process(10);
  made.add(10, 0, Manner::spins);
  made.run(5);
  const TaskKey key = made.view(10).threads[1].key;
  EXPECT_EQ(made.history.runs().find(key)->busy_ns, 4 * kSecond);
  EXPECT_EQ(made.history.runs().find(key)->busy_cpu_ns, 4 * kSecond);
  EXPECT_EQ(made.history.runs().find(key)->starved_ns, 0u);
  ++made.process(10).threads[1].voluntary_switches;
  made.step();
  EXPECT_EQ(made.history.runs().find(key)->busy_ns, 0u);
  made.set_manner(10, Manner::rests);
  made.step();
  EXPECT_FALSE(made.history.runs().find(key));
}

}  // namespace
}  // namespace loiter::test
