// Healthy servers stay quiet: Debian's and our own, idle with a threshold of 2 s, then under a load that
// comes and goes, then idle again. One daemon watches them all, and another daemon beside them.
//
// LOITER_ALL=1: for minutes, and those that are large to fetch.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tests/lib/await.h"
#include "tests/lib/cgroup.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/servers.h"
#include "tests/lib/unpacked.h"

namespace loiter::test {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using std::chrono::steady_clock;

bool wants_all() {
  const char* all = getenv("LOITER_ALL");
  return all && *all == '1';
}

class Watch {
 public:
  explicit Watch(const Daemon& daemon) : daemon_(daemon) {}

  // Looks at all findings each second, for so long as the daemon's clock has it.
  void for_so_long(seconds length, const std::string& phase) {
    phase_ = phase;
    const uint64_t begin = look();
    printf("%s from %.0f s on\n", phase.c_str(), static_cast<double>(begin - first_ns_) / 1e9);
    const auto length_ns = static_cast<uint64_t>(std::chrono::nanoseconds(length).count());
    auto due = steady_clock::now() + seconds(1);
    const auto is_over = [&] {
      if (steady_clock::now() < due) return false;
      due = steady_clock::now() + seconds(1);
      return look() >= begin + length_ns;
    };
    EXPECT_TRUE(await(phase, is_over, length + kPatience));
  }

  // As of the last census.
  uint64_t look() {
    for (const auto& process : descendants_of(getpid())) ours_.insert(process);
    const json document = daemon_.get("/v1/findings?fresh=1&resolved=1");
    for (const json& finding : document.at("findings")) take(finding);
    const uint64_t as_of_ns = document.at("as_of_boottime_ns");
    if (first_ns_ == 0) first_ns_ = as_of_ns;
    return as_of_ns;
  }

  // The table of all findings; those of severity warning or above fail the test.
  void judge() const {
    printf("%zu processes watched, %zu findings\n", ours_.size(), told_.size());
    for (const auto& [id, told] : told_) {
      const json& finding = told.finding;
      printf("%-8s %-10s %-8s %-14s %-12s %s\n", told.severity.c_str(),
             finding.at("kind").get<std::string>().c_str(),
             finding.at("certainty").get<std::string>().c_str(),
             finding.at("process").at("comm").get<std::string>().c_str(), told.phase.c_str(),
             finding.at("summary").get<std::string>().c_str());
      EXPECT_EQ(told.severity, "info") << finding.dump(1);
    }
  }

 private:
  struct Told {
    json finding;
    std::string severity;  // the highest that it had
    std::string phase;     // when it was seen first
  };

  void take(const json& finding) {
    const json& process = finding.at("process");
    const pid_t pid = process.at("pid");
    const uint64_t ticks = process.at("start_boottime_ns").get<uint64_t>() / (1'000'000'000 / ticks_per_s_);
    const bool is_ours = ours_.contains({pid, ticks});
    if (!is_ours) return;
    auto [entry, added] = told_.try_emplace(finding.at("id"), Told{finding, finding.at("severity"), phase_});
    const std::string severity = finding.at("severity");
    if (entry->second.severity == "info" && severity != "info") entry->second = {finding, severity, phase_};
  }

  const Daemon& daemon_;
  const uint64_t ticks_per_s_ = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  std::set<std::pair<pid_t, uint64_t>> ours_;  // all that this test has started, by when they began
  std::string phase_ = "start";
  uint64_t first_ns_ = 0;             // of the first look
  std::map<std::string, Told> told_;  // by id
};

// Clients for all servers that take any, and their own benchmarks.
class Burst {
 public:
  explicit Burst(const Servers& servers) : benchmarks_(servers.start_benchmarks()) {
    for (const Server& server : servers.all()) {
      const bool rests = server.name.ends_with("stopped") || server.name.ends_with("frozen");
      if (rests || server.exchange.request.empty() || server.clients == 0) continue;
      loads_.emplace_back(server.name,
                          std::make_unique<Load>(*server.endpoint, server.exchange, server.clients));
    }
  }
  ~Burst() {
    for (const auto& [name, load] : loads_) {
      const uint64_t answers = load->stop();
      EXPECT_GT(answers, 0u) << name;
      printf("%s: %lu answers; ", name.c_str(), static_cast<unsigned long>(answers));
    }
    printf("\n");
    for (const auto& benchmark : benchmarks_) {
      const auto status = benchmark->wait();
      EXPECT_TRUE(status && status->code == 0) << benchmark->stdout_text() << benchmark->stderr_text();
    }
  }

 private:
  std::vector<std::unique_ptr<Subprocess>> benchmarks_;
  std::vector<std::pair<std::string, std::unique_ptr<Load>>> loads_;
};

TEST(Healthy, ServersStayQuietIdleAndUnderLoad) {
  if (!servers_are_there(wants_all())) GTEST_SKIP() << "scripts/fetch-servers has not been there";
  Daemon daemon({"--threshold", "2s"});  // first: it sees all of them come
  Daemon watched({"--threshold", "2s"});
  Watch watch(daemon);
  watch.look();
  Servers servers(wants_all());

  for (const char* name : {"memcached stopped", "pools stopped"}) servers.at(name).process->signal(SIGSTOP);
  std::vector<std::unique_ptr<Cgroup>> freezers;
  for (const auto version : {Cgroup::Version::v1, Cgroup::Version::v2}) {
    if (!Cgroup::is_there("freezer", version)) continue;
    freezers.push_back(std::make_unique<Cgroup>("freezer", version));
    const std::string name = version == Cgroup::Version::v1 ? "pools frozen" : "executor frozen";
    freezers.back()->take(servers.at(name).process->pid());
    freezers.back()->freeze();
  }
  EXPECT_FALSE(freezers.empty()) << "no freezer here";

  watch.for_so_long(seconds(wants_all() ? 150 : 45), "idle");
  for (int burst = 0; burst < (wants_all() ? 4 : 2); ++burst) {
    {
      const Burst load(servers);
      if (wants_all()) servers.open_pages(4);
      watch.for_so_long(seconds(wants_all() ? 10 : 3), "load");
      if (wants_all()) servers.close_pages();
    }
    watch.for_so_long(seconds(wants_all() ? 5 : 2), "between");
  }
  watch.for_so_long(seconds(wants_all() ? 60 : 5), "after");
  watch.judge();
}

}  // namespace
}  // namespace loiter::test
