// Short census records, live: threads that sleep on are told in short, and whatever happens to them between
// two censuses, the tree is what /proc says after each.
//
// Whether a pass tells one in short also rests on its CPU: the pass must have met a few other threads of it,
// and its clock, which stands while it idles, must have gone on (bpf/census.bpf.c). So all of a test stays on
// one CPU, the daemon too, with a herd of sleepers there.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/lib/daemon.h"
#include "tests/lib/one_cpu.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

constexpr int kRounds = 34;  // more than it takes for each thread to be read in whole once (REFRESH)

constexpr int kHerd = 64;  // several times what a pass reads in whole of a CPU at least (CLOCK_READS)

uint64_t still(const Daemon& daemon) {
  return daemon.status().at("census").at("still");
}

bool all_in_state(pid_t pid, char state) {
  for (const pid_t tid : threads_of(pid)) {
    const auto stat = thread_stat(pid, tid);
    if (!stat || stat->state != state) return false;
  }
  return true;
}

class Herd {
 public:
  Herd() : sleepers_("storm") {
    sleepers_.command("keep " + std::to_string(kHerd));
    EXPECT_TRUE(await("the herd sleeps", [&] { return all_in_state(sleepers_.pid(), 'S'); }));
  }

 private:
  OneCpu cpu_;
  Workload sleepers_;
};

// Only a pass in which most of them are short shows anything of the others.
::testing::AssertionResult await_short_pass(const Daemon& daemon) {
  return await("threads are told in short", [&] { return still(daemon) > kHerd / 2; });
}

// Of threads that sleep, all that the tree tells and /proc does too.
void expect_as_in_proc(const Daemon& daemon, pid_t pid) {
  const json tree = daemon.tree(pid);
  ASSERT_EQ(tids(tree.at("threads")), threads_of(pid));
  for (const auto& thread : tree.at("threads")) {
    const pid_t tid = thread.at("tid");
    const auto stat = thread_stat(pid, tid);
    auto status = thread_status(pid, tid);
    ASSERT_TRUE(stat) << thread;
    EXPECT_EQ(thread.at("name"), stat->comm) << thread;
    EXPECT_EQ(thread.at("state"), stat->state == 'T' ? "stopped" : "sleeping") << thread;
    EXPECT_EQ(thread.at("voluntary_switches"), std::stoull(status["voluntary_ctxt_switches"])) << thread;
    EXPECT_EQ(thread.at("involuntary_switches"), std::stoull(status["nonvoluntary_ctxt_switches"])) << thread;
    EXPECT_EQ(thread.at("cpu_ns"), *thread_cpu_ns(pid, tid)) << thread;
    EXPECT_FALSE(thread.at("blocked_ns").is_null()) << thread;
  }
}

std::string hex(const std::string& name) {
  std::string digits;
  for (const char byte : name) {
    constexpr const char* kDigits = "0123456789abcdef";
    digits += kDigits[static_cast<unsigned char>(byte) >> 4];
    digits += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return digits;
}

TEST(Still, ThreadsThatSleepOnAreToldInShortAndStayInTheTree) {
  const OneCpu cpu;
  Workload workload("storm");
  workload.command("keep 2000");
  ASSERT_TRUE(await("all sleep", [&] { return all_in_state(workload.pid(), 'S'); }));
  Daemon daemon;
  ASSERT_TRUE(await("they are told in short", [&] { return still(daemon) > 2000 * 14 / 16; }));
  expect_as_in_proc(daemon, workload.pid());
  workload.command("release");
  EXPECT_EQ(tids(daemon.tree(workload.pid()).at("threads")), std::set<pid_t>{workload.pid()});
}

TEST(Still, ThoseThatRanInBetweenAreToldAsTheyAreNow) {
  const OneCpu cpu;
  Workload asleep("storm"), stopped("spawn_tree", {"2", "3"});
  asleep.command("keep 100");
  Daemon daemon;
  for (int round = 0; round < kRounds; ++round) {
    if (round % 4 == 1) {
      stopped.process().signal(SIGSTOP);
      ASSERT_TRUE(await("it is stopped", [&] { return all_in_state(stopped.pid(), 'T'); }));
    } else if (round % 4 == 3) {
      stopped.process().signal(SIGCONT);
      ASSERT_TRUE(await("it goes on", [&] { return all_in_state(stopped.pid(), 'S'); }));
    }
    expect_as_in_proc(daemon, stopped.pid());
    if (round % 5 == 4) asleep.command("keep 20");
    ASSERT_TRUE(await("all sleep", [&] { return all_in_state(asleep.pid(), 'S'); }));
    expect_as_in_proc(daemon, asleep.pid());
    if (HasFailure()) FAIL() << "in round " << round;
  }
  EXPECT_TRUE(await("they are told in short", [&] { return still(daemon) > 100 * 14 / 16; }));
}

TEST(Still, NamesGivenFromOutsideToASleeperAreThere) {
  const Herd herd;
  Workload workload("renamer");
  const pid_t tid = Workload::the(workload.facts(), "thread").at("tid");
  Daemon daemon;
  ASSERT_TRUE(await_short_pass(daemon));
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "sleeper " + std::to_string(round);
    workload.command("other " + hex(name));
    EXPECT_EQ(find_thread(daemon.tree(workload.pid()), tid).at("name"), name);
  }
  EXPECT_TRUE(await_short_pass(daemon));
}

TEST(Still, ANameWhoseEventWasLostIsThereAllTheSame) {
  const Herd herd;
  Daemon daemon({"--ring-size", "4096"});
  Workload workload("renamer"), storm("storm");
  const pid_t tid = Workload::the(workload.facts(), "thread").at("tid");
  auto lost = [&]() -> uint64_t {
    const json status = daemon.status();
    for (const auto& loss : status.at("losses"))
      if (loss.at("cause") == "ring_full_rename") return loss.at("count");
    return 0;
  };
  ASSERT_TRUE(await_short_pass(daemon));
  uint64_t lost_before = 0;
  int lost_rounds = 0;
  for (int round = 0; round < 200 && lost_rounds < 5; ++round) {
    const std::string name = "lost " + std::to_string(round);
    storm.command("threads 100");  // fills the ring
    workload.command("other " + hex(name));
    ASSERT_EQ(find_thread(daemon.tree(workload.pid()), tid).at("name"), name) << "round " << round;
    const uint64_t lost_now = lost();
    lost_rounds += lost_now > lost_before;
    lost_before = lost_now;
    // So that the next one meets a census that would tell it in short.
    ASSERT_TRUE(await_short_pass(daemon));
  }
  EXPECT_EQ(lost_rounds, 5) << "else this has shown nothing";
}

TEST(Still, ATidUsedAgainIsTheThreadThatHasItNow) {
  const Herd herd;
  Workload workload("tid_reuse");
  Daemon daemon;
  daemon.stacks(workload.pid());  // its helpers are there from now on: they might take the number
  const char* kinds[] = {"thread", "process"};
  for (int round = 0; round < kRounds; ++round) {
    const std::string kind = kinds[round % 2];
    const json fact = Workload::the(workload.command(kind), kind);
    const pid_t tid = fact.at("tid");
    const json tree = daemon.tree(kind == "thread" ? workload.pid() : tid);
    const json thread = find_thread(tree, tid);
    ASSERT_FALSE(thread.is_null()) << fact;
    EXPECT_GE(thread.at("born_boottime_ns"), fact.at("before")) << thread;
    EXPECT_LE(thread.at("born_boottime_ns"), fact.at("after")) << thread;
  }
  EXPECT_TRUE(await_short_pass(daemon));
}

}  // namespace
}  // namespace loiter::test
