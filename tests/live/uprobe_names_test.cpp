// Uprobes by names in tracefs: each name goes with its probe, or with the next daemon where the first was
// killed; and what refuses them is told in one line.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <set>
#include <sstream>

#include "tests/lib/await.h"
#include "tests/lib/daemon.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

const std::vector<std::string> kByNames = {"--uprobe-way", "tracefs"};

SpawnOptions with(Tracefs tracefs) {
  return {.tracefs = tracefs};
}

// Those of one loiterd.
std::set<std::string> names_of(pid_t daemon) {
  const RunResult text = run({"/bin/cat", "/sys/kernel/tracing/uprobe_events"},
                             {.stdout_to_memory = true, .tracefs = Tracefs::mounted});
  EXPECT_EQ(text.status.code, 0) << text.err;
  std::set<std::string> names;
  std::istringstream lines(text.out);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("p:loiter_" + std::to_string(daemon) + "_"))
      names.insert(line.substr(2, line.find(' ') - 2));
  return names;
}

// A stream of a process' calls: has probes placed in it, as long as it lives.
class Attached {
 public:
  Attached(const Daemon& daemon, pid_t pid) : connection_(daemon.socket()) {
    connection_.request("/v1/events?pthreads=1&pid=" + std::to_string(pid));
    if (connection_.read_head().status != 200) throw std::runtime_error("no stream");
    while (true) {
      const auto line = connection_.read_line();
      if (!line) throw std::runtime_error("the stream says no more");
      const json event = json::parse(*line);
      if (event.at("type") != "probes") continue;
      EXPECT_TRUE(event.at("failed").empty()) << event;
      placed = event.at("placed").size();
      return;
    }
  }
  size_t placed = 0;

 private:
  HttpConnection connection_;
};

TEST(PthreadProbeNames, GoWithTheirProbes) {
  Daemon daemon(kByNames, with(Tracefs::mounted));
  Workload workload("pthread_calls"), other("pthread_calls");
  {
    Attached first(daemon, workload.pid());
    EXPECT_GT(first.placed, 0u);
    EXPECT_EQ(names_of(daemon.pid()).size(), first.placed);
    Attached second(daemon, other.pid());
    EXPECT_EQ(names_of(daemon.pid()).size(), first.placed + second.placed);
  }
  EXPECT_TRUE(await("the names to go", [&] { return names_of(daemon.pid()).empty(); }));
  const json uprobes = daemon.status().at("uprobes");
  EXPECT_EQ(uprobes.at("way"), "tracefs");
  EXPECT_EQ(uprobes.at("names_left"), 0);
}

TEST(PthreadProbeNames, GoWithTheDaemonThatEnds) {
  Workload workload("pthread_calls");
  Daemon daemon(kByNames, with(Tracefs::mounted));
  const pid_t pid = daemon.pid();
  Attached attached(daemon, workload.pid());
  EXPECT_FALSE(names_of(pid).empty());
  daemon.stop();
  EXPECT_EQ(names_of(pid), std::set<std::string>());
}

TEST(PthreadProbeNames, OfADaemonThatWasKilledAreRemovedByTheNextAndNoOthers) {
  Workload workload("pthread_calls"), other("pthread_calls");
  Daemon living(kByNames, with(Tracefs::mounted));
  Attached kept(living, other.pid());
  const std::set<std::string> names = names_of(living.pid());
  Daemon killed(kByNames, with(Tracefs::mounted));
  const pid_t pid = killed.pid();
  Attached attached(killed, workload.pid());
  killed.process().signal(SIGKILL);
  ASSERT_TRUE(killed.process().wait());
  EXPECT_EQ(names_of(pid).size(), attached.placed);
  workload.command("mix");  // its breakpoints went with the daemon, or are hit for nobody

  Daemon next({}, with(Tracefs::mounted));
  EXPECT_EQ(names_of(pid), std::set<std::string>()) << next.log();
  EXPECT_EQ(names_of(living.pid()), names);
}

// Asked for probes, it refuses in words, which the status counts.
void expect_refusal(const Daemon& daemon, const std::string& words) {
  Workload workload("pthread_calls");
  const HttpResponse response = daemon.request("/v1/events?pthreads=1&pid=" + std::to_string(workload.pid()));
  EXPECT_EQ(response.status, 503);
  const json error = json::parse(response.body).at("error");
  EXPECT_EQ(error.at("code"), "no_uprobes");
  const std::string message = error.at("message");
  EXPECT_NE(message.find(words), message.npos) << message;
  EXPECT_EQ(message.find('\n'), message.npos);
  const json uprobes = daemon.status().at("uprobes");
  EXPECT_EQ(uprobes.at("way"), nullptr);
  EXPECT_EQ(uprobes.at("failed"), 1);
  ASSERT_EQ(uprobes.at("failures").size(), 1u);
  EXPECT_EQ(uprobes.at("failures")[0].at("reason"), message);
  EXPECT_EQ(daemon.get("/v1/status?measure=1").at("uprobes").at("hit_failure"), message);
}

TEST(PthreadProbeNames, WithoutTracefsAreRefusedWithWhatToDo) {
  expect_refusal(Daemon(kByNames, with(Tracefs::hidden)), "mount -t tracefs tracefs /sys/kernel/tracing");
}

TEST(PthreadProbeNames, InAReadOnlyTracefsAreRefused) {
  expect_refusal(Daemon(kByNames, with(Tracefs::read_only)), "/sys/kernel/tracing is mounted read-only");
}

// scripts/vm-init runs it where the setting is as Debian's kernels come; where it is lower, nothing is
// refused.
TEST(PthreadProbeNames, AtDebiansOwnSettingAreRefusedWithWhatToDo) {
  int level = 0;
  std::ifstream("/proc/sys/kernel/perf_event_paranoid") >> level;
  Daemon daemon(kByNames, with(Tracefs::mounted));
  if (level <= 2) {
    EXPECT_EQ(daemon.get("/v1/status?measure=1").at("uprobes").at("hit_failure"), nullptr);
    return;
  }
  const pid_t pid = daemon.pid();
  expect_refusal(daemon, "sysctl kernel.perf_event_paranoid=2");
  EXPECT_EQ(names_of(pid), std::set<std::string>());
}

}  // namespace
}  // namespace loiter::test
