// Births, ends, execs and names, told by events: with each of the two kinds of tracepoint.
#include <gtest/gtest.h>

#include <filesystem>

#include "daemon/base/bytes.h"
#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

class Lifecycle : public ::testing::TestWithParam<const char*> {
 protected:
  Daemon daemon{{"--tracepoints", GetParam()}};
};
INSTANTIATE_TEST_SUITE_P(Tracepoints, Lifecycle, ::testing::Values("btf", "raw"),
                         [](const auto& info) { return std::string(info.param); });

void expect_born_between(const json& thread, const json& fact) {
  EXPECT_GE(thread.at("born_boottime_ns"), fact.at("before")) << thread;
  EXPECT_LE(thread.at("born_boottime_ns"), fact.at("after")) << thread;
}

TEST_P(Lifecycle, EveryThreadHasItsCreator) {
  Workload workload("spawn_tree", {"3", "3"});
  const json tree = daemon.tree(workload.pid());
  EXPECT_EQ(tids(tree.at("threads")), threads_of(workload.pid()));
  EXPECT_EQ(tree.at("threads").size(), 1u + 3 + 9 + 27);
  EXPECT_EQ(tree.at("process").at("thread_count"), 40);
  EXPECT_EQ(tree.at("threads")[0].at("tid"), workload.pid());
  EXPECT_TRUE(tree.at("threads")[0].at("parent_tid").is_null());
  for (const auto& fact : workload.facts()) {
    const json thread = find_thread(tree, fact.at("tid"));
    ASSERT_FALSE(thread.is_null()) << fact;
    EXPECT_EQ(thread.at("parent_tid"), fact.at("creator")) << thread;
    EXPECT_EQ(thread.at("parent_alive"), true) << thread;
    expect_born_between(thread, fact);
  }
}

TEST_P(Lifecycle, AChainOfThreadsIsThatDeep) {
  Workload workload("spawn_tree", {"40", "1"});
  const json tree = daemon.tree(workload.pid());
  pid_t creator = workload.pid();
  for (const auto& fact : workload.facts()) {
    ASSERT_EQ(fact.at("creator"), creator);
    EXPECT_EQ(find_thread(tree, fact.at("tid")).at("parent_tid"), creator);
    creator = fact.at("tid");
  }
  EXPECT_EQ(tids(tree.at("threads")), threads_of(workload.pid()));
}

TEST_P(Lifecycle, AnEndedThreadIsKeptWithItsEnd) {
  Workload workload("spawn_tree", {"2", "2"});
  const json victim = workload.facts().front();
  const pid_t tid = victim.at("tid");
  const uint64_t before = boottime_now_ns();
  workload.command("end " + std::to_string(tid));
  ASSERT_TRUE(await("the thread is gone", [&] { return !threads_of(workload.pid()).contains(tid); }));
  const uint64_t after = boottime_now_ns();

  const json tree = daemon.tree(workload.pid());
  EXPECT_TRUE(find_thread(tree, tid).is_null());
  EXPECT_EQ(tids(tree.at("threads")), threads_of(workload.pid()));
  const json ended = find_thread(tree, tid, "ended_threads");
  ASSERT_FALSE(ended.is_null()) << tree;
  EXPECT_EQ(ended.at("exactness"), "exact");
  EXPECT_EQ(ended.at("parent_tid"), workload.pid());
  expect_born_between(ended, victim);
  EXPECT_GE(ended.at("ended_boottime_ns"), before);
  EXPECT_LE(ended.at("ended_boottime_ns"), after);
  for (const auto& fact : workload.facts())
    if (fact.at("creator") == tid) {
      EXPECT_EQ(find_thread(tree, fact.at("tid")).at("parent_tid"), tid);
      EXPECT_EQ(find_thread(tree, fact.at("tid")).at("parent_alive"), false);
    }
}

TEST_P(Lifecycle, AThreadThatExecsTakesTheLeadersPlace) {
  Workload workload("exec_from_thread");
  const auto old_threads = Workload::of_kind(workload.facts(), "thread");
  ASSERT_EQ(old_threads.size(), 3u);
  const json leader = find_thread(daemon.tree(workload.pid()), workload.pid());
  workload.send("exec");
  const json fresh_thread = Workload::the(workload.read_until("settled"), "new_thread");

  const json tree = daemon.tree(workload.pid());
  EXPECT_EQ(tids(tree.at("threads")), (std::set<pid_t>{workload.pid(), fresh_thread.at("tid")})) << tree;
  EXPECT_EQ(tids(tree.at("threads")), threads_of(workload.pid()));
  const json now = find_thread(tree, workload.pid());
  EXPECT_EQ(now.at("born_boottime_ns"), leader.at("born_boottime_ns"));
  EXPECT_EQ(now.at("start_time"), leader.at("start_time"));
  EXPECT_TRUE(now.at("parent_tid").is_null());
  EXPECT_EQ(now.at("name"), thread_stat(workload.pid(), workload.pid())->comm);
  EXPECT_EQ(tree.at("process").at("comm"), now.at("name"));
  EXPECT_EQ(find_thread(tree, fresh_thread.at("tid")).at("parent_tid"), workload.pid());
  for (const auto& thread : old_threads)
    if (thread.at("role") == "sibling") {
      EXPECT_FALSE(find_thread(tree, thread.at("tid"), "ended_threads").is_null()) << tree;
    }
}

TEST_P(Lifecycle, ALeaderThatExecsEndsItsThreads) {
  Workload workload("exec_from_thread");
  daemon.tree(workload.pid());
  workload.send("exec_leader");
  const json fresh_thread = Workload::the(workload.read_until("settled"), "new_thread");
  const json tree = daemon.tree(workload.pid());
  EXPECT_EQ(tids(tree.at("threads")), (std::set<pid_t>{workload.pid(), fresh_thread.at("tid")})) << tree;
  for (const auto& thread : Workload::of_kind(workload.facts(), "thread"))
    EXPECT_FALSE(find_thread(tree, thread.at("tid"), "ended_threads").is_null()) << tree;
}

TEST_P(Lifecycle, AForkWithoutExecIsAProcess) {
  Workload workload("fork_without_exec");
  const json forked = Workload::the(workload.facts(), "forked");
  const pid_t child = forked.at("child");
  const pid_t child_thread = Workload::the(workload.facts(), "child_thread").at("tid");

  const json tree = daemon.tree(child);
  EXPECT_EQ(tids(tree.at("threads")), (std::set<pid_t>{child, child_thread}));
  EXPECT_EQ(find_thread(tree, child_thread).at("parent_tid"), child);
  EXPECT_TRUE(find_thread(tree, child).at("parent_tid").is_null());
  EXPECT_EQ(tree.at("process").at("parent_pid"), workload.pid());
  EXPECT_EQ(tree.at("process").at("comm"), thread_stat(child, child)->comm);
  EXPECT_EQ(tree.at("process").at("exe"), exe_of(child));
  const json parent = daemon.tree(workload.pid());
  EXPECT_EQ(tids(parent.at("threads")), threads_of(workload.pid()))
      << "the child's threads are not the parent's";

  workload.command("end");
  const json after = daemon.tree(child);
  EXPECT_TRUE(after.at("threads").empty()) << after;
  EXPECT_FALSE(after.at("process").at("ended").is_null()) << after;
  EXPECT_EQ(tids(after.at("ended_threads")), (std::set<pid_t>{child, child_thread}));
}

TEST_P(Lifecycle, TheLeaderMayEndFirst) {
  Workload workload("leader_exit");
  const pid_t survivor = Workload::the(workload.facts(), "survivor").at("tid");
  const json tree = daemon.tree(workload.pid());
  EXPECT_EQ(tids(tree.at("threads")), (std::set<pid_t>{workload.pid(), survivor})) << tree;
  const json leader = find_thread(tree, workload.pid());
  EXPECT_EQ(leader.at("state"), "zombie");
  EXPECT_TRUE(leader.at("blocked_ns").is_null());
  EXPECT_TRUE(leader.at("exactness").is_null());
  EXPECT_EQ(find_thread(tree, survivor).at("parent_tid"), workload.pid());
  EXPECT_EQ(find_thread(tree, survivor).at("state"), "sleeping");
  EXPECT_TRUE(tree.at("process").at("ended").is_null());
}

TEST_P(Lifecycle, AReusedTidIsAnotherThread) {
  if (!std::filesystem::exists("/proc/sys/kernel/ns_last_pid"))
    GTEST_SKIP() << "this kernel has no ns_last_pid (CONFIG_CHECKPOINT_RESTORE)";
  Workload workload("tid_reuse");
  daemon.stacks(workload.pid());  // its helpers are there from now on: they might take the number
  const json first = Workload::the(workload.facts(), "thread");
  const json second = Workload::the(workload.command("thread"), "thread");
  ASSERT_EQ(first.at("tid"), second.at("tid"));

  const json tree = daemon.tree(workload.pid());
  const json lives = find_thread(tree, second.at("tid"));
  ASSERT_FALSE(lives.is_null()) << tree;
  expect_born_between(lives, second);
  const json ended = find_thread(tree, first.at("tid"), "ended_threads");
  ASSERT_FALSE(ended.is_null()) << tree;
  expect_born_between(ended, first);
  EXPECT_LE(ended.at("ended_boottime_ns"), lives.at("born_boottime_ns"));
  EXPECT_EQ(tids(tree.at("threads")), threads_of(workload.pid()));
}

TEST_P(Lifecycle, AReusedPidIsAnotherProcess) {
  if (!std::filesystem::exists("/proc/sys/kernel/ns_last_pid"))
    GTEST_SKIP() << "this kernel has no ns_last_pid (CONFIG_CHECKPOINT_RESTORE)";
  Workload workload("tid_reuse");
  daemon.stacks(workload.pid());  // its helpers are there from now on: they might take the number
  const json first = Workload::the(workload.facts(), "process");
  const pid_t pid = first.at("tid");
  const json old_tree = daemon.tree(pid);
  const json second = Workload::the(workload.command("process"), "process");

  const json tree = daemon.tree(pid);
  EXPECT_NE(tree.at("process").at("start_boottime_ns"), old_tree.at("process").at("start_boottime_ns"));
  EXPECT_TRUE(tree.at("process").at("ended").is_null());
  EXPECT_EQ(tree.at("process").at("parent_pid"), workload.pid());
  ASSERT_EQ(tree.at("threads").size(), 1u);
  expect_born_between(tree.at("threads")[0], second);
  EXPECT_TRUE(tree.at("ended_threads").empty()) << "those of the process before it: " << tree;
}

std::string hex(const std::string& bytes) {
  std::string digits;
  char two[3];
  for (unsigned char byte : bytes) {
    snprintf(two, sizeof(two), "%02x", byte);
    digits += two;
  }
  return digits;
}

TEST_P(Lifecycle, NamesAreBytes) {
  Workload workload("renamer");
  const pid_t tid = Workload::the(workload.facts(), "thread").at("tid");
  const std::vector<std::string> names = {
      "plain",           "\x1b[31mred",
      "two\nlines",      "\"quoted\"\\",
      "\xff\xfe",        "",
      "fifteen bytes.!", "sixteen bytes..!",
      "caf\xc3\xa9",     "cut in \xc3\xa9 \xe2\x82\xac\xe2\x82\xac",
      "tab\tbell\a",
  };
  for (const std::string& name : names)
    for (const char* who : {"self ", "other "}) {
      if (name.empty() && who == std::string("other ")) continue;  // a write of nothing is no write
      workload.command(who + hex(name));
      const json thread = find_thread(daemon.tree(workload.pid()), tid);
      ASSERT_FALSE(thread.is_null());
      EXPECT_EQ(thread.at("name"), to_valid_utf8(name.substr(0, 15))) << hex(name);
      EXPECT_EQ(thread_stat(workload.pid(), tid)->comm, name.substr(0, 15));
    }
}

}  // namespace
}  // namespace loiter::test
