// The look inside a process keeps what it found: here it is asked again and again while what it found
// changes, with and without the waiter's doing.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

json wait_of(const Daemon& daemon, pid_t pid, pid_t tid) {
  const json thread = find_thread(daemon.tree(pid), tid);
  return thread.is_null() ? json() : thread.at("wait");
}

bool is_of_kind(const json& wait, const char* kind) {
  return !wait.is_null() && wait.at("kind") == kind;
}

// As many of the queue as still wait name that owner; until they do they name nobody.
bool all_name(const Daemon& daemon, pid_t pid, const std::set<pid_t>& queue, pid_t owner, size_t waiters) {
  size_t naming = 0;
  const json tree = daemon.tree(pid);
  for (const json& thread : tree.at("threads")) {
    const json& wait = thread.at("wait");
    if (!queue.contains(thread.at("tid").get<pid_t>()) || !is_of_kind(wait, "lock")) continue;
    if (!wait.at("holder_tid").is_null()) {
      EXPECT_EQ(wait.at("holder_tid"), owner) << thread;
      ++naming;
    }
  }
  return naming == waiters;
}

TEST(Changes, WhoSleepsOnAtAMutexIsToldItsNewHolder) {
  Workload workload("changes");
  Daemon daemon;
  std::set<pid_t> queue;
  for (const json& fact : Workload::of_kind(workload.facts(), "queue"))
    queue.insert(fact.at("tid").get<pid_t>());
  ASSERT_EQ(queue.size(), 5u);
  pid_t owner = Workload::the(workload.facts(), "owner").at("tid");
  for (size_t waiters = 4; waiters > 0; --waiters) {
    for (int asked = 0; asked < 3; ++asked)
      ASSERT_TRUE(await("the waiters name " + std::to_string(owner),
                        [&] { return all_name(daemon, workload.pid(), queue, owner, waiters); }));
    owner = Workload::the(workload.command("next"), "owner").at("tid");
  }
}

TEST(Changes, AThreadThatRanIsToldByWhatItWaitsForNow) {
  Workload workload("changes");
  Daemon daemon;
  const pid_t tid = Workload::the(workload.facts(), "turncoat").at("tid");
  const std::pair<const char*, const char*> turns[] = {
      {"condition", "condvar"}, {"mutex", "lock"},        {"semaphore", "semaphore"},
      {"mutex", "lock"},        {"condition", "condvar"}, {"semaphore", "semaphore"}};
  for (const auto& [command, kind] : turns) {
    workload.command(command);
    ASSERT_TRUE(
        await(kind, [&, kind = kind] { return is_of_kind(wait_of(daemon, workload.pid(), tid), kind); }));
    const json wait = wait_of(daemon, workload.pid(), tid);
    const json holder = std::string_view(kind) == "lock" ? json(workload.pid()) : json();
    EXPECT_EQ(wait.at("holder_tid"), holder) << wait;
  }
}

TEST(Changes, ThePeersOfWhoSleepsOnAreThoseOfNow) {
  Workload workload("changes");
  Daemon daemon;
  const pid_t reader = Workload::the(workload.facts(), "reader").at("tid");
  auto peers = [&] {
    std::set<pid_t> pids;
    const json wait = wait_of(daemon, reader, reader);
    if (!wait.is_null())
      for (const json& peer : wait.at("peers")) pids.insert(peer.at("pid").get<pid_t>());
    return pids;
  };
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(await("its parent alone", [&] { return peers() == std::set<pid_t>{workload.pid()}; }));
    const pid_t more = Workload::the(workload.command("more"), "more").at("tid");
    EXPECT_EQ(peers(), (std::set<pid_t>{workload.pid(), more}));
    workload.command("fewer");
    EXPECT_EQ(peers(), std::set<pid_t>{workload.pid()});
  }
}

TEST(Changes, WhatIsLeftOfATimeLimitGoesDown) {
  Workload workload("changes");
  Daemon daemon;
  const pid_t tid = Workload::the(workload.facts(), "timed").at("tid");
  uint64_t left = 3'600'000'000'000;
  ASSERT_TRUE(
      await("it waits", [&] { return is_of_kind(wait_of(daemon, workload.pid(), tid), "semaphore"); }));
  for (int round = 0; round < 5; ++round) {
    const json thread = find_thread(daemon.tree(workload.pid()), tid);
    const uint64_t now = thread.at("wait").at("timeout_left_ns");
    EXPECT_LT(now, left) << thread;
    left = now;
    // It began to wait an hour before its end.
    const uint64_t length = now + thread.at("blocked_ns").get<uint64_t>();
    EXPECT_NEAR(static_cast<double>(length), 3.6e12, 2e9) << thread;
  }
}

TEST(Changes, AThreadWithATableOfItsOwnReadsOfItsOwnFile) {
  Workload workload("changes");
  Daemon daemon;
  const pid_t tid = Workload::the(workload.facts(), "own table").at("tid");
  ASSERT_TRUE(await("it reads", [&] { return is_of_kind(wait_of(daemon, workload.pid(), tid), "read"); }));
  const json wait = wait_of(daemon, workload.pid(), tid);
  EXPECT_EQ(wait.at("fd"), 99) << wait;
  EXPECT_TRUE(wait.at("object").get<std::string>().starts_with("pipe:")) << wait;
}

// The kernel walks the threads of a process by birth.
TEST(Changes, ThreadsWhoseTidsBeganAnewAreLookedAtLikeOthers) {
  Workload workload("storm");
  const int pid_max = std::stoi(read_file("/proc/sys/kernel/pid_max"));
  std::ofstream("/proc/sys/kernel/ns_last_pid") << pid_max - 30 << std::flush;
  workload.command("keep 100");
  const std::set<pid_t> threads = threads_of(workload.pid());
  ASSERT_GT(*threads.rbegin(), pid_max - 100) << "others took the tids: this shows nothing";
  ASSERT_LT(*threads.begin(), pid_max / 2);
  Daemon daemon;
  const auto all_told = [&] {
    const json tree = daemon.tree(workload.pid());
    return std::all_of(tree.at("threads").begin(), tree.at("threads").end(), [&](const json& thread) {
      return thread.at("tid") == workload.pid() || is_of_kind(thread.at("wait"), "condvar");
    });
  };
  EXPECT_TRUE(await("all wait for the condition", all_told)) << daemon.tree(workload.pid());
}

}  // namespace
}  // namespace loiter::test
