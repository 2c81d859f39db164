// Where threads were made: the creator's stack, function by function, of every kind of program; and counts
// that add up whatever happens.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "daemon/base/fd.h"
#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

json origins_of(const Daemon& daemon, pid_t pid) {
  return daemon.get("/v1/processes/" + std::to_string(pid) + "/origins?fresh=1");
}

json tree_with_origins(const Daemon& daemon, pid_t pid) {
  return daemon.get("/v1/processes/" + std::to_string(pid) + "?fresh=1&waits=0&origins=1");
}

// When no stack is still being taken apart.
json settled_origins(const Daemon& daemon, pid_t pid, uint64_t births) {
  json document;
  EXPECT_TRUE(await("all creation sites are known or known not to be", [&] {
    document = origins_of(daemon, pid);
    return document.at("without_site").at("pending") == 0 && document.at("births") >= births;
  })) << document;
  return document;
}

// A program that has made its threads, and what it said about them.
struct Made {
  std::unique_ptr<Workload> workload;
  std::vector<json> facts;
  json origins;
  pid_t pid() const { return workload->pid(); }
  json fact() const { return Workload::the(facts, "made"); }
};

// Others on this machine may make threads by the thousand just then: what there was no room for says so, and
// is made again by another process.
Made make(const Daemon& daemon, const std::string& program, const std::vector<std::string>& commands,
          uint64_t births, bool in_container = false) {
  constexpr int kTries = 20;
  Made made;
  for (int i = 0; i < kTries; ++i) {
    made = {};
    made.workload = in_container ? std::make_unique<Workload>(Workload::InContainer{}, program)
                                 : std::make_unique<Workload>(program);
    for (const std::string& command : commands)
      for (const json& fact : made.workload->command(command)) made.facts.push_back(fact);
    made.origins = settled_origins(daemon, made.pid(), births);
    const json& gaps = made.origins.at("without_site");
    if (gaps.at("no_slot") == 0 && gaps.at("rate_limited") == 0 && gaps.at("event_lost") == 0) return made;
  }
  ADD_FAILURE() << "never room for the stacks: " << made.origins;
  return made;
}

// Each birth is at a site or has a reason why not; each site's threads live or have ended.
void expect_sums(const json& document) {
  uint64_t accounted = 0;
  for (const json& site : document.at("sites")) {
    accounted += site.at("births").get<uint64_t>();
    EXPECT_EQ(site.at("births"), site.at("live").get<uint64_t>() + site.at("ended").get<uint64_t>());
    EXPECT_EQ(site.at("live"), site.at("live_tids").size());
    uint64_t creators = site.at("other_creators").get<uint64_t>();
    for (const json& creator : site.at("creators")) creators += creator.at("count").get<uint64_t>();
    EXPECT_EQ(creators, site.at("births"));
  }
  uint64_t before = 0;
  for (const auto& [reason, count] : document.at("without_site").items())
    (reason == "before_daemon" ? before : accounted) += count.get<uint64_t>();
  EXPECT_EQ(document.at("births"), accounted) << document.at("without_site");
  EXPECT_EQ(document.at("live").get<uint64_t>() + document.at("ends").get<uint64_t>(),
            document.at("births").get<uint64_t>() + before);
  uint64_t births = 0, ends = 0;
  for (const json& period : document.at("history")) {
    births += period.at("births").get<uint64_t>();
    ends += period.at("ends").get<uint64_t>();
  }
  EXPECT_EQ(document.at("births"), births);
  EXPECT_EQ(document.at("ends"), ends);
  if (births + ends > 0) {
    EXPECT_EQ(document.at("history").back().at("live"), document.at("live"));
  }
}

void expect_made(const json& thread, const json& fact) {
  SCOPED_TRACE(fact.dump());
  ASSERT_FALSE(thread.is_null());
  const json& made = thread.at("created_by");
  EXPECT_EQ(made.at("tid"), fact.at("creator"));
  ASSERT_TRUE(made.at("stack").is_array()) << thread;
  EXPECT_TRUE(stack_shows(made, fact.at("frames")));
  EXPECT_TRUE(made.at("cut").is_null()) << made;
  EXPECT_TRUE(made.at("missing").is_null()) << made;
}

#if defined(__x86_64__)
constexpr size_t kMade = 7;
#else
constexpr size_t kMade = 6;  // none without libc
#endif

class Makers : public ::testing::TestWithParam<const char*> {};

TEST_P(Makers, AreKnownFunctionByFunction) {
  Daemon daemon;
  const Made made = make(daemon, GetParam(), {"deep", "chain", "raw", "two"}, kMade);
  const json tree = tree_with_origins(daemon, made.pid());
  const std::vector<json> facts = Workload::of_kind(made.facts, "made");
  for (const json& fact : facts) expect_made(find_thread(tree, fact.at("tid")), fact);
  EXPECT_EQ(facts.size(), kMade);
  EXPECT_TRUE(find_thread(tree, made.pid()).at("created_by").is_null()) << "nobody made the first thread";
  expect_sums(made.origins);
}

INSTANTIATE_TEST_SUITE_P(, Makers,
                         ::testing::Values("makers", "makers-static", "makers-musl", "makers-musl-static"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Origins, OfTheCppLibraryAreTheCodeThatMadeIt) {
  Daemon daemon;
  const Made made = make(daemon, "makers_cxx", {"std"}, 1);
  expect_made(find_thread(tree_with_origins(daemon, made.pid()), made.fact().at("tid")), made.fact());
}

TEST(Origins, KeepTheirNamesWhenTheLibraryIsGone) {
  Daemon daemon;
  const Made made = make(daemon, "makers_cxx", {"load"}, 1);
  made.workload->command("unload");
  EXPECT_EQ(read_file("/proc/" + std::to_string(made.pid()) + "/maps").find("libmaking"), std::string::npos);
  expect_made(find_thread(tree_with_origins(daemon, made.pid()), made.fact().at("tid")), made.fact());
  const json site = origins_of(daemon, made.pid()).at("sites").at(0);
  EXPECT_TRUE(stack_shows(site, made.fact().at("frames")));
}

TEST(Origins, OfAStackThatIsLongerThanWhatIsTakenSaySo) {
  Daemon daemon;
  const Made made = make(daemon, "makers", {"large"}, 1);
  const json created_by =
      find_thread(tree_with_origins(daemon, made.pid()), made.fact().at("tid")).at("created_by");
  EXPECT_TRUE(stack_shows(created_by, made.fact().at("frames")));
  EXPECT_FALSE(stack_shows(created_by, "make_large main"));
  EXPECT_EQ(created_by.at("cut"), "no more of the creator's stack was taken");
  ASSERT_EQ(made.origins.at("sites").size(), 1u);
  EXPECT_EQ(made.origins.at("sites")[0].at("cut"), created_by.at("cut"));
  expect_sums(made.origins);
}

TEST(OriginsIn, AContainerAreWhole) {
  Daemon daemon;
  const Made made = make(daemon, "makers", {"deep"}, 1, true);
  json fact = made.fact();
  const pid_t tid = tid_of_namespace(made.pid(), fact.at("tid")).value_or(0);
  fact["creator"] = made.pid();
  expect_made(find_thread(tree_with_origins(daemon, made.pid()), tid), fact);
}

TEST(Origins, GroupLiveAndEndedThreadsBySite) {
  Daemon daemon;
  const Made made = make(daemon, "makers", {"many 7", "short 5"}, 12);
  const json& document = made.origins;
  expect_sums(document);
  ASSERT_EQ(document.at("sites").size(), 2u) << document;
  const json &many = document.at("sites")[0], &few = document.at("sites")[1];
  EXPECT_TRUE(stack_shows(many, "small_thread make_many main")) << many;
  EXPECT_EQ(many.at("live"), 7);
  EXPECT_GT(many.at("oldest_ns"), 0);
  const json creator = {{"tid", made.pid()}, {"name", "makers"}, {"count", 7}};
  EXPECT_EQ(many.at("creators"), json::array({creator}));
  EXPECT_TRUE(stack_shows(few, "small_thread make_short main")) << few;
  EXPECT_EQ(few.at("ended"), 5);
  // Also of threads that nobody had looked at while they lived.
  for (const auto& [site, routine] : {std::pair(many, "stay"), std::pair(few, "end_at_once")}) {
    ASSERT_EQ(site.at("start_routines").size(), 1u) << site.at("start_routines");
    EXPECT_EQ(site.at("start_routines")[0].at("symbol"), routine);
  }
  EXPECT_TRUE(few.at("oldest_ns").is_null());
  uint64_t lifetimes = 0;
  for (const json& count : few.at("lifetimes").at("log2_ns")) lifetimes += count.get<uint64_t>();
  EXPECT_EQ(lifetimes, 5u);
  std::set<pid_t> live = threads_of(made.pid());
  live.erase(made.pid());
  EXPECT_EQ(live, many.at("live_tids").get<std::set<pid_t>>());
}

// How many of them lived for less than 2^k ns: as many at least as were told to have been joined by then, and
// as many at most as may have ended by then.
TEST(Origins, LifetimesAreAsLongAsTheThreadsLived) {
  Daemon daemon;
  const Made made = make(daemon, "makers", {"lasting 1", "lasting 5", "lasting 5", "lasting 30"}, 4);
  const std::vector<json> facts = Workload::of_kind(made.facts, "lasted");
  ASSERT_EQ(facts.size(), 4u);
  ASSERT_EQ(made.origins.at("sites").size(), 1u) << made.origins;
  const json& site = made.origins.at("sites")[0];
  EXPECT_TRUE(stack_shows(site, "small_thread make_lasting main")) << site;
  std::vector<uint64_t> log2_ns = site.at("lifetimes").at("log2_ns");
  log2_ns.resize(64);
  uint64_t shorter = 0;
  for (size_t k = 0; k < log2_ns.size(); ++k) {
    uint64_t at_least = 0, at_most = 0;
    for (const json& fact : facts) {
      at_least += fact.at("at_most").get<uint64_t>() < uint64_t{1} << k;
      at_most += fact.at("at_least").get<uint64_t>() < uint64_t{1} << k;
    }
    EXPECT_GE(shorter, at_least) << "below 2^" << k << ": " << site.at("lifetimes") << facts[0] << facts[3];
    EXPECT_LE(shorter, at_most) << "below 2^" << k << ": " << site.at("lifetimes");
    shorter += log2_ns[k];
  }
  EXPECT_EQ(shorter, 4u);
}

// Where the kernel refuses the typed ones.
TEST(Origins, ComeByRawTracepointsToo) {
  Daemon daemon({"--tracepoints", "raw"});
  const Made made = make(daemon, "makers", {"deep"}, 1);
  expect_made(find_thread(tree_with_origins(daemon, made.pid()), made.fact().at("tid")), made.fact());
}

TEST(Origins, FromBeforeTheDaemonAreSaidToBe) {
  Workload workload("makers");
  workload.command("many 3");
  Daemon daemon;
  workload.command("many 2");
  const json document = settled_origins(daemon, workload.pid(), 2);
  EXPECT_EQ(document.at("without_site").at("before_daemon"), 3);
  EXPECT_EQ(document.at("live"), 5);
  EXPECT_EQ(document.at("births"), 2);
  expect_sums(document);
  size_t unknown = 0;
  const json tree = tree_with_origins(daemon, workload.pid());
  for (const json& thread : tree.at("threads"))
    unknown +=
        thread.at("created_by").is_object() && thread.at("created_by").at("missing") == "before_daemon";
  EXPECT_EQ(unknown, 3u);
}

TEST(Origins, OfAProcessThatMakesNoThreadAreNone) {
  Daemon daemon;
  Workload workload("makers");
  const json document = origins_of(daemon, workload.pid());
  EXPECT_TRUE(document.at("sites").empty());
  EXPECT_EQ(document.at("births"), 0);
  EXPECT_EQ(document.at("live"), 0);
  expect_sums(document);
}

TEST(Origins, AreNotInATreeUnlessAskedFor) {
  Daemon daemon;
  Workload workload("makers");
  workload.command("many 1");
  for (const json& thread : daemon.tree(workload.pid()).at("threads"))
    EXPECT_FALSE(thread.contains("created_by"));
}

uint64_t loss(const json& status, const std::string& cause) {
  for (const auto& loss : status.at("losses"))
    if (loss.at("cause") == cause) return loss.at("count");
  ADD_FAILURE() << "no such cause: " << cause;
  return 0;
}

// More than a process may have slices of: the sites are sampled, and every birth is accounted for.
TEST(Origins, OfAStormAreSampledAndAddUp) {
  Daemon daemon({"--ring-size", "16777216"});
  Workload workload("makers");
  constexpr int kThreads = 20'000;
  workload.command("storm " + std::to_string(kThreads));
  const json document = settled_origins(daemon, workload.pid(), kThreads);
  expect_sums(document);
  EXPECT_EQ(document.at("births"), kThreads);
  EXPECT_EQ(document.at("ends"), kThreads);
  EXPECT_EQ(document.at("live"), 0);
  ASSERT_LE(document.at("sites").size(), 1u) << document;
  if (document.at("without_site").at("rate_limited") < kThreads) {  // else others had taken all room
    EXPECT_TRUE(stack_shows(document.at("sites").at(0), "small_thread make_storm main"));
  }
  EXPECT_GT(document.at("without_site").at("rate_limited"), 0);
  EXPECT_EQ(document.at("without_site").at("event_lost"), 0);
  const json status = daemon.status();
  EXPECT_GE(loss(status, "site_rate_limited"),
            document.at("without_site").at("rate_limited").get<uint64_t>());
}

// --- the command line ----------------------------------------------------------------------------------

RunResult loiter(const Daemon& daemon, std::vector<std::string> args) {
  args.insert(args.begin(), loiter_path());
  args.insert(args.end(), {"--socket", daemon.socket()});
  return run(args);
}

TEST(Origins, AreShownByTheCommandLine) {
  Daemon daemon;
  const Made made = make(daemon, "makers", {"two", "short 3"}, 5);
  const RunResult origins = loiter(daemon, {"origins", std::to_string(made.pid())});
  EXPECT_EQ(to_string(origins.status), "exit 0") << origins.err;
  for (const char* text : {"2 threads live besides the main one; 5 born, 3 ended since loiterd looks",
                           "0 live of 3 born, 3 ended", "place_one in makers", "BORN"})
    EXPECT_NE(origins.out.find(text), std::string::npos) << text << " is not in\n" << origins.out;
  const json document = json::parse(loiter(daemon, {"origins", std::to_string(made.pid()), "--json"}).out);
  EXPECT_EQ(document.at("sites").size(), 3u);
  const RunResult tree = loiter(daemon, {"tree", std::to_string(made.pid()), "--origins"});
  for (const char* text : {"MADE AT", "[1] start_thread", "[2] start_thread", "place_two in makers"})
    EXPECT_NE(tree.out.find(text), std::string::npos) << text << " is not in\n" << tree.out;
}

TEST(PrivateDaemon, SeesTheOriginsOfWhatIsMadeWhileItLooks) {
  Workload workload("makers");
  workload.command("many 2");
  Subprocess origins({loiter_path(), "origins", std::to_string(workload.pid()), "--for", "1h"},
                     {.stdout_to_memory = true});
  // It looks once it has asked for the process: then its daemon has taken a census.
  ASSERT_TRUE(await("its daemon runs", [&] { return !children_of(origins.pid()).empty(); }));
  ASSERT_TRUE(await("its daemon has seen a birth", [&] {
    workload.command("many 1");
    for (pid_t daemon : children_of(origins.pid()))
      for (pid_t helper : children_of(daemon))
        if (thread_stat(helper, helper).value_or(ThreadStat{}).comm == "loiter-parser") return true;
    return false;
  }));
  kill(origins.pid(), SIGINT);
  const auto status = origins.wait();
  ASSERT_TRUE(status) << "it goes on";
  EXPECT_EQ(to_string(*status), "exit 0");
  const std::string text = origins.stdout_text();
  EXPECT_NE(text.find("since loiter began to look"), std::string::npos) << text;
  EXPECT_NE(text.find("only threads made while loiter looks have a site"), std::string::npos) << text;
}

// --- secrets -------------------------------------------------------------------------------------------

uint64_t next_of(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// How often any eight bytes of the pattern are in the process's memory.
size_t occurrences(pid_t pid, const std::set<uint64_t>& pattern) {
  const Fd memory(open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!memory) throw std::runtime_error("cannot read the memory of the daemon");
  size_t found = 0;
  std::vector<uint64_t> words(1 << 17);
  for (const std::string& line : split(read_file("/proc/" + std::to_string(pid) + "/maps"), '\n')) {
    unsigned long start = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx r", &start, &end) != 2) continue;
    while (start < end) {
      const size_t size = std::min<size_t>(end - start, words.size() * sizeof(uint64_t));
      const ssize_t got = pread(memory.get(), words.data(), size, static_cast<off_t>(start));
      if (got <= 0) break;
      for (size_t i = 0; i < static_cast<size_t>(got) / sizeof(uint64_t); ++i)
        found += pattern.contains(words[i]);
      start += static_cast<size_t>(got);
    }
  }
  return found;
}

TEST(Origins, KeepNothingOfTheStackButNames) {
  Daemon daemon;
  uint64_t state = 0x1234567890abcdef ^ static_cast<uint64_t>(getpid()) << 20;
  const std::string command = "secret " + std::to_string(state);
  std::set<uint64_t> pattern;
  for (int i = 0; i < 64; ++i) pattern.insert(next_of(state));
  const Made made = make(daemon, "makers", {command}, 1);
  expect_made(find_thread(tree_with_origins(daemon, made.pid()), made.fact().at("tid")), made.fact());
  EXPECT_EQ(occurrences(daemon.pid(), pattern), 0u);
  for (pid_t helper : children_of(daemon.pid()))
    EXPECT_EQ(occurrences(helper, pattern), 0u) << exe_of(helper);
  // The search would find it.
  const std::vector<uint64_t> here(pattern.begin(), pattern.end());
  EXPECT_GE(occurrences(getpid(), {here[0]}), 1u);
}

// --- others' programs ----------------------------------------------------------------------------------

// As make() does.
json python_origins(const Daemon& daemon, const char* path) {
  json document;
  for (int i = 0; i < 20; ++i) {
    const Subprocess python(
        {path, "-I", "-c",
         "import threading, sys\n"
         "for i in range(4): threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
         "sys.stdin.read()\n"},
        {});
    document = settled_origins(daemon, python.pid(), 4);
    if (document.at("sites").size() == 1 && document.at("sites")[0].at("births") == 4) break;
  }
  return document;
}

TEST(Interpreters, PythonsThreadsWereMadeThroughTheInterpreter) {
  constexpr const char* kPython = "/usr/bin/python3";
  if (access(kPython, X_OK)) GTEST_SKIP() << "no " << kPython;
  Daemon daemon;
  const json document = python_origins(daemon, kPython);
  expect_sums(document);
  ASSERT_EQ(document.at("sites").size(), 1u) << document;
  const json& site = document.at("sites")[0];
  EXPECT_EQ(site.at("live"), 4) << "one place, four threads";
  EXPECT_TRUE(site.at("cut").is_null()) << site.at("cut");
  EXPECT_GT(site.at("stack").size(), 5u);
}

// Its runtime changes to another stack without telling unwinders: what is read behind that is different for
// each thread, and must not make a site of each.
TEST(Interpreters, GosThreadsWereMadeByItsRuntimeOrByC) {
  Daemon daemon;
  constexpr uint64_t kGoroutines = 4;
  const Made made = make(daemon, "cgo_threads", {"make"}, kGoroutines + 1);
  expect_sums(made.origins);
  size_t by_go = 0, by_c = 0, sites_of_go = 0;
  for (const json& site : made.origins.at("sites")) {
    const bool is_of_c = bool(stack_shows(site, "make_in_c"));
    (is_of_c ? by_c : by_go) += site.at("live").get<size_t>();
    sites_of_go += !is_of_c;
    ASSERT_EQ(site.at("start_routines").size(), 1u) << site;
    EXPECT_EQ(site.at("start_routines")[0].at("symbol"), is_of_c ? "rest_in_c" : "threadentry");
    for (const json& frame : site.at("stack")) EXPECT_FALSE(frame.at("module").is_null()) << site;
  }
  EXPECT_EQ(by_c, 1u);
  EXPECT_GE(by_go, kGoroutines);
  printf("%zu threads made by Go's runtime at %zu sites\n", by_go, sites_of_go);
  size_t named = 0;
  const json tree = daemon.tree(made.pid());
  for (const json& thread : tree.at("threads"))
    named +=
        !thread.at("start_routine").is_null() && thread.at("start_routine").at("symbol") == "threadentry";
  EXPECT_GE(named, by_go) << tree;
}

}  // namespace
}  // namespace loiter::test
