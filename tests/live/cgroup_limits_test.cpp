// Limits that a cgroup sets, of version 1 or 2 as this machine has it: programs of the corpus that are put
// into a cgroup of the test's own are found starved by cpu.max, or on course for pids.max, with the cgroup's
// own numbers; their healthy twins in cgroups like these are not.
//
// LOITER_ALL=1: also what grows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "tests/lib/await.h"
#include "tests/lib/cgroup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

using nlohmann::json;

constexpr uint64_t kScaleMs = 1000;

std::vector<json> findings_of(const json& document, const CorpusProgram& program) {
  std::vector<json> findings;
  for (const json& finding : document.at("findings"))
    if (finding.at("process").at("pid") == program.pid()) findings.push_back(finding);
  return findings;
}

json all_findings(const Daemon& daemon) {
  return daemon.get("/v1/findings?fresh=1&resolved=1");
}

// The first one that is expected; null: none in time.
json await_expected(const Daemon& daemon, const CorpusProgram& program) {
  json found;
  std::string why = "no finding";
  EXPECT_TRUE(await("it is found",
                    [&] {
                      for (const json& finding : findings_of(all_findings(daemon), program))
                        if (found.is_null() && is_expected(finding, program.entry(), why)) found = finding;
                      return !found.is_null();
                    }))
      << program.name() << ": " << why;
  return found;
}

// For so long by the daemon's own clock.
void expect_quiet(const Daemon& daemon, const CorpusProgram& program, std::chrono::seconds length) {
  const auto look = [&] {
    const json document = all_findings(daemon);
    for (const json& finding : findings_of(document, program))
      EXPECT_EQ(finding.at("severity"), "info") << finding.dump(1);
    return document.at("as_of_boottime_ns").get<uint64_t>();
  };
  const uint64_t begin = look();
  const auto length_ns = static_cast<uint64_t>(std::chrono::nanoseconds(length).count());
  EXPECT_TRUE(await(
      "it has been watched", [&] { return look() >= begin + length_ns; }, length + kPatience));
}

void starve_in_a_cgroup() {
  Daemon daemon({"--threshold", "1s"});
  const auto faulty = start_corpus("starved_pool", "faulty", kScaleMs);
  const auto healthy = start_corpus("starved_pool", "healthy", kScaleMs);
  const Cgroup enough("cpu");
  enough.set_cpu(1'000'000, 1'000'000);
  enough.take(healthy->pid());
  {
    const Cgroup cgroup("cpu");
    cgroup.set_cpu(1000, 1'000'000);  // as expected.json says
    cgroup.take(faulty->pid());
    const json found = await_expected(daemon, *faulty);
    ASSERT_FALSE(found.is_null());
    const json& evidence = found.at("evidence");
    EXPECT_EQ(evidence.at("throttled_cgroup"), cgroup.path()) << found;
    EXPECT_GT(evidence.at("nr_throttled"), 0) << found;
    EXPECT_GE(evidence.at("nr_periods"), evidence.at("nr_throttled")) << found;
    EXPECT_GE(evidence.at("longest_ns"), evidence.at("threshold_ns")) << found;
    EXPECT_LE(found.at("count"), 6) << found;
  }
  ASSERT_TRUE(await("it is resolved where it is let run", [&] {
    const json document = daemon.get("/v1/findings?fresh=1&pid=" + std::to_string(faulty->pid()));
    return std::ranges::none_of(document.at("findings"),
                                [](const json& finding) { return finding.at("kind") == "starved"; });
  }));
  expect_quiet(daemon, *healthy, std::chrono::seconds(4));
}

void check_numbers(const json& found, const std::string& cgroup, uint64_t most) {
  const json& evidence = found.at("evidence");
  EXPECT_EQ(evidence.at("limit"), "pids.max") << found;
  EXPECT_EQ(evidence.at("scope"), "cgroup " + cgroup) << found;
  EXPECT_EQ(evidence.at("max"), most) << found;
  // By the kernel's count: its leader, who makes them, and up to 70 that are made.
  EXPECT_GE(evidence.at("used"), 10) << found;
  EXPECT_LE(evidence.at("used"), 72) << found;
  EXPECT_EQ(found.at("count"), evidence.at("used")) << found;
  // Five a second; on a machine that is short of CPU fewer.
  EXPECT_GT(evidence.at("threads_per_minute"), 30) << found;
  EXPECT_LT(evidence.at("threads_per_minute"), 400) << found;
  const double left_s = evidence.at("time_left_ns").get<double>() / 1e9;
  const double by_hand_s = (static_cast<double>(most) - evidence.at("used").get<double>()) * 60 /
                           evidence.at("threads_per_minute").get<double>();
  EXPECT_NEAR(left_s, by_hand_s, 0.1) << found;
}

void grow_in_a_cgroup() {
  Daemon daemon({"--threshold", "1s"});
  constexpr uint64_t kMost = 100;  // as expected.json says
  const auto faulty = start_corpus("near_the_limit", "faulty", kScaleMs);
  const auto healthy = start_corpus("near_the_limit", "healthy", kScaleMs);
  const Cgroup cgroup("pids"), same("pids");
  for (const Cgroup* each : {&cgroup, &same}) each->set_most_threads(kMost);
  cgroup.take(faulty->pid());
  same.take(healthy->pid());
  const json found = await_expected(daemon, *faulty);
  ASSERT_FALSE(found.is_null());
  check_numbers(found, cgroup.path(), kMost);
  expect_quiet(daemon, *healthy, std::chrono::seconds(4));
}

class CgroupLimits : public testing::TestWithParam<std::string> {};

TEST_P(CgroupLimits, AreToldWithTheirNumbers) {
  if (!Cgroup::is_there(GetParam(), Cgroup::Version::v1) &&
      !Cgroup::is_there(GetParam(), Cgroup::Version::v2))
    GTEST_SKIP() << "no cgroup of the test's own can have " << GetParam() << " here";
  if (GetParam() == "cpu")
    starve_in_a_cgroup();
  else
    grow_in_a_cgroup();
}

// What grows takes its time.
std::vector<std::string> controllers() {
  const char* all = getenv("LOITER_ALL");
  return all && *all == '1' ? std::vector<std::string>{"cpu", "pids"} : std::vector<std::string>{"cpu"};
}

INSTANTIATE_TEST_SUITE_P(Of, CgroupLimits, testing::ValuesIn(controllers()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace loiter::test
