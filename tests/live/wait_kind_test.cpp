// What each thread of a process waits for, held against workloads that know: every kind of wait, in programs
// with glibc and with musl, dynamic and static, in C++'s and Rust's libraries.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

struct Program {
  const char* name;
  size_t cases;                  // that it must tell of: none is lost unseen
  bool without_symbols = false;  // of libc
};

void PrintTo(const Program& program, std::ostream* out) {
  *out << program.name << (program.without_symbols ? "_without_symbols" : "");
}

std::string test_name(const ::testing::TestParamInfo<Program>& info) {
  std::string name = ::testing::PrintToString(info.param);
  for (char& c : name)
    if (!isalnum(c)) c = '_';
  return name;
}

void expect_stack(const json& thread, const json& fact) {
  ASSERT_FALSE(thread.is_null()) << fact;
  if (!fact.contains("frames")) return;
  EXPECT_TRUE(stack_shows(thread, fact.at("frames"))) << fact;
  EXPECT_TRUE(thread.at("cut").is_null()) << thread;
}

class WaitKind : public ::testing::TestWithParam<Program> {};

TEST_P(WaitKind, OfEveryThreadIsKnown) {
  const SpawnOptions options{.hide_debug_files = GetParam().without_symbols};
  Workload workload(GetParam().name, {}, options);
  Daemon daemon({}, options);
  std::map<pid_t, json> trees, stacks;
  size_t told = 0;
  for (const json& fact : workload.facts()) {
    ++told;
    if (fact.at("fact") != "thread") continue;
    SCOPED_TRACE(fact.at("case").get<std::string>());
    const pid_t pid = fact.at("pid");
    if (!trees.contains(pid)) {
      trees[pid] = daemon.tree(pid);
      stacks[pid] = daemon.stacks(pid);
    }
    const json in_tree = find_thread(trees[pid], fact.at("tid"));
    const json in_stacks = find_thread(stacks[pid], fact.at("tid"));
    EXPECT_TRUE(wait_is_as_told(in_tree, fact));
    EXPECT_TRUE(wait_is_as_told(in_stacks, fact));
    expect_stack(in_stacks, fact);
  }
  EXPECT_EQ(told, GetParam().cases);
}

// The threads that no case is about: those that hold something, and the main thread.
TEST_P(WaitKind, OfThoseThatHoldIsNoLock) {
  Workload workload(GetParam().name);
  Daemon daemon;
  std::set<pid_t> waiters;
  for (const json& fact : Workload::of_kind(workload.facts(), "thread"))
    waiters.insert(fact.at("tid").get<pid_t>());
  const json tree = daemon.tree(workload.pid());
  for (const json& thread : tree.at("threads"))
    if (!waiters.contains(thread.at("tid"))) {
      EXPECT_TRUE(has_no_holder(thread));
      if (thread.at("tid") == workload.pid() || thread.at("wait").is_null()) continue;
      EXPECT_EQ(thread.at("wait").at("kind"), "signal") << thread;
    }
}

INSTANTIATE_TEST_SUITE_P(, WaitKind,
                         ::testing::Values(Program{"wait_kinds", 35}, Program{"wait_kinds", 35, true},
                                           Program{"wait_kinds-static", 35}, Program{"wait_kinds-musl", 35},
                                           Program{"wait_kinds-musl-static", 35}, Program{"fd_kinds", 24},
                                           Program{"fd_kinds-static", 24}, Program{"fd_kinds-musl", 24},
                                           Program{"fd_kinds-musl-static", 24}, Program{"cxx_kinds", 13},
                                           Program{"cxx_kinds", 13, true}, Program{"cxx_kinds-static", 13},
                                           Program{"rust_kinds", 15}, Program{"rust_kinds-stripped", 15}),
                         test_name);

TEST(WaitKindOf, TheMainThreadIsTheReadOfOurPipe) {
  Workload workload("wait_kinds", {"pause"});
  Daemon daemon;
  const json wait = find_thread(daemon.tree(workload.pid()), workload.pid()).at("wait");
  EXPECT_EQ(wait.at("kind"), "read") << wait;
  EXPECT_EQ(wait.at("fd"), 0) << wait;
  bool ours = false;
  for (const json& peer : wait.at("peers")) ours = ours || peer.at("pid") == getpid();
  EXPECT_TRUE(ours) << wait;
}

TEST(WaitKindOf, ARunningThreadIsNone) {
  Workload workload("wait_kinds", {"join running"});
  Daemon daemon;
  const json fact = Workload::the(workload.facts(), "thread");
  const json running = find_thread(daemon.stacks(workload.pid()), fact.at("holder_tid"));
  EXPECT_TRUE(running.at("wait").is_null()) << running;
  EXPECT_TRUE(running.at("stack").empty()) << running;
  EXPECT_FALSE(running.at("cut").is_null()) << running;
}

}  // namespace
}  // namespace loiter::test
