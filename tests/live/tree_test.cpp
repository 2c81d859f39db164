// What the daemon tells of threads that just are: held against /proc and what the workloads know.
#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>

#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

const std::vector<std::string> kAllKinds = {"futex",     "mutex",   "pipe",   "poll",  "epoll",
                                            "nanosleep", "sigwait", "accept", "flock", "wait"};

TEST(Tree, ThreadsFromBeforeTheDaemonHaveNoCreator) {
  Workload workload("spawn_tree", {"2", "2"});
  Daemon daemon;
  const json before = daemon.tree(workload.pid());
  EXPECT_EQ(tids(before.at("threads")), threads_of(workload.pid()));
  for (const auto& thread : before.at("threads")) {
    EXPECT_TRUE(thread.at("parent_tid").is_null()) << thread;
    EXPECT_TRUE(thread.at("parent_alive").is_null()) << thread;
  }
  const json added = Workload::the(workload.command("add"), "thread");
  const json after = daemon.tree(workload.pid());
  EXPECT_EQ(find_thread(after, added.at("tid")).at("parent_tid"), workload.pid());
  EXPECT_EQ(tids(after.at("threads")), threads_of(workload.pid()));
}

TEST(Tree, ThousandsOfThreadsAreAllThere) {
  Daemon daemon;
  Workload workload("storm");
  workload.command("keep 3000");
  const json tree = daemon.tree(workload.pid());
  EXPECT_EQ(tree.at("threads").size(), 3001u);
  EXPECT_EQ(tids(tree.at("threads")), threads_of(workload.pid()));
  EXPECT_GE(daemon.status().at("counts").at("threads"), 3001);
  workload.command("release");
  EXPECT_EQ(tids(daemon.tree(workload.pid()).at("threads")), std::set<pid_t>{workload.pid()});
}

TEST(Tree, FiguresOfBlockedThreadsAreThoseOfProc) {
  Workload workload("blocker", kAllKinds);
  Daemon daemon;
  const json tree = daemon.tree(workload.pid());
  const uint64_t ns_per_tick = static_cast<uint64_t>(kNsPerSecond / sysconf(_SC_CLK_TCK));
  for (const auto& fact : workload.facts()) {
    const pid_t tid = fact.at("tid");
    const json thread = find_thread(tree, tid);
    ASSERT_FALSE(thread.is_null()) << fact;
    const auto stat = thread_stat(workload.pid(), tid);
    auto status = thread_status(workload.pid(), tid);
    EXPECT_EQ(thread.at("syscall"), fact.at("syscall"));
    EXPECT_EQ(thread.at("state"), "sleeping") << fact;
    EXPECT_EQ(thread.at("name"), stat->comm);
    EXPECT_EQ(thread.at("born_boottime_ns").get<uint64_t>() / ns_per_tick, stat->start_ticks);
    EXPECT_EQ(thread.at("voluntary_switches"), std::stoull(status["voluntary_ctxt_switches"])) << fact;
    EXPECT_EQ(thread.at("involuntary_switches"), std::stoull(status["nonvoluntary_ctxt_switches"])) << fact;
    EXPECT_EQ(thread.at("cpu_ns"), *thread_cpu_ns(workload.pid(), tid)) << fact;
  }
}

TEST(Tree, WallTimesAreThoseOfTheBirth) {
  Daemon daemon;
  Workload workload("spawn_tree", {"1", "3"});
  const json tree = daemon.tree(workload.pid());
  for (const auto& thread : tree.at("threads")) {
    const int64_t since_boot = thread.at("born_boottime_ns");
    const int64_t wall = static_cast<int64_t>(realtime_now_ns() - boottime_now_ns()) + since_boot;
    EXPECT_NEAR(parse_rfc3339(thread.at("start_time")), wall, 100 * kMillisecond) << thread;
  }
  EXPECT_EQ(tree.at("process").at("start_time"), tree.at("threads")[0].at("start_time"));
  EXPECT_NEAR(parse_rfc3339(tree.at("as_of")),
              static_cast<int64_t>(realtime_now_ns() - boottime_now_ns()) +
                  tree.at("as_of_boottime_ns").get<int64_t>(),
              100 * kMillisecond);
}

TEST(Tree, StatesAreTold) {
  Workload workload("states");
  Daemon daemon;
  for (const auto& fact : workload.facts()) {
    const json thread = find_thread(daemon.tree(fact.at("pid")), fact.at("tid"));
    ASSERT_FALSE(thread.is_null()) << fact;
    if (fact.at("state") == "busy") {
      EXPECT_TRUE(thread.at("state") == "running" || thread.at("state") == "runnable") << thread;
    } else {
      EXPECT_EQ(thread.at("state"), fact.at("state")) << thread;
    }
    const bool waits = fact.at("state") != "busy" && fact.at("state") != "zombie";
    EXPECT_EQ(thread.at("blocked_ns").is_null(), !waits) << thread;
    EXPECT_EQ(thread.at("exactness").is_null(), !waits) << thread;
    EXPECT_FALSE(!waits && !thread.at("blocked_max_ns").is_null()) << thread;
  }
}

TEST(Tree, AStoppedProcessGoesOn) {
  Workload workload("spawn_tree", {"1", "2"});
  Daemon daemon;
  workload.process().signal(SIGSTOP);
  ASSERT_TRUE(
      await("it is stopped", [&] { return thread_stat(workload.pid(), workload.pid())->state == 'T'; }));
  const json stopped = daemon.tree(workload.pid());
  for (const auto& thread : stopped.at("threads")) EXPECT_EQ(thread.at("state"), "stopped") << thread;
  workload.process().signal(SIGCONT);
  ASSERT_TRUE(await("it goes on", [&] { return thread_stat(workload.pid(), workload.pid())->state == 'S'; }));
  EXPECT_EQ(find_thread(daemon.tree(workload.pid()), workload.pid()).at("state"), "sleeping");
}

// Of a process in several hierarchies (cgroup v1) any of its paths will do.
std::set<std::string> cgroups_of(pid_t pid) {
  std::set<std::string> paths;
  std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/cgroup"));
  for (std::string line; std::getline(lines, line);)
    paths.insert(line.substr(line.find(':', line.find(':') + 1) + 1));
  return paths;
}

TEST(Tree, TheListOfProcessesAgreesWithTheTrees) {
  Workload workload("blocker", {"futex", "pipe", "sigwait"});
  Daemon daemon;
  const json list = daemon.get("/v1/processes?fresh=1");
  const json tree = daemon.tree(workload.pid());
  json found;
  for (const auto& process : list.at("processes"))
    if (process.at("pid") == workload.pid()) found = process;
  ASSERT_FALSE(found.is_null());
  EXPECT_EQ(found.at("thread_count"), 4);
  EXPECT_EQ(found.at("blocked"), 4);
  EXPECT_EQ(found.at("running").get<int>() + found.at("runnable").get<int>(), 0);
  EXPECT_EQ(found.at("parent_pid"), getpid());
  EXPECT_EQ(found.at("uid"), 0);
  EXPECT_EQ(found.at("kernel"), false);
  EXPECT_EQ(found.at("exe"), exe_of(workload.pid()));
  const std::set<std::string> cgroups = cgroups_of(workload.pid());
  EXPECT_TRUE(cgroups.empty() ? found.at("cgroup").is_null() : cgroups.contains(found.at("cgroup"))) << found;
  EXPECT_EQ(found.at("start_boottime_ns"), tree.at("threads")[0].at("born_boottime_ns"));
  EXPECT_EQ(found.at("oldest_blocked").at("tid"), workload.facts().front().at("tid"));
  EXPECT_GE(list.at("host").at("threads").get<uint64_t>(), list.at("processes").size());
  EXPECT_EQ(list.at("host").at("processes"), list.at("processes").size());
}

TEST(Tree, PidsThatAreNoUserProcessAreToldApart) {
  Workload workload("spawn_tree", {"1", "1"});
  Daemon daemon;
  const auto code_for = [&](const std::string& pid) {
    const HttpResponse response = daemon.request("/v1/processes/" + pid + "?fresh=1");
    EXPECT_EQ(response.status, 404) << response.body;
    return json::parse(response.body).at("error").at("code").get<std::string>();
  };
  EXPECT_EQ(code_for(std::to_string(workload.facts().front().at("tid").get<pid_t>())), "is_thread");
  EXPECT_EQ(code_for("2"), "is_kernel_thread");
  EXPECT_EQ(code_for("4194304"), "no_such_process");  // PID_MAX_LIMIT: never given out
}

TEST(Tree, KernelThreadsAreThereWhenAskedFor) {
  Daemon daemon({"--kernel-threads"});
  const json tree = daemon.tree(2);
  EXPECT_EQ(tree.at("process").at("kernel"), true);
  EXPECT_EQ(tree.at("process").at("comm"), "kthreadd");
  EXPECT_TRUE(tree.at("process").at("exe").is_null());
  EXPECT_EQ(tree.at("threads").size(), 1u);
}

}  // namespace
}  // namespace loiter::test
