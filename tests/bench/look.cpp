// What a look inside a process takes, answered as its user has it: the stacks of a thousand threads, against
// the tools that people use; and what twenty thousand wait for.
#include <stdexcept>

#include "daemon/base/clock.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"

namespace loiter::bench {
namespace {

constexpr int kDeepThreads = 1000;
constexpr double kStacksBound = 30e6;

template <typename Run>
double timed_ns(Run run) {
  const uint64_t begin = monotonic_now_ns();
  run();
  return static_cast<double>(monotonic_now_ns() - begin);
}

double get_ns(const test::Daemon& daemon, const std::string& target) {
  return timed_ns([&] {
    if (daemon.request(target).status != 200) throw std::runtime_error(target + " was refused");
  });
}

// By the clock, since what the others do goes on in the target and in children.
double peer_ns(const std::vector<std::string>& command) {
  return timed_ns([&] {
    const test::RunResult result = test::run(command);
    if (result.status.signal) throw std::runtime_error(command.front() + " was killed");
  });
}

struct Peer {
  const char* name;
  std::vector<std::string> command;
  double bound;
};

void measure_against_peers(Report& report, const Settings& settings) {
  report.section("stacks of 1000 blocked threads, eleven frames each (by the clock, the document included)");
  const Workload deep("deep", std::to_string(kDeepThreads));
  const test::Daemon daemon;
  const std::string pid = std::to_string(deep.pid());
  const std::string target = "/v1/processes/" + pid + "/stacks";
  report.figure("the first time, cold", duration_text(get_ns(daemon, target)));
  const std::vector<Peer> peers{{"gdb -batch, thread apply all bt",
                                 {"/usr/bin/gdb", "-batch", "-p", pid, "-ex", "thread apply all bt"},
                                 20},
                                {"eu-stack", {"/usr/bin/eu-stack", "-p", pid}, 20},
                                {"eu-stack -q", {"/usr/bin/eu-stack", "-q", "-p", pid}, 1}};
  std::vector<double> ours;
  std::vector<std::vector<double>> theirs(peers.size());
  const int rounds = settings.quick ? 2 : 7;
  for (int i = 0; i < rounds; ++i) {
    throw_if_interrupted();
    ours.push_back(get_ns(daemon, target));
    for (size_t k = 0; k < peers.size(); ++k) theirs[k].push_back(peer_ns(peers[k].command));
  }
  const test::Interval interval = test::median_interval(ours);
  report.goal("all of them, warm", duration_text(test::median(ours)), "<= 30 ms",
              test::judge_at_most(interval, kStacksBound));
  for (size_t k = 0; k < peers.size(); ++k) {
    const std::vector<double> ratios = test::ratios(theirs[k], ours);
    report.figure(peers[k].name, duration_text(test::median(theirs[k])));
    report.goal(std::string("  that / ours"), ratio_text(ratios),
                ">= " + std::to_string(static_cast<int>(peers[k].bound)),
                test::judge_at_least(test::median_interval(ratios), peers[k].bound));
  }
}

// CPU time that went into looks: of the inspector's thread and of its helpers, the daemon's only children.
double look_cpu_ns(const test::Daemon& daemon) {
  uint64_t ns = 0;
  for (const pid_t tid : test::threads_of(daemon.pid())) {
    const auto stat = test::thread_stat(daemon.pid(), tid);
    if (stat && stat->comm == "inspector") ns += test::thread_cpu_ns(daemon.pid(), tid).value_or(0);
  }
  for (const pid_t child : test::children_of(daemon.pid())) ns += cpu_ns_of(child);
  return static_cast<double>(ns);
}

// What a look at its waits costs, in censuses.
double look_in_censuses(const test::Daemon& daemon, pid_t pid) {
  const double before = look_cpu_ns(daemon);
  daemon.tree(pid);
  const double look = look_cpu_ns(daemon) - before;
  return look / daemon.status().at("census").at("read_ns").get<double>();
}

// On request only: the census itself reads no memory of any process.
void measure_waits(Report& report, const Settings& settings) {
  report.section("what 20,000 blocked threads of a process wait for, on request (CPU time)");
  const test::Daemon daemon;
  std::vector<double> first, again;
  const int rounds = settings.quick ? 2 : 7;
  daemon.tree(Workload("blocked", "1").pid());  // reads the files of the program and of libc
  for (int i = 0; i < rounds; ++i) {
    throw_if_interrupted();
    const Workload blocked("blocked", std::to_string(kThreads));
    first.push_back(look_in_censuses(daemon, blocked.pid()));
    again.push_back(look_in_censuses(daemon, blocked.pid()));
  }
  report.goal("where none of them ran since the look before / a census", ratio_text(again), "<= 1",
              test::judge_at_most(test::median_interval(again), 1));
  report.goal("where nothing was known of them / a census", ratio_text(first), "<= 1",
              test::judge_at_most(test::median_interval(first), 1));
}

}  // namespace

void measure_look(Report& report, const Settings& settings) {
  measure_against_peers(report, settings);
  measure_waits(report, settings);
}

}  // namespace loiter::bench
