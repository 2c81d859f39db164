// Not tests: they record what tests/unit/detect_replay_test.cpp replays (tests/data/README.md), into the
// directory LOITER_RECORD.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "tests/lib/await.h"
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

struct Case {
  std::string name;
  std::string mode;
  size_t snapshots = 3;
};

// As expected.json has it; the numbers of its threads by their names.
json expected_of(const CorpusProgram& program, const json& tree) {
  const json& entry = program.entry();
  if (entry.at("mode") == "healthy" || entry.at("severity") == "info") return json::array();
  json tids = json::array();
  const std::string names = "|" + entry.at("culprit_thread").get<std::string>() + "|";
  if (entry.at("kind") != "leak")
    for (const json& thread : tree.at("threads"))
      if (names.find("|" + thread.at("name").get<std::string>() + "|") != std::string::npos)
        tids.push_back(thread.at("tid"));
  return json::array({{{"kind", entry.at("kind")}, {"severity", entry.at("severity")}, {"tids", tids}}});
}

void record(const Case& wanted) {
  Daemon daemon({"--threshold", "1s"});
  for (const json& entry : corpus_entries(wanted.mode)) {
    if (entry.at("name") != wanted.name) continue;
    CorpusProgram program(entry, 4000);
    ASSERT_TRUE(program.is_ready());
    daemon.status();                                                                   // it is seen
    std::this_thread::sleep_for(std::chrono::seconds(wanted.snapshots > 10 ? 0 : 3));  // no test: no event
    Recorder recorder(daemon);
    while (recorder.count() < wanted.snapshots) recorder.record(program.pids());
    recorder.write(target(wanted.name + "-" + wanted.mode), kThresholdNs,
                   expected_of(program, daemon.tree(program.pid())));
    return;
  }
  FAIL() << "there is no " << wanted.name;
}

TEST(Recorder, DISABLED_OfTheCorpus) {
  for (const char* mode : {"faulty", "healthy"})
    for (const char* name : {"order_two", "ring_three", "many_behind_one", "owner_ended", "join_on_hanging",
                             "lock_over_pipe", "rwlock_starved_writer", "request_threads"})
      record({name, mode, std::string(name) == "request_threads" ? size_t{32} : size_t{3}});
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
