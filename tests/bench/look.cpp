// What a look inside a process takes, answered as its user has it: the stacks of a thousand threads, against
// the tools that people use; and what twenty thousand wait for.
#include <stdexcept>

#include "daemon/base/clock.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/daemon.h"

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

// On request only: the census itself reads no memory of any process.
void measure_waits(Report& report, const Settings& settings) {
  report.section("what 20,000 blocked threads of a process wait for, on request (by the clock)");
  const Workload blocked("blocked", std::to_string(kThreads));
  const test::Daemon daemon;
  const std::string target = "/v1/processes/" + std::to_string(blocked.pid());
  std::vector<double> with, without, added;
  const int rounds = settings.quick ? 2 : 7;
  for (int i = 0; i < rounds; ++i) {
    throw_if_interrupted();
    with.push_back(get_ns(daemon, target));
    without.push_back(get_ns(daemon, target + "?waits=0"));
    const double census = static_cast<double>(daemon.status().at("census").at("read_ns"));
    added.push_back((with.back() - without.back()) / census);
  }
  report.figure("their tree with waits and holders", duration_text(test::median(with)));
  report.figure("their tree without", duration_text(test::median(without)));
  report.goal("what the waits add / a census", ratio_text(added), "<= 1",
              test::judge_at_most(test::median_interval(added), 1));
}

}  // namespace

void measure_look(Report& report, const Settings& settings) {
  measure_against_peers(report, settings);
  measure_waits(report, settings);
}

}  // namespace loiter::bench
