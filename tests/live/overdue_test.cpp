// Which threads are overdue, in the trees and in a scan, for the daemon's own threshold and for others.
#include <gtest/gtest.h>

#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

TEST(Overdue, IsWhatIsBlockedPastTheThreshold) {
  Workload workload("blocker", {"futex", "pipe", "nanosleep"});
  Daemon daemon({"--threshold", "500ms"});
  ASSERT_TRUE(workload.await_age(600 * kMillisecond));
  workload.command("add futex");
  const json tree = daemon.tree(workload.pid());
  EXPECT_EQ(tree.at("threshold_ns"), 500 * kMillisecond);
  int marked = 0;
  for (const auto& thread : tree.at("threads")) {
    EXPECT_EQ(thread.at("overdue"), thread.at("blocked_ns") >= 500 * kMillisecond) << thread;
    marked += thread.at("overdue").get<bool>();
  }
  for (const auto& fact : workload.facts())
    EXPECT_EQ(find_thread(tree, fact.at("tid")).at("overdue"), true) << fact;
  EXPECT_EQ(tree.at("process").at("overdue"), marked);
  EXPECT_GE(daemon.status().at("counts").at("overdue"), marked);
}

TEST(Overdue, MayBeAskedForWithAnotherThreshold) {
  Workload workload("blocker", {"futex"});
  Daemon daemon({"--threshold", "1h"});
  const std::string path = "/v1/processes/" + std::to_string(workload.pid()) + "?fresh=1&threshold_ns=";
  const pid_t tid = workload.facts().front().at("tid");
  EXPECT_EQ(find_thread(daemon.tree(workload.pid()), tid).at("overdue"), false);
  EXPECT_EQ(find_thread(daemon.get(path + "1"), tid).at("overdue"), true);
  EXPECT_EQ(find_thread(daemon.get(path + std::to_string(3600 * kNsPerSecond)), tid).at("overdue"), false);
}

TEST(Scan, ListsJustTheOverdueOldestFirst) {
  Workload workload("blocker", {"futex", "pipe", "nanosleep"});
  Daemon daemon;
  ASSERT_TRUE(workload.await_age(kNsPerSecond));
  const json young = Workload::the(workload.command("add sigwait"), "blocked");
  const std::string path = "/v1/scan?fresh=1&pid=" + std::to_string(workload.pid());
  const json all = daemon.get(path + "&threshold_ns=1");
  EXPECT_TRUE(all.at("findings").empty());
  int64_t previous = INT64_MAX;
  for (const auto& thread : all.at("overdue")) {
    EXPECT_EQ(thread.at("pid"), workload.pid());
    EXPECT_LE(thread.at("blocked_ns"), previous);
    previous = thread.at("blocked_ns");
  }
  EXPECT_EQ(all.at("overdue").size(), 5u) << all;  // the main thread waits for commands
  const json none = daemon.get(path + "&threshold_ns=" + std::to_string(3600 * kNsPerSecond));
  EXPECT_TRUE(none.at("overdue").empty());
  EXPECT_EQ(daemon.get(path + "&threshold_ns=1&strict=1").at("findings").size(), 5u);
  EXPECT_EQ(young.at("syscall"), "rt_sigtimedwait");
}

}  // namespace
}  // namespace loiter::test
