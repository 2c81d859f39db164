// Where threads began: in programs that know it, whatever they are made of, and that were there before the
// daemon.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

json routine_of(const json& document, pid_t tid) {
  const json thread = find_thread(document, tid);
  EXPECT_FALSE(thread.is_null()) << tid << " in " << document;
  return thread.is_null() ? json() : thread.at("start_routine");
}

std::string text_of(const json& value) {
  return value.is_null() ? "" : value.get<std::string>();
}

// --- C: the routine itself, of each libc -----------------------------------------------------------

class StartRoutinesOfC : public ::testing::TestWithParam<const char*> {};

TEST_P(StartRoutinesOfC, AreNamed) {
  Workload workload(GetParam(), {"quiet"});
  Daemon daemon;
  const json tree = daemon.tree(workload.pid());
  ASSERT_EQ(tree.at("threads").size(), 5u);
  for (const json& thread : tree.at("threads")) {
    if (thread.at("tid") == workload.pid()) {
      EXPECT_TRUE(thread.at("start_routine").is_null()) << "the main thread has none: " << thread;
      continue;
    }
    ASSERT_FALSE(thread.at("start_routine").is_null()) << thread;
    EXPECT_EQ(thread.at("start_routine").at("symbol"), "resting_routine");
    EXPECT_EQ(thread.at("start_routine").at("module"), exe_of(workload.pid()));
    EXPECT_TRUE(thread.at("start_routine").at("callable").is_null());
    EXPECT_EQ(routine_of(daemon.stacks(workload.pid()), thread.at("tid")), thread.at("start_routine"));
  }
}

INSTANTIATE_TEST_SUITE_P(, StartRoutinesOfC,
                         ::testing::Values("pthreads", "pthreads-static", "pthreads-musl",
                                           "pthreads-musl-static"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(StartRoutinesIn, AContainerAreNamed) {
  for (const char* name : {"pthreads", "pthreads-musl"}) {
    SCOPED_TRACE(name);
    Workload workload(Workload::InContainer{}, name, {"quiet"});
    Daemon daemon;
    size_t named = 0;
    const json tree = daemon.tree(workload.pid());
    for (const json& thread : tree.at("threads"))
      named += !thread.at("start_routine").is_null() &&
               thread.at("start_routine").at("symbol") == "resting_routine";
    EXPECT_EQ(named, 4u) << tree;
  }
}

// --- C++: what std::thread runs --------------------------------------------------------------------

class StartRoutinesOfCpp : public ::testing::TestWithParam<const char*> {};

TEST_P(StartRoutinesOfCpp, AreTheCallables) {
  Workload workload(GetParam());
  Daemon daemon;
  const json tree = daemon.tree(workload.pid());
  for (const json& fact : workload.facts()) {
    SCOPED_TRACE(fact.dump());
    const json routine = routine_of(tree, fact.at("tid"));
    if (fact.at("symbol") == "-") {
      EXPECT_TRUE(routine.is_null()) << routine;
      continue;
    }
    ASSERT_FALSE(routine.is_null());
    const std::string symbol = text_of(routine.at("symbol")), callable = text_of(routine.at("callable"));
    EXPECT_TRUE(symbol.empty() || symbol.starts_with(fact.at("symbol").get<std::string>())) << routine;
    if (fact.at("callable") == "")
      EXPECT_EQ(callable, "") << routine;
    else
      EXPECT_NE(callable.find(fact.at("callable").get<std::string>()), std::string::npos) << routine;
  }
  EXPECT_EQ(workload.facts().size(), 10u);
  // A second look has it from the first.
  const json again = daemon.tree(workload.pid());
  for (const json& fact : workload.facts())
    EXPECT_EQ(routine_of(again, fact.at("tid")), routine_of(tree, fact.at("tid")));
}

INSTANTIATE_TEST_SUITE_P(, StartRoutinesOfCpp, ::testing::Values("start_routines", "start_routines-static"),
                         [](const auto& info) {
                           return std::string(info.param) == "start_routines" ? "dynamic" : "static";
                         });

// --- of others -------------------------------------------------------------------------------------

// A thread of the process has a start routine with that in its symbol, its callable or its module.
bool any_begins_in(const json& document, const std::string& part, pid_t pid) {
  for (const json& thread : document.at("threads")) {
    if (thread.at("tid") == pid || thread.at("start_routine").is_null()) continue;
    const json& routine = thread.at("start_routine");
    for (const char* key : {"symbol", "module"})
      if (text_of(routine.at(key)).find(part) != std::string::npos) return true;
  }
  return false;
}

TEST(StartRoutinesOf, RustAreThoseOfItsLibrary) {
  Workload workload("rust_kinds", {"Mutex"});
  Daemon daemon;
  const json tree = daemon.tree(workload.pid());
  EXPECT_TRUE(any_begins_in(tree, "thread_start", workload.pid())) << tree;
}

TEST(StartRoutinesOf, PythonLieInItsProgram) {
  constexpr const char* kPython = "/usr/bin/python3";
  if (access(kPython, X_OK) != 0) GTEST_SKIP() << "no " << kPython;
  Subprocess python({kPython, "-I", "-c",
                     "import threading, sys\n"
                     "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
                     "sys.stdin.read()\n"},
                    {.stdout_to_memory = true});
  Daemon daemon;
  json tree;
  EXPECT_TRUE(await("it has its thread", [&] {
    tree = daemon.tree(python.pid());
    return tree.at("threads").size() == 2 && any_begins_in(tree, "python", python.pid());
  })) << tree;
}

TEST(StartRoutinesOf, JavaAreThoseOfItsMachine) {
  constexpr const char* kRegistry = "/usr/bin/rmiregistry";
  if (access(kRegistry, X_OK) != 0) GTEST_SKIP() << "no " << kRegistry;
  Subprocess java({kRegistry, "-J-XX:+UseSerialGC", "0"}, {.stdout_to_memory = true});
  Daemon daemon;
  json tree;
  EXPECT_TRUE(await("it has its threads", [&] {
    if (!java.alive()) throw std::runtime_error("it ended: " + java.stderr_text());
    tree = daemon.tree(java.pid());
    return any_begins_in(tree, "libjvm.so", java.pid());
  })) << tree;
}

// --- the command line ------------------------------------------------------------------------------

TEST(StartRoutinesShown, ByTreeAndStacks) {
  Workload workload("start_routines");
  Daemon daemon;
  const std::string pid = std::to_string(workload.pid());
  const RunResult tree = run({loiter_path(), "tree", pid, "--socket", daemon.socket()});
  EXPECT_EQ(to_string(tree.status), "exit 0") << tree.err;
  EXPECT_NE(tree.out.find("START"), std::string::npos) << tree.out;
  EXPECT_NE(tree.out.find("shop::Keeper"), std::string::npos) << tree.out;
  const RunResult stacks = run({loiter_path(), "stacks", pid, "--socket", daemon.socket()});
  EXPECT_NE(stacks.out.find("started as shop::Keeper"), std::string::npos) << stacks.out;
}

}  // namespace
}  // namespace loiter::test
