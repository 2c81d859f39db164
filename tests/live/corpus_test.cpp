// Verdicts over the corpus: each faulty program is found, by its kind, certainty and culprit, and its healthy
// twin, with the same functions and thread names, stays quiet. All of them side by side under one daemon.
//
// LOITER_ALL=1: also those that grow, which takes their time.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "tests/lib/await.h"
#include "tests/lib/corpus.h"
#include "tests/lib/daemon.h"

namespace loiter::test {
namespace {

using nlohmann::json;

bool wants_all() {
  const char* all = getenv("LOITER_ALL");
  return all && *all == '1';
}

constexpr uint64_t kScaleMs = 2000;  // what grows does so for longer than a leak needs to be seen
constexpr uint64_t kQuickScaleMs = 500;
constexpr auto kPatienceForAll = std::chrono::minutes(4);

bool is_slow(const json& entry) {
  return entry.contains("grows_for_ms") || entry.contains("cgroup");
}

// Of faulty ones and of healthy ones; without those that need a cgroup of their own, which are below.
std::vector<std::unique_ptr<CorpusProgram>> start(const std::string& mode) {
  std::set<std::string> slow, special;
  for (const json& entry : corpus_entries("faulty")) {
    if (entry.contains("cgroup")) special.insert(entry.at("name"));
    if (is_slow(entry)) slow.insert(entry.at("name"));
  }
  std::vector<std::unique_ptr<CorpusProgram>> programs;
  for (const json& entry : corpus_entries(mode))
    if (!special.contains(entry.at("name")) && (wants_all() || !slow.contains(entry.at("name"))))
      programs.push_back(std::make_unique<CorpusProgram>(entry, wants_all() ? kScaleMs : kQuickScaleMs));
  for (const auto& program : programs) EXPECT_TRUE(program->is_ready()) << program->name();
  return programs;
}

// Of this program, also those that are resolved.
std::vector<json> findings_of(const json& document, const CorpusProgram& program) {
  std::vector<json> findings;
  for (const json& finding : document.at("findings"))
    if (program.pids().contains(finding.at("process").at("pid"))) findings.push_back(finding);
  return findings;
}

json all_findings(const Daemon& daemon) {
  return daemon.get("/v1/findings?fresh=1&resolved=1");
}

bool is_found(const json& document, const CorpusProgram& program, std::string& why) {
  why = "no finding";
  for (const json& finding : findings_of(document, program))
    if (is_expected(finding, program.entry(), why)) return true;
  return false;
}

// The threads that cannot be told from idle ones are marked, and that is all.
bool is_marked(const Daemon& daemon, const CorpusProgram& program) {
  for (uint32_t pid : program.pids()) {
    const json tree = daemon.tree(static_cast<pid_t>(pid));
    for (const json& thread : tree.at("threads"))
      if (thread.at("overdue") == true) return true;
  }
  return false;
}

TEST(Corpus, EachFaultIsFoundWithItsCulprit) {
  Daemon daemon({"--threshold", "1s"});
  const auto programs = start("faulty");
  ASSERT_GE(programs.size(), wants_all() ? 70u : 57u);
  json document;
  const auto is_done = [&](const CorpusProgram& program) {
    std::string why;
    return program.entry().at("kind") == "overdue" ? is_marked(daemon, program)
                                                   : is_found(document, program, why);
  };
  await(
      "all are found",
      [&] {
        document = all_findings(daemon);
        return std::ranges::all_of(programs, [&](const auto& program) { return is_done(*program); });
      },
      kPatienceForAll);
  size_t expected = 0, found = 0, told = 0, right = 0;
  for (const auto& program : programs) {
    const json& entry = program->entry();
    std::string why;
    const bool is_overdue = entry.at("kind") == "overdue";
    const bool ok = is_overdue ? is_marked(daemon, *program) : is_found(document, *program, why);
    expected += !is_overdue;
    found += !is_overdue && ok;
    std::string kinds;
    for (const json& finding : findings_of(document, *program)) {
      kinds += " " + finding.at("kind").get<std::string>();
      if (finding.at("severity") == "info") continue;
      ++told;
      right += is_allowed(finding, entry);
      EXPECT_TRUE(is_allowed(finding, entry)) << program->name() << ": " << finding.at("summary");
    }
    printf("%-26s %-10s %s%s\n", program->name().c_str(), entry.at("kind").get<std::string>().c_str(),
           ok ? "ok:" : "MISSED:", kinds.c_str());
    EXPECT_TRUE(ok) << program->name() << ": " << why << "; " << findings_of(document, *program).size()
                    << " found";
  }
  printf("recall %zu of %zu, precision %zu of %zu\n", found, expected, right, told);
}

TEST(Corpus, HealthyTwinsStayQuiet) {
  Daemon daemon({"--threshold", "1s"});
  const auto programs = start("healthy");
  ASSERT_GE(programs.size(), wants_all() ? 70u : 57u);
  const uint64_t begin = daemon.status().at("census").at("as_of_boottime_ns");
  const uint64_t watched_ns = (wants_all() ? 90 : 12) * uint64_t{1'000'000'000};
  json document;
  ASSERT_TRUE(await(
      "they have been watched",
      [&] {
        document = all_findings(daemon);
        return document.at("as_of_boottime_ns").get<uint64_t>() >= begin + watched_ns;
      },
      kPatienceForAll));
  size_t alarms = 0;
  for (const auto& program : programs) {
    for (const json& finding : findings_of(document, *program)) {
      const bool quiet = finding.at("severity") == "info";
      alarms += !quiet;
      EXPECT_TRUE(quiet) << program->name() << ": " << finding.dump(1);
    }
    if (program->entry().at("expect") == "overdue") {
      EXPECT_TRUE(is_marked(daemon, *program)) << program->name();
    }
  }
  printf("%zu healthy twins, %zu false alarms\n", programs.size(), alarms);
}

}  // namespace
}  // namespace loiter::test
