// Both ways of counting threads that were never joined, over the whole corpus: by glibc's own lists, and by
// uprobes that saw each call from the program's birth on. They know nothing of each other, and must agree; so
// must they in how many threads there are.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tests/lib/await.h"
#include "tests/lib/corpus.h"
#include "tests/lib/daemon.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

constexpr uint64_t kScaleMs = 500;

// The host's own libc, which all of these map, is probed once a call of any program that maps it is seen.
void await_probes(const Daemon& daemon) {
  Workload workload("pthread_calls");
  ASSERT_TRUE(await("the host's C library is probed", [&] {
    workload.command("join");
    return daemon.get("/v1/processes/" + std::to_string(workload.pid()) + "/pthreads?fresh=1")
        .at("probes")
        .is_object();
  }));
}

struct Counted {
  json document;
  bool told = false;                // by the lists
  bool is_guest = false;            // a child of vfork, in its parent's memory: the lists are not its own
  uint64_t unjoined = 0, live = 0;  // by the lists; without the main thread
  uint64_t probed = 0, probed_live = 0;  // by the probes
  uint64_t undecided = 0, created = 0;
  bool agrees() const { return told && unjoined == probed && live == probed_live && undecided == 0; }
};

Counted count(const Daemon& daemon, uint32_t pid) {
  const HttpResponse response = daemon.request("/v1/processes/" + std::to_string(pid) + "/unjoined?fresh=1");
  Counted counted;
  if (response.status != 200) return counted;
  counted.document = json::parse(response.body);
  counted.told = !counted.document.at("unjoined").is_null();
  counted.is_guest = counted.document.at("failure") == "glibc's lists do not hold its threads";
  if (!counted.told) return counted;
  const auto number = [&](const char* key) { return counted.document.at(key).get<uint64_t>(); };
  counted.unjoined = number("unjoined");
  counted.live = number("live_joinable") + number("joining") + number("detached") + number("unclear") - 1;
  if (const json& probes = counted.document.at("probes"); probes.is_object()) {
    counted.probed = probes.at("unjoined");
    counted.probed_live = probes.at("live");
    counted.undecided = probes.at("undecided");
    counted.created = probes.at("created");
  }
  return counted;
}

// What is expected of it; of those that grow, at least so many.
bool is_enough(const Counted& counted, const json& entry) {
  const bool has_some = entry.at("mode") == "faulty" && entry.at("kind") == "unjoined";
  return has_some ? counted.unjoined >= entry.at("count") : counted.unjoined == 0;
}

class PthreadCounts : public ::testing::TestWithParam<const char*> {};

TEST_P(PthreadCounts, ByListsAndByProbesAgreeOverTheCorpus) {
  Daemon daemon({"--uprobes", "all"});
  await_probes(daemon);
  std::vector<std::unique_ptr<CorpusProgram>> programs;
  for (const json& entry : corpus_entries(GetParam()))
    if (!entry.contains("cgroup")) programs.push_back(std::make_unique<CorpusProgram>(entry, kScaleMs));
  ASSERT_GE(programs.size(), 68u);
  uint64_t processes = 0, created = 0, unjoined = 0;
  for (const auto& program : programs) {
    ASSERT_TRUE(program->is_ready()) << program->name();
    for (const uint32_t pid : program->pids()) {
      Counted counted;
      const bool is_child = pid != static_cast<uint32_t>(program->pid());
      // A program that goes on making threads is at rest now and then, and lists and probes are read at two
      // moments: what is wrong for good never agrees.
      EXPECT_TRUE(await(program->name() + ": both agree", [&] {
        counted = count(daemon, pid);
        return is_child ? counted.agrees() || counted.is_guest
                        : counted.agrees() && is_enough(counted, program->entry());
      })) << counted.document;
      ++processes;
      created += counted.created;
      unjoined += counted.unjoined;
    }
  }
  const json status = daemon.status();
  for (const json& loss : status.at("losses"))  // sites are sampled, nothing else may be lost
    EXPECT_TRUE(loss.at("count") == 0 || loss.at("cause").get<std::string>().starts_with("site_")) << loss;
  printf("%lu processes, %lu threads seen made, %lu unjoined by both\n", processes, created, unjoined);
  EXPECT_GT(created, 500u);
  if (GetParam() == std::string("faulty")) {
    EXPECT_GE(unjoined, 520u);
  }
}

INSTANTIATE_TEST_SUITE_P(, PthreadCounts, ::testing::Values("faulty", "healthy"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace loiter::test
