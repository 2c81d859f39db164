// Threads that ended and were never joined: counted in programs that know how many there are, found in
// glibc's own lists, before the daemon's time and after.
#include <gtest/gtest.h>
#include <unistd.h>

#include "daemon/inspect/pthread_lists.h"
#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/reader.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

json unjoined(const Daemon& daemon, pid_t pid) {
  return daemon.get("/v1/processes/" + std::to_string(pid) + "/unjoined?fresh=1");
}

// How many of them began with that function.
uint64_t count_of(const json& document, const std::string& symbol) {
  for (const json& group : document.at("by_routine"))
    if (!group.at("start_routine").is_null() && group.at("start_routine").at("symbol") == symbol)
      return group.at("count");
  return 0;
}

void expect_counts(const json& document, const json& fact) {
  SCOPED_TRACE(document.dump().substr(0, 2000));
  ASSERT_TRUE(document.at("failure").is_null());
  EXPECT_EQ(document.at("unjoined"), fact.at("unjoined"));
  EXPECT_EQ(document.at("detached"), fact.at("detached"));
  EXPECT_EQ(document.at("joining"), fact.at("joining"));
  EXPECT_EQ(document.at("live_joinable"), fact.at("live"));
  EXPECT_EQ(document.at("unclear"), 0);
  EXPECT_EQ(count_of(document, "first_routine"), fact.at("first"));
  EXPECT_EQ(count_of(document, "second_routine"), fact.at("second"));
  EXPECT_EQ(document.at("threads").size(), fact.at("unjoined"));
  EXPECT_EQ(document.at("findings").size(), fact.at("unjoined") == 0 ? 0u : 1u);
}

class Unjoined : public ::testing::TestWithParam<const char*> {};

TEST_P(Unjoined, AreFoundAmongTheOthers) {
  Workload workload(GetParam(), {"mix"});
  Daemon daemon;
  const json fact = Workload::the(workload.facts(), "counts");
  const json document = unjoined(daemon, workload.pid());
  expect_counts(document, fact);
  // Each has a guard of one page besides.
  const auto stack = fact.at("stack").get<int64_t>() + sysconf(_SC_PAGESIZE);
  EXPECT_EQ(document.at("stack_bytes"), fact.at("unjoined").get<int64_t>() * stack);
  const json finding = document.at("findings").at(0);
  EXPECT_EQ(finding.at("kind"), "unjoined");
  EXPECT_EQ(finding.at("severity"), "warning");
  EXPECT_EQ(finding.at("certainty"), "proven");
  EXPECT_EQ(finding.at("count"), fact.at("unjoined"));
  for (const json& thread : document.at("threads")) {
    EXPECT_TRUE(thread.at("ended").is_null()) << "that was before the daemon's time: " << thread;
    EXPECT_EQ(thread.at("user_stack"), false);
  }
}

TEST_P(Unjoined, OnStacksOfTheProgramsOwn) {
  Workload workload(GetParam(), {"user stacks"});
  Daemon daemon;
  const json document = unjoined(daemon, workload.pid());
  expect_counts(document, Workload::the(workload.facts(), "counts"));
  EXPECT_EQ(document.at("stack_bytes"), 0) << "glibc would not give these back";
  for (const json& thread : document.at("threads")) EXPECT_EQ(thread.at("user_stack"), true);
}

TEST_P(Unjoined, NotWhoDetachedItself) {
  Workload workload(GetParam(), {"self detach"});
  Daemon daemon;
  expect_counts(unjoined(daemon, workload.pid()), Workload::the(workload.facts(), "counts"));
}

TEST_P(Unjoined, NoneInAQuietProgram) {
  Workload workload(GetParam(), {"quiet"});
  Daemon daemon;
  const json document = unjoined(daemon, workload.pid());
  expect_counts(document, Workload::the(workload.facts(), "counts"));
  EXPECT_TRUE(document.at("zombies").empty());
  const RunResult result =
      run({loiter_path(), "unjoined", std::to_string(workload.pid()), "--socket", daemon.socket()});
  EXPECT_EQ(to_string(result.status), "exit 0") << result.err;
  EXPECT_NE(result.out.find("no thread has ended unjoined"), std::string::npos) << result.out;
}

TEST_P(Unjoined, NoneInTheChildOfAFork) {
  Workload workload(GetParam(), {"forked"});
  Daemon daemon;
  const json document = unjoined(daemon, Workload::the(workload.facts(), "child").at("pid"));
  EXPECT_TRUE(document.at("failure").is_null()) << document;
  EXPECT_EQ(document.at("unjoined"), 0) << document;
  EXPECT_EQ(document.at("live_joinable"), 1) << document;
  EXPECT_EQ(unjoined(daemon, workload.pid()).at("unjoined"), 500);
}

// Their ends were seen: who they were, and since when they wait to be joined.
TEST_P(Unjoined, UnderTheDaemonsEyesAreDated) {
  Workload workload(GetParam(), {"quiet"});
  Daemon daemon;
  const auto before = static_cast<int64_t>(boottime_now_ns());
  workload.command("more 20");
  const auto after = static_cast<int64_t>(boottime_now_ns());
  const json document = unjoined(daemon, workload.pid());
  EXPECT_EQ(document.at("unjoined"), 20) << document;
  EXPECT_EQ(count_of(document, "latecomer"), 20u) << document;
  std::set<pid_t> tids;
  for (const json& thread : document.at("threads")) {
    EXPECT_EQ(thread.at("exactness"), "exact") << thread;
    ASSERT_FALSE(thread.at("ended_boottime_ns").is_null()) << thread;
    EXPECT_GE(thread.at("ended_boottime_ns"), before);
    EXPECT_LE(thread.at("ended_boottime_ns"), after);
    EXPECT_EQ(thread.at("name"), thread_stat(workload.pid(), workload.pid())->comm)
        << "it took its creator's";
    tids.insert(thread.at("tid").get<pid_t>());
  }
  EXPECT_EQ(tids.size(), 20u);
  EXPECT_FALSE(document.at("by_routine").at(0).at("age_ns").is_null());
  workload.command("join");
  EXPECT_EQ(unjoined(daemon, workload.pid()).at("unjoined"), 0);
}

// Others are made and end all the time, joined and detached: the number never changes.
TEST_P(Unjoined, AreCountedRightWhileOthersComeAndGo) {
  Workload workload(GetParam(), {"churn"});
  Daemon daemon;
  constexpr int kLooks = 500;
  int told = 0;
  for (int i = 0; i < kLooks; ++i) {
    const HttpResponse response =
        daemon.request("/v1/processes/" + std::to_string(workload.pid()) + "/unjoined");
    ASSERT_EQ(response.status, 200) << response.body;
    const json document = json::parse(response.body);
    if (document.at("unjoined").is_null()) continue;
    ++told;
    ASSERT_EQ(document.at("unjoined"), 100) << "look " << i << ": " << document.at("by_routine");
  }
  EXPECT_GT(told, kLooks / 2) << "mostly it must be told";
  workload.command("stop");
  EXPECT_EQ(unjoined(daemon, workload.pid()).at("unjoined"), 100);
}

// The lists alone, walked as fast as can be.
TEST_P(Unjoined, AreThereInEachOfTenThousandWalks) {
  Workload workload(GetParam(), {"churn of detached ones"});
  const auto pid = static_cast<uint32_t>(workload.pid());
  Reader reader;
  PthreadLayouts layouts(reader.memory, reader.opener, reader.parser, reader.modules);
  PthreadListReader lists(reader.memory, reader.opener);
  auto layout = layouts.find(pid, parse_maps(read_file("/proc/" + std::to_string(pid) + "/maps")));
  ASSERT_TRUE(layout) << layout.error().message;
  constexpr int kWalks = 10'000;
  int told = 0;
  for (int i = 0; i < kWalks; ++i) {
    auto entries = lists.read(pid, *layout);
    if (!entries) continue;
    auto unjoined = lists.still_unjoined(pid, *layout, *entries, unjoined_of(*entries));
    ASSERT_TRUE(unjoined) << unjoined.error().message;
    ++told;
    ASSERT_EQ(unjoined->size(), 100u) << "walk " << i;
  }
  EXPECT_GT(told, kWalks * 9 / 10) << "nearly always it must be told";
  EXPECT_EQ(reader.opener.restarts(), 0u) << "none of them hung";
}

TEST_P(Unjoined, OfListsThatLieAreNotTold) {
  Workload workload(GetParam(), {"lying"});
  Daemon daemon;
  const json document = unjoined(daemon, workload.pid());
  EXPECT_TRUE(document.at("unjoined").is_null()) << document;
  EXPECT_NE(document.at("failure").dump().find("list"), std::string::npos) << document;
  EXPECT_TRUE(document.at("findings").empty());
  Workload healthy(GetParam(), {"quiet"});
  EXPECT_EQ(unjoined(daemon, healthy.pid()).at("unjoined"), 0) << "others are still looked at";
}

INSTANTIATE_TEST_SUITE_P(, Unjoined, ::testing::Values("pthreads", "pthreads-static"), [](const auto& info) {
  return std::string(info.param) == "pthreads" ? "dynamic" : "static";
});

class UnjoinedOfMusl : public ::testing::TestWithParam<const char*> {};

TEST_P(UnjoinedOfMusl, CannotBeToldAndThatIsSaid) {
  Workload workload(GetParam(), {"mix"});
  Daemon daemon;
  const json document = unjoined(daemon, workload.pid());
  EXPECT_TRUE(document.at("unjoined").is_null()) << document;
  EXPECT_NE(document.at("failure").dump().find("musl"), std::string::npos) << document;
}

INSTANTIATE_TEST_SUITE_P(, UnjoinedOfMusl, ::testing::Values("pthreads-musl", "pthreads-musl-static"),
                         [](const auto& info) {
                           return std::string(info.param) == "pthreads-musl" ? "dynamic" : "static";
                         });

TEST(UnjoinedIn, AContainerAreFoundToo) {
  Workload workload(Workload::InContainer{}, "pthreads", {"mix"});
  Daemon daemon;
  expect_counts(unjoined(daemon, workload.pid()), Workload::the(workload.facts(), "counts"));
}

TEST(UnjoinedChildren, AreTheZombies) {
  Workload workload("pthreads", {"zombies"});
  Daemon daemon;
  const json document = unjoined(daemon, workload.pid());
  std::set<pid_t> pids;
  for (const json& child : document.at("zombies")) {
    pids.insert(child.at("pid").get<pid_t>());
    EXPECT_EQ(child.at("comm"), "pthreads");
    EXPECT_TRUE(child.at("ended").is_null()) << "that was before the daemon's time";
  }
  std::set<pid_t> expected;
  for (const json& fact : Workload::of_kind(workload.facts(), "zombie"))
    expected.insert(fact.at("pid").get<pid_t>());
  EXPECT_EQ(pids, expected);
  EXPECT_TRUE(document.at("findings").empty());
}

TEST(UnjoinedChildren, AreDatedWhereTheirEndsWereSeen) {
  Daemon daemon;
  const auto before = static_cast<int64_t>(boottime_now_ns());
  Workload workload("pthreads", {"zombies"});
  const auto after = static_cast<int64_t>(boottime_now_ns());
  const json document = unjoined(daemon, workload.pid());
  EXPECT_EQ(document.at("zombies").size(), 3u) << document;
  for (const json& child : document.at("zombies")) {
    EXPECT_EQ(child.at("exactness"), "exact") << child;
    ASSERT_FALSE(child.at("ended_boottime_ns").is_null()) << child;
    EXPECT_GE(child.at("ended_boottime_ns"), before);
    EXPECT_LE(child.at("ended_boottime_ns"), after);
    EXPECT_GT(child.at("age_ns"), 0);
  }
}

// Its first thread is a zombie and the process is none.
TEST(UnjoinedChildren, AreNotThoseWhoseLeaderEndedFirst) {
  Workload workload("leader_exit");
  Daemon daemon;
  EXPECT_EQ(thread_stat(workload.pid(), workload.pid()).value_or(ThreadStat{}).state, 'Z');
  const json document = unjoined(daemon, getpid());
  for (const json& child : document.at("zombies")) EXPECT_NE(child.at("pid"), workload.pid()) << document;
  EXPECT_EQ(daemon.tree(workload.pid()).at("process").at("parent_pid"), getpid());
}

TEST(UnjoinedCommand, ShowsThemAndEndsWithOne) {
  Workload workload("pthreads", {"mix"});
  Daemon daemon;
  const std::vector<std::string> command{loiter_path(), "unjoined", std::to_string(workload.pid()),
                                         "--socket", daemon.socket()};
  const RunResult text = run(command);
  EXPECT_EQ(to_string(text.status), "exit 1") << text.err;
  EXPECT_NE(text.out.find("500 threads ended and nobody joined them"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("first_routine"), std::string::npos) << text.out;
  std::vector<std::string> as_json = command;
  as_json.push_back("--json");
  const RunResult document = run(as_json);
  EXPECT_EQ(to_string(document.status), "exit 1");
  EXPECT_EQ(json::parse(document.out).at("unjoined"), 500);
}

}  // namespace
}  // namespace loiter::test
