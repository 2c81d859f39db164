// Uprobes on thread libraries: each call is told, what became of each thread is right, and nothing stays
// behind. By the way that is chosen here, and by the one that older kernels need.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "tests/lib/await.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// A stream of a process' calls; its probes stand when this has been made.
class Calls {
 public:
  Calls(const Daemon& daemon, pid_t pid) : connection_(daemon.socket()) {
    connection_.request("/v1/events?pthreads=1&pid=" + std::to_string(pid));
    const HttpResponse head = connection_.read_head();
    if (head.status != 200) throw std::runtime_error("no stream: " + std::to_string(head.status));
    probes = next_of_type("probes");
  }

  json next_of_type(const std::string& type) {
    while (true) {
      const auto line = connection_.read_line();
      if (!line) throw std::runtime_error("the stream says no more");
      json event = json::parse(*line);
      if (event.at("type") == type) return event;
    }
  }

  json probes;

 private:
  HttpConnection connection_;
};

std::string path_of(pid_t pid) {
  return "/v1/processes/" + std::to_string(pid) + "/pthreads?fresh=1";
}

std::set<pid_t> tids_of(const json& rows) {
  std::set<pid_t> tids;
  for (const json& row : rows) tids.insert(row.at("tid").get<pid_t>());
  return tids;
}

std::vector<std::string> args_of(std::string_view way, std::vector<std::string> args = {}) {
  args.insert(args.end(), {"--uprobe-way", std::string(way)});
  return args;
}

// Tracefs is not mounted everywhere.
SpawnOptions options_of(std::string_view way) {
  return {.tracefs = way == "tracefs" ? Tracefs::mounted : Tracefs::as_is};
}

const auto kWays = ::testing::Values("auto", "tracefs");

std::string name_of(const ::testing::TestParamInfo<const char*>& info) {
  return info.param;
}

// By workload and way.
class PthreadProbes : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  const char* program() const { return std::get<0>(GetParam()); }
  const char* way() const { return std::get<1>(GetParam()); }
};

class ByWay : public ::testing::TestWithParam<const char*> {};
class PthreadProbesIn : public ByWay {};
class PthreadProbesOf : public ByWay {};
class PthreadProbesHostWide : public ByWay {};
class PthreadProbeCost : public ByWay {};
INSTANTIATE_TEST_SUITE_P(, PthreadProbesIn, kWays, name_of);
INSTANTIATE_TEST_SUITE_P(, PthreadProbesOf, kWays, name_of);
INSTANTIATE_TEST_SUITE_P(, PthreadProbesHostWide, kWays, name_of);
INSTANTIATE_TEST_SUITE_P(, PthreadProbeCost, kWays, name_of);

// The document once it tells of so many threads: the daemon drains what probes write some 20 times a second.
json settled_document(const Daemon& daemon, pid_t pid, size_t ended) {
  json document;
  EXPECT_TRUE(await("all ends", [&] {
    document = daemon.get(path_of(pid));
    const json& probes = document.at("probes");
    return probes.is_object() && probes.at("joined").get<size_t>() + probes.at("detached").get<size_t>() +
                                         probes.at("unjoined").get<size_t>() ==
                                     ended;
  })) << document.at("probes");
  return document;
}

void expect_fates(const json& document, const std::vector<json>& facts) {
  std::map<pid_t, json> settled;
  for (const json& row : document.at("settled")) settled[row.at("tid")] = row;
  std::set<pid_t> unjoined;
  for (const json& fact : facts) {
    if (fact.at("fact") == "unjoined") unjoined.insert(fact.at("tid").get<pid_t>());
    if (fact.at("fact") != "joined" && fact.at("fact") != "detached") continue;
    ASSERT_TRUE(settled.contains(fact.at("tid"))) << fact;
    const json& row = settled.at(fact.at("tid"));
    EXPECT_EQ(row.at("fate"), fact.at("fact")) << row;
    EXPECT_EQ(row.at("pthread"), fact.at("pthread")) << row;
    const json joiner = fact.at("fact") == "joined" ? fact.at("joiner") : json(nullptr);
    EXPECT_EQ(row.at("joiner_tid"), joiner) << row;
  }
  EXPECT_EQ(tids_of(document.at("unjoined")), unjoined);
}

TEST_P(PthreadProbes, TellWhatBecameOfEachThread) {
  Daemon daemon(args_of(way()), options_of(way()));
  Workload workload(program());
  Calls calls(daemon, workload.pid());
  const auto facts = workload.command("mix");
  size_t ended = 0;
  for (const json& fact : facts) ended += fact.contains("pthread");
  const json document = settled_document(daemon, workload.pid(), ended);
  EXPECT_EQ(document.at("probes").at("created"), ended) << document.at("probes");
  EXPECT_EQ(document.at("probes").at("live"), 0);
  EXPECT_EQ(document.at("probes").at("undecided"), 0);
  expect_fates(document, facts);
  // The other way of counting: by glibc's own lists. musl keeps none.
  const json counted = daemon.get("/v1/processes/" + std::to_string(workload.pid()) + "/unjoined?fresh=1");
  const size_t unjoined = Workload::of_kind(facts, "unjoined").size();
  EXPECT_EQ(counted.at("probes").at("unjoined"), unjoined) << counted.at("probes");
  if (Workload::the(workload.facts(), "routine").at("libc") == "glibc")
    EXPECT_EQ(counted.at("unjoined"), unjoined) << counted;
  else
    EXPECT_FALSE(counted.at("failure").is_null()) << counted;
  ASSERT_EQ(counted.at("findings").size(), 1u);
  EXPECT_EQ(counted.at("findings")[0].at("count"), unjoined);
  const json status = daemon.status();
  for (const json& loss : status.at("losses"))  // others' creation sites may be among them
    EXPECT_TRUE(loss.at("count") == 0 || loss.at("cause").get<std::string>().starts_with("site_")) << loss;
}

TEST_P(PthreadProbes, TellRoutineAndArgumentOfEachCall) {
  Daemon daemon(args_of(way()), options_of(way()));
  Workload workload(program());
  Calls calls(daemon, workload.pid());
  const std::string routine = Workload::the(workload.facts(), "routine").at("quick");
  const auto facts = workload.command("join");
  const json create = calls.next_of_type("pthread");
  EXPECT_EQ(create.at("function"), "pthread_create") << create;
  EXPECT_EQ(create.at("tid"), workload.pid());
  EXPECT_EQ(create.at("routine"), routine);
  EXPECT_EQ(create.at("argument"), "0x0");
  EXPECT_EQ(create.at("detached"), false);
  json join = calls.next_of_type("pthread");
  // A thread of musl's ends by that function too.
  while (join.at("function") == "pthread_exit") join = calls.next_of_type("pthread");
  EXPECT_EQ(join.at("function"), "pthread_join") << join;
  EXPECT_EQ(join.at("pthread"), Workload::of_kind(facts, "joined").at(0).at("pthread"));
}

TEST_P(PthreadProbes, AreSaidToBeInPlaceAndGoWithWhoAsked) {
  Daemon daemon(args_of(way()), options_of(way()));
  Workload workload(program());
  {
    Calls calls(daemon, workload.pid());
    EXPECT_TRUE(calls.probes.at("failed").empty()) << calls.probes;
    for (const char* function : {"pthread_create", "pthread_join"}) {
      const json& placed = calls.probes.at("placed");
      EXPECT_TRUE(std::find(placed.begin(), placed.end(), function) != placed.end()) << placed;
    }
    const json uprobes = daemon.status().at("uprobes");
    EXPECT_EQ(uprobes.at("processes"), json::array({workload.pid()})) << uprobes;
    EXPECT_EQ(uprobes.at("placed"), calls.probes.at("placed").size());
    EXPECT_EQ(uprobes.at("failed"), 0);
  }
  EXPECT_TRUE(await("the probes to go", [&] { return daemon.status().at("uprobes").at("placed") == 0; }));
  EXPECT_TRUE(daemon.get(path_of(workload.pid())).at("probes").is_null());
  workload.command("mix");  // it still works
}

INSTANTIATE_TEST_SUITE_P(, PthreadProbes,
                         ::testing::Combine(::testing::Values("pthread_calls", "pthread_calls-static",
                                                              "pthread_calls-musl",
                                                              "pthread_calls-musl-static"),
                                            kWays),
                         [](const auto& info) {
                           const std::string name = std::get<0>(info.param);
                           const std::string libc = name == "pthread_calls"          ? "glibc"
                                                    : name == "pthread_calls-static" ? "glibc_static"
                                                    : name == "pthread_calls-musl"   ? "musl"
                                                                                     : "musl_static";
                           return libc + "_by_" + std::get<1>(info.param);
                         });

TEST_P(PthreadProbesIn, AContainerTellTheHostsTids) {
  Daemon daemon(args_of(GetParam()), options_of(GetParam()));
  Workload workload(Workload::InContainer{}, "pthread_calls");
  Calls calls(daemon, workload.pid());
  EXPECT_TRUE(calls.probes.at("failed").empty()) << calls.probes;
  const auto facts = workload.command("mix");
  size_t ended = 0, unjoined = 0;
  for (const json& fact : facts) {
    ended += fact.contains("pthread");
    unjoined += fact.at("fact") == "unjoined";
  }
  const json document = settled_document(daemon, workload.pid(), ended);
  EXPECT_EQ(document.at("unjoined").size(), unjoined);
}

TEST_P(PthreadProbesOf, NobodyWhoIsNotAskedForAreWritten) {
  Daemon daemon(args_of(GetParam()), options_of(GetParam()));
  Workload asked("pthread_calls"), other("pthread_calls");
  Calls calls(daemon, asked.pid());
  other.command("mix");
  const auto facts = asked.command("join");
  const json create = calls.next_of_type("pthread");
  EXPECT_EQ(create.at("pid"), asked.pid());
  EXPECT_TRUE(daemon.get(path_of(other.pid())).at("probes").is_null());
}

TEST_P(PthreadProbesOf, AStrippedProgramAreInItsLibrary) {
  Daemon daemon(args_of(GetParam()), options_of(GetParam()));
  Workload workload("rust_kinds-stripped");
  Calls calls(daemon, workload.pid());
  EXPECT_TRUE(calls.probes.at("failed").empty()) << calls.probes;
  EXPECT_FALSE(calls.probes.at("placed").empty());
}

TEST_P(PthreadProbesOf, AProgramWithoutSymbolsOfItsLibraryAreCountedAndNamedWithTheReason) {
  const TempDir dir;
  const std::string program = dir.file("stripped");
  const RunResult strip = run({"/usr/bin/strip", "-o", program, workload_path("pthread_calls-static")});
  ASSERT_EQ(strip.status.code, 0) << strip.err;
  Daemon daemon(args_of(GetParam()), options_of(GetParam()));
  Subprocess process({program});
  Calls calls(daemon, process.pid());
  EXPECT_TRUE(calls.probes.at("placed").empty()) << calls.probes;
  ASSERT_EQ(calls.probes.at("failed").size(), 1u);
  const json uprobes = daemon.status().at("uprobes");
  EXPECT_EQ(uprobes.at("failed"), 1);
  ASSERT_EQ(uprobes.at("failures").size(), 1u);
  EXPECT_EQ(uprobes.at("failures")[0].at("pid"), process.pid());
  const std::string reason = uprobes.at("failures")[0].at("reason");
  EXPECT_NE(reason.find("no thread library"), reason.npos) << reason;
}

TEST_P(PthreadProbesOf, AProgramThatIsExecutedAnewArePlacedAnew) {
  for (const char* command : {"exec", "exec_leader"}) {
    SCOPED_TRACE(command);
    Daemon daemon(args_of(GetParam()), options_of(GetParam()));
    Workload workload("exec_from_thread");
    Calls calls(daemon, workload.pid());
    const json placed = calls.probes.at("placed");
    EXPECT_FALSE(placed.empty());
    workload.send(command);
    EXPECT_EQ(calls.next_of_type("probes").at("placed"), placed);
    EXPECT_EQ(daemon.status().at("uprobes").at("placed"), placed.size());
  }
}

// Until the calls of a program that maps the host's own libc are seen: others may have been probed first.
void await_calls_of(const Daemon& daemon, Workload& workload) {
  ASSERT_TRUE(await("a call to be seen", [&] {
    workload.command("join");
    return daemon.get(path_of(workload.pid())).at("probes").is_object();
  }));
}

TEST_P(PthreadProbesHostWide, SeeProcessesThatNobodyNamed) {
  Daemon daemon(args_of(GetParam(), {"--uprobes", "all"}), options_of(GetParam()));
  Workload workload("pthread_calls");
  await_calls_of(daemon, workload);
  json before;  // the end of a thread may be told after the call that joined it has returned
  ASSERT_TRUE(await("all that were made are joined", [&] {
    before = daemon.get(path_of(workload.pid())).at("probes");
    return before.at("created") == before.at("joined");
  })) << before;
  const auto facts = workload.command("mix");
  size_t ended = 0;
  for (const json& fact : facts) ended += fact.contains("pthread");
  const json document = settled_document(daemon, workload.pid(), ended + before.at("joined").get<size_t>());
  std::set<pid_t> unjoined;
  for (const json& fact : Workload::of_kind(facts, "unjoined")) unjoined.insert(fact.at("tid").get<pid_t>());
  EXPECT_EQ(tids_of(document.at("unjoined")), unjoined);
}

// Containers of one image map one file, each by an overlay of its own: their calls are told once, however
// many there are, and nothing holds on to a root that nobody uses any more.
TEST_P(PthreadProbesHostWide, AreOnceInALibraryHoweverManyContainersSeeIt) {
  if (read_file("/proc/filesystems").find("overlay") == std::string::npos) GTEST_SKIP() << "no overlayfs";
  Daemon daemon(args_of(GetParam(), {"--uprobes", "all"}), options_of(GetParam()));
  Workload first("pthread_calls");
  await_calls_of(daemon, first);
  Workload one(Workload::InOverlay{}, "pthread_calls"), two(Workload::InOverlay{}, "pthread_calls");
  for (Workload* workload : {&one, &two}) {
    const std::string maps = read_file("/proc/" + std::to_string(workload->pid()) + "/maps");
    ASSERT_NE(maps.find("libc.so.6"), std::string::npos) << maps;
    // The probes event comes when its libraries have been looked at.
    Calls calls(daemon, workload->pid());
    EXPECT_TRUE(calls.probes.at("failed").empty()) << calls.probes;
    EXPECT_FALSE(calls.probes.at("placed").empty()) << "those that are there for all: " << calls.probes;
  }
  for (Workload* workload : {&one, &two}) {
    Calls calls(daemon, workload->pid());
    workload->command("join");
    // It makes one and joins it, five times: told twice, two calls would look alike.
    for (int i = 0; i < 10; ++i) {
      const json call = calls.next_of_type("pthread");
      EXPECT_EQ(call.at("tid"), workload->pid());
      EXPECT_EQ(call.at("function"), i % 2 == 0 ? "pthread_create" : "pthread_join") << i;
    }
  }
}

// What the lists of glibc tell and what the probes have seen since the program began.
TEST_P(PthreadProbesHostWide, CountAsTheListsDoOverTheCorpus) {
  Daemon daemon(args_of(GetParam(), {"--uprobes", "all"}), options_of(GetParam()));
  Workload first("pthread_calls");
  await_calls_of(daemon, first);
  for (const char* of : {"mix", "user stacks", "self detach", "quiet"}) {
    SCOPED_TRACE(of);
    Workload workload("pthreads", {of});
    const json unjoined = Workload::the(workload.facts(), "counts").at("unjoined");
    json document;
    EXPECT_TRUE(await("both counts to agree", [&] {
      document = daemon.get("/v1/processes/" + std::to_string(workload.pid()) + "/unjoined?fresh=1");
      const json& probes = document.at("probes");
      return probes.is_object() ? probes.at("undecided") == 0 && probes.at("unjoined") == unjoined
                                : unjoined == 0;
    })) << document;
    EXPECT_EQ(document.at("unjoined"), unjoined) << document;
  }
}

TEST(PthreadProbesNone, AreRefusedInOneLine) {
  Daemon daemon({"--uprobes", "none"});
  const HttpResponse response = daemon.request("/v1/events?pthreads=1&pid=" + std::to_string(getpid()));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(json::parse(response.body).at("error").at("code"), "no_uprobes");
  EXPECT_EQ(daemon.status().at("uprobes").at("mode"), "none");
}

TEST_P(PthreadProbeCost, IsMeasuredOnRequest) {
  Daemon daemon(args_of(GetParam()), options_of(GetParam()));
  EXPECT_TRUE(daemon.status().at("uprobes").at("hit_ns").is_null());
  const json uprobes = daemon.get("/v1/status?measure=1").at("uprobes");
  EXPECT_TRUE(uprobes.at("hit_failure").is_null()) << uprobes;
  EXPECT_GT(uprobes.at("hit_ns"), 0) << uprobes;
  const json way = uprobes.at("way");
  EXPECT_TRUE(way == "tracefs" || (way == "uprobe.multi" && GetParam() == std::string("auto"))) << way;
}

}  // namespace
}  // namespace loiter::test
