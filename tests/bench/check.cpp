// What `loiter check` costs a command that runs for ten seconds: the same work under it and alone, in turns,
// by the clock: from the start of the process that was called to its end, so that all is in it that a user
// waits for. A cycle is alone, under it, under it, alone, and a drift of the machine falls on both alike.
//
// The command counts, calls the kernel and makes a thread a thousand times a second or so.
#include <spdlog/fmt/fmt.h>

#include <stdexcept>

#include "daemon/base/clock.h"
#include "tests/bench/sections.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"

namespace loiter::bench {
namespace {

using Words = std::vector<std::string>;

constexpr uint64_t kRunNs = 10'000'000'000;
constexpr size_t kFewestCycles = test::kFewestForInterval;
constexpr std::chrono::milliseconds kMostOfARun{120'000};

struct Run {
  double wall = 0, cpu = 0;  // seconds; cpu: of the command alone, as it says itself
};

Run run_of(const Words& command, const test::SpawnOptions& options = {}) {
  throw_if_interrupted();
  const uint64_t begin = monotonic_now_ns();
  const test::RunResult result = test::run(command, options, kMostOfARun);
  if (result.status.code != 0) throw std::runtime_error(command[0] + " failed: " + result.err);
  Run run{static_cast<double>(monotonic_now_ns() - begin) / 1e9, 0};
  if (!result.out.empty()) run.cpu = std::stod(result.out) / 1e9;
  return run;
}

Words work(int rounds) {
  return {test::workload_path("checked"), "work", std::to_string(rounds)};
}

Words under_check(const Words& options, const Words& command) {
  Words words{test::loiter_path(), "check"};
  words.insert(words.end(), options.begin(), options.end());
  words.emplace_back("--");
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

int rounds_of(uint64_t ns) {
  constexpr int kTrial = 500;
  const double trial = run_of(work(kTrial)).cpu;  // by the clock, a busy machine would make it short
  return std::max(1, static_cast<int>(kTrial * (static_cast<double>(ns) / 1e9) / trial));
}

// Under it against alone, a quotient for each cycle; of wall and of CPU time.
struct Figures {
  std::vector<double> wall, cpu, alone_wall, alone_cpu, privately;
  double command = 0;

  void add_cycle(const Words& command_words, const Words& checked, const Words& private_words,
                 const test::SpawnOptions& alone) {
    const Run before = run_of(command_words), first = run_of(checked), second = run_of(checked),
              after = run_of(command_words);
    wall.push_back((first.wall + second.wall) / (before.wall + after.wall));
    cpu.push_back((first.cpu + second.cpu) / (before.cpu + after.cpu));
    alone_wall.push_back(after.wall / before.wall);
    alone_cpu.push_back(after.cpu / before.cpu);
    privately.push_back(run_of(private_words, alone).wall / after.wall);
    command = after.wall;
  }

  static Verdict judge(const std::vector<double>& ratios) {
    constexpr double kBound = 1.02;
    return ratios.size() < kFewestCycles ? Verdict::undecided
                                         : test::judge_at_most(test::median_interval(ratios), kBound);
  }
  bool decided() const { return judge(wall) != Verdict::undecided && judge(cpu) != Verdict::undecided; }
};

double median_wall(const Words& command, const test::SpawnOptions& options) {
  std::vector<double> seconds;
  for (int i = 0; i < 9; ++i) seconds.push_back(run_of(command, options).wall);
  return test::median(seconds);
}

}  // namespace

void measure_check(Report& report, const Settings& settings) {
  report.section("a command of 10 s under loiter check, against the same alone, all of it");
  const Words command = work(rounds_of(settings.quick ? kRunNs / 5 : kRunNs));
  const test::Daemon daemon;
  const Words socket{"--socket", daemon.socket()};
  test::SpawnOptions alone;
  alone.empty_run_dir = true;
  Figures figures;
  for (size_t cycle = 0; cycle < (settings.quick ? 2 : 2 * kFewestCycles) && !figures.decided(); ++cycle)
    figures.add_cycle(command, under_check(socket, command), under_check({}, command), alone);
  report.goal("wall time, with a running daemon", percent_text(figures.wall), "<= +2 %",
              Figures::judge(figures.wall));
  report.figure("alone against alone", percent_text(figures.alone_wall));
  report.goal("CPU time of the command", percent_text(figures.cpu), "<= +2 %", Figures::judge(figures.cpu));
  report.figure("alone against alone", percent_text(figures.alone_cpu));
  report.figure("wall time with a private daemon, its start and end too", percent_text(figures.privately));
  report.figure("the command alone", fmt::format("{:.2f} s", figures.command));
  report.figure("/bin/true with a running, with a private daemon",
                duration_text(median_wall(under_check(socket, {"/bin/true"}), {}) * 1e9) + ", " +
                    duration_text(median_wall(under_check({}, {"/bin/true"}), alone) * 1e9));
}

}  // namespace loiter::bench
