// Not tests: they record what tests/unit/detect_replay_test.cpp replays (tests/data/README.md), into the
// directory LOITER_RECORD.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "tests/lib/await.h"
#include "tests/lib/cgroup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/recorder.h"
#include "tests/lib/servers.h"

namespace loiter::test {
namespace {

using nlohmann::json;

constexpr uint64_t kThresholdNs = 1'000'000'000;

std::string target(const std::string& name) {
  const char* directory = getenv("LOITER_RECORD");
  if (!directory) throw std::runtime_error("LOITER_RECORD says no directory");
  return std::string(directory) + '/' + name + ".json";
}

// What is told of the process, and not of threads that may be named.
bool is_of_process(const std::string& kind) {
  return kind == "leak" || kind == "unjoined" || kind == "exhaustion" || kind == "starved";
}

// As expected.json has it; the numbers of its threads by their names.
json expected_of(const CorpusProgram& program, const json& tree) {
  const json& entry = program.entry();
  if (entry.at("mode") == "healthy") return json::array();
  json expected = {{"kind", entry.at("kind")}, {"severity", entry.at("severity")}};
  if (is_of_process(entry.at("kind"))) {
    expected["pid"] = program.pid();
    return json::array({expected});
  }
  expected["tids"] = json::array();
  const std::string names = "|" + entry.at("culprit_thread").get<std::string>() + "|";
  for (const json& thread : tree.at("threads"))
    if (names.find("|" + thread.at("name").get<std::string>() + "|") != std::string::npos)
      expected["tids"].push_back(thread.at("tid"));
  return json::array({expected});
}

// The cgroup that it is to be in; null: in none of its own. A healthy one has all the CPU time that it wants.
std::unique_ptr<Cgroup> cgroup_of(const std::string& name, bool faulty) {
  if (name == "starved_pool") {
    auto cgroup = std::make_unique<Cgroup>("cpu");
    cgroup->set_cpu(faulty ? 1000 : 1'000'000, 1'000'000);
    return cgroup;
  }
  if (name != "near_the_limit") return nullptr;
  auto cgroup = std::make_unique<Cgroup>("pids");
  cgroup->set_most_threads(100);
  return cgroup;
}

struct Case {
  std::string name;
  size_t snapshots = 3;
  bool from_the_start = false;  // else when what is wrong has stood for some seconds
  uint64_t scale_ms = 4000;
};

const std::vector<Case> kCases = {{.name = "order_two"},
                                  {.name = "ring_three"},
                                  {.name = "many_behind_one"},
                                  {.name = "owner_ended"},
                                  {.name = "join_on_hanging"},
                                  {.name = "lock_over_pipe"},
                                  {.name = "rwlock_starved_writer"},
                                  {"request_threads", 32, true},
                                  {"unjoined_slowly", 12, true, 1000},
                                  {"near_the_limit", 21, true},
                                  {"starved_pool", 12, true},
                                  {"spin_for_good", 5}};

void record(const Case& wanted, const std::string& mode) {
  Daemon daemon({"--threshold", "1s"});
  for (const json& entry : corpus_entries(mode)) {
    if (entry.at("name") != wanted.name) continue;
    CorpusProgram program(entry, wanted.scale_ms);
    ASSERT_TRUE(program.is_ready());
    const auto cgroup = cgroup_of(wanted.name, mode == "faulty");  // goes first: else its end takes long
    if (cgroup) cgroup->take(program.pid());
    daemon.status();                                                                   // it is seen
    std::this_thread::sleep_for(std::chrono::seconds(wanted.from_the_start ? 0 : 3));  // no test: no event
    Recorder recorder(daemon);
    while (recorder.count() < wanted.snapshots) recorder.record(program.pids());
    recorder.write(target(wanted.name + "-" + mode), kThresholdNs,
                   expected_of(program, daemon.tree(program.pid())));
    return;
  }
  FAIL() << "there is no " << wanted.name;
}

// LOITER_RECORD_ONLY: this one alone.
TEST(Recorder, DISABLED_OfTheCorpus) {
  const char* only = getenv("LOITER_RECORD_ONLY");
  for (const Case& wanted : kCases)
    for (const char* mode : {"faulty", "healthy"})
      if (!only || wanted.name == only) record(wanted, mode);
}

TEST(Recorder, DISABLED_OfServers) {
  Daemon daemon({"--threshold", "1s"});
  Servers servers(false);
  std::this_thread::sleep_for(std::chrono::seconds(5));  // no test: no event is waited for
  std::set<uint32_t> pids;
  for (const Server& server : servers.all()) {
    pids.insert(static_cast<uint32_t>(server.process->pid()));
    for (const pid_t child : children_of(server.process->pid())) pids.insert(static_cast<uint32_t>(child));
  }
  Recorder recorder(daemon);
  while (recorder.count() < 2) recorder.record(pids);
  recorder.write(target("servers-idle"), kThresholdNs, json::array());
}

}  // namespace
}  // namespace loiter::test
