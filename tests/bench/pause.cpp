// The longest pause of a process while somebody looks inside it: a thread of it spins on the clock and keeps
// its largest gap. Rounds in which the daemon looks at it, against rounds in which the same daemon looks at
// its twin just as busily: all that differs is who is looked at.
//
// The spinning thread has one CPU, and everything else another: the daemon with its helpers, the bench, and
// the target's other threads. It is a real-time thread, too. So what is compared is what the look does to the
// target, not what programs do to each other on one CPU.
#include <poll.h>
#include <sched.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <random>
#include <stdexcept>

#include "daemon/base/clock.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/daemon.h"

namespace loiter::bench {
namespace {

constexpr uint64_t kRoundNs = 300'000'000;
constexpr size_t kFewestRounds = 20;  // of each kind
constexpr size_t kMostRounds = 60;
constexpr size_t kPeerRounds = 7;
constexpr double kMostIdleGap = 5e6;  // ns: whoever is held up so by others anyway shows nothing of a look

// Keeps this thread, and what it starts, off the CPU where the target spins.
class OffCpu {
 public:
  explicit OffCpu(int cpu) {
    sched_getaffinity(0, sizeof(before_), &before_);
    cpu_set_t rest = before_;
    CPU_CLR(cpu, &rest);
    if (CPU_COUNT(&rest) == 0) throw std::runtime_error("needs two CPUs");
    sched_setaffinity(0, sizeof(rest), &rest);
  }
  ~OffCpu() { sched_setaffinity(0, sizeof(before_), &before_); }
  OffCpu(const OffCpu&) = delete;
  OffCpu& operator=(const OffCpu&) = delete;

 private:
  cpu_set_t before_{};
};

int last_cpu() {
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof(allowed), &allowed);
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) last = cpu;
  return last;
}

// The twin's own thread is never asked to spin.
class Rounds {
 public:
  explicit Rounds(int cpu)
      : off_(cpu), target_("spinning", std::to_string(cpu)), twin_("spinning", std::to_string(cpu)) {
    looks_of(target_.pid(), monotonic_now_ns() + kRoundNs);  // the tables are made before anything counts
    looks_of(twin_.pid(), monotonic_now_ns() + kRoundNs);
  }

  // In either order, so that a drift of the machine falls on both alike.
  void run_pair() {
    const bool first = random_() % 2;
    for (const bool at_it : {first, !first}) {
      throw_if_interrupted();
      target_.begin_spinning();
      const size_t looks = looks_of(at_it ? target_.pid() : twin_.pid(), monotonic_now_ns() + kRoundNs);
      (at_it ? looked_ : idle_).push_back(static_cast<double>(target_.largest_gap_ns()));
      if (at_it) looks_ += looks;
    }
  }

  double gap_beside(std::vector<std::string> command) {
    throw_if_interrupted();
    for (std::string& word : command)
      if (word == "PID") word = std::to_string(target_.pid());
    target_.begin_spinning();
    const uint64_t end = monotonic_now_ns() + kRoundNs;
    do {
      if (test::run(command).status.signal) throw std::runtime_error(command.front() + " was killed");
    } while (monotonic_now_ns() < end);
    return static_cast<double>(target_.largest_gap_ns());
  }

  const std::vector<double>& looked() const { return looked_; }
  const std::vector<double>& idle() const { return idle_; }
  double looks_a_round() const { return static_cast<double>(looks_) / static_cast<double>(looked_.size()); }

 private:
  // Stacks, then waits with their holders, again and again until `end`.
  size_t looks_of(pid_t pid, uint64_t end) {
    const std::string process = "/v1/processes/" + std::to_string(pid);
    size_t looks = 0;
    for (; monotonic_now_ns() < end; ++looks)
      for (const std::string& target : {process + "/stacks", process})
        if (daemon_.request(target).status != 200) throw std::runtime_error(target + " was refused");
    return looks;
  }

  OffCpu off_;  // before whatever is started
  Workload target_, twin_;
  test::Daemon daemon_;
  std::mt19937 random_{1};
  std::vector<double> looked_, idle_;
  size_t looks_ = 0;
};

std::string spread_text(const std::vector<double>& gaps) {
  return fmt::format("{} [{} .. {}]", duration_text(test::median(gaps)),
                     duration_text(test::quantile(gaps, 0.1)), duration_text(test::quantile(gaps, 0.9)));
}

std::string chance_text(double chance) {
  return chance < 0.001 ? "p < 0.001" : fmt::format("p = {:.3f}", chance);
}

}  // namespace

void measure_pause(Report& report, const Settings& settings) {
  report.section(
      "the target's longest pause in 0.3 s, its thread on a CPU of its own (median, 10 % .. 90 %)");
  Rounds rounds(last_cpu());
  const size_t fewest = settings.quick ? 6 : kFewestRounds;
  Verdict verdict = Verdict::undecided;
  double chance = 0;
  while (rounds.idle().size() < kMostRounds && verdict == Verdict::undecided) {
    rounds.run_pair();
    if (rounds.idle().size() < fewest) continue;
    chance = test::chance_of_ranks(rounds.looked(), rounds.idle());
    if (chance > 0.05) verdict = Verdict::met;
    if (chance < 0.001) verdict = Verdict::missed;
  }
  if (test::median(rounds.idle()) > kMostIdleGap) verdict = Verdict::undecided;
  report.figure("the daemon looks at its twin", spread_text(rounds.idle()));
  report.goal("the daemon looks at it", spread_text(rounds.looked()), "p > 0.05", verdict);
  report.figure("  such gaps from the same distribution", chance_text(chance));
  report.figure("  rounds of each, looks a round",
                fmt::format("{}, {:.0f}", rounds.idle().size(), rounds.looks_a_round()));
  const std::vector<std::pair<const char*, std::vector<std::string>>> peers{
      {"gdb -batch, thread apply all bt",
       {"/usr/bin/gdb", "-batch", "-p", "PID", "-ex", "thread apply all bt"}},
      {"eu-stack", {"/usr/bin/eu-stack", "-p", "PID"}},
      {"eu-stack -q", {"/usr/bin/eu-stack", "-q", "-p", "PID"}}};
  for (const auto& [name, command] : peers) {
    std::vector<double> gaps;
    for (size_t i = 0; i < (settings.quick ? 2 : kPeerRounds); ++i)
      gaps.push_back(rounds.gap_beside(command));
    report.figure(name, spread_text(gaps) + ", " + chance_text(test::chance_of_ranks(gaps, rounds.idle())));
  }
}

}  // namespace loiter::bench
