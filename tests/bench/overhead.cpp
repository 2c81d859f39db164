// What the daemon costs others while it runs in its default mode: the same operations with a daemon and with
// none at all, in turns, until the figures are sure enough to be judged.
//
// A cycle is none, daemon, daemon, none, so that a drift of the machine falls on both alike. The same process
// does the operations throughout, pinned to one CPU. Its CPU time is what counts: the programs we attach run
// in it, while other processes of the host do not. What the daemon itself used meanwhile stands beside it.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "daemon/base/clock.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/await.h"
#include "tests/lib/daemon.h"

namespace loiter::bench {
namespace {

constexpr uint64_t kBatchNs = 5'000'000;
constexpr uint32_t kBatches = 50;  // with four workloads, half a cycle has two censuses of the daemon
constexpr size_t kFewestCycles = 8;

struct Operation {
  const char* workload;
  const char* name;
  double bound;
  const char* bound_text;
};
constexpr std::array kOperations{
    Operation{"ping_pong", "futex ping-pong", 1.01, "<= +1 %"},
    Operation{"futex_wake", "futex call that does not block", 1.01, "<= +1 %"},
    Operation{"getppid", "syscall loop (getppid)", 1.01, "<= +1 %"},
    Operation{"create_join", "thread create and join", 1.10, "<= +10 %"},
};

// One operation's workload and what was measured of it.
class Subject {
 public:
  Subject(const Operation& operation, int cpu)
      : operation_(operation), workload_(operation.workload, std::to_string(cpu)) {
    constexpr uint32_t kWarmUp = 1000;
    const uint64_t warm_up_ns = workload_.run_batches(kWarmUp, 3).back().cpu_ns;
    per_batch_ =
        static_cast<uint32_t>(std::max<uint64_t>(kWarmUp * kBatchNs / std::max<uint64_t>(warm_up_ns, 1), 1));
  }

  void measure_before() { before_.push_back(measure()); }
  void measure_after() { after_.push_back(measure()); }
  void measure_with(pid_t daemon) {
    const uint64_t daemon_before = cpu_ns_of(daemon), own_before = cpu_ns_of(workload_.pid());
    with_.push_back(measure());
    daemon_ns_ += cpu_ns_of(daemon) - daemon_before;
    own_ns_ += cpu_ns_of(workload_.pid()) - own_before;
  }

  Verdict verdict() const {
    if (after_.size() < kFewestCycles) return Verdict::undecided;
    return test::judge_at_most(test::median_interval(slowdowns()), operation_.bound);
  }

  void tell(Report& report) const {
    report.goal(operation_.name, percent_text(slowdowns()), operation_.bound_text, verdict());
    report.figure("none against none", percent_text(spread()));
    report.figure("an operation, none", duration_text(test::median(before_)));
    report.figure(
        "the daemon's CPU time, of the workload's",
        fmt::format("{:.2f} %", 100 * static_cast<double>(daemon_ns_) / static_cast<double>(own_ns_)));
  }

 private:
  // CPU time of one operation: the median of many short batches.
  double measure() {
    std::vector<double> ns;
    for (const Batch& batch : workload_.run_batches(per_batch_, kBatches))
      ns.push_back(static_cast<double>(batch.cpu_ns) / per_batch_);
    return test::median(ns);
  }

  // With a daemon against none, a quotient for each cycle.
  std::vector<double> slowdowns() const {
    std::vector<double> quotients;
    for (size_t i = 0; i < after_.size(); ++i)
      quotients.push_back((with_[2 * i] + with_[2 * i + 1]) / (before_[i] + after_[i]));
    return quotients;
  }

  // None against none: the beginning of each cycle against the end of the one before.
  std::vector<double> spread() const {
    return test::ratios({before_.begin() + 1, before_.end()}, {after_.begin(), after_.end() - 1});
  }

  Operation operation_;
  Workload workload_;
  uint32_t per_batch_ = 0;
  std::vector<double> before_, with_, after_;
  uint64_t daemon_ns_ = 0, own_ns_ = 0;  // CPU time of both while the daemon ran
};

using Subjects = std::vector<std::shared_ptr<Subject>>;

// What was attached a moment ago still costs: the ping-pong was 1.2 to 1.5 % slower in the daemon's first
// second, and not to be told from none after it. What counts is a daemon that runs.
void let_settle(const test::Daemon& daemon) {
  test::await("it has been up for two seconds",
              [&] { return daemon.get("/v1/status").at("census").at("passes") >= 4; });
}

void run_cycle(Subjects& subjects) {
  for (const auto& subject : subjects) subject->measure_before();
  {
    const test::Daemon daemon;
    let_settle(daemon);
    for (int half = 0; half < 2; ++half)
      for (const auto& subject : subjects) subject->measure_with(daemon.pid());
  }
  for (const auto& subject : subjects) subject->measure_after();
  // The census comes at its own pace: let it meet another of them next time.
  std::rotate(subjects.begin(), subjects.begin() + 1, subjects.end());
}

bool all_decided(const Subjects& subjects) {
  return std::none_of(subjects.begin(), subjects.end(),
                      [](const auto& subject) { return subject->verdict() == Verdict::undecided; });
}

}  // namespace

void measure_overhead(Report& report, const Settings& settings) {
  report.section("others, with the daemon against none (CPU time, pinned to one CPU)");
  const auto cpu = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) - 1;
  Subjects subjects;
  for (const Operation& operation : kOperations)
    subjects.push_back(std::make_shared<Subject>(operation, cpu));
  const Subjects in_order = subjects;
  const uint64_t end = monotonic_now_ns() + (settings.quick ? 50 : 300) * kSecondNs;
  size_t cycles = 0;
  do {
    throw_if_interrupted();
    run_cycle(subjects);
    ++cycles;
  } while (cycles < 2 || (!all_decided(subjects) && monotonic_now_ns() < end));
  report.figure("cycles of none, daemon, daemon, none", std::to_string(cycles));
  for (const auto& subject : in_order) subject->tell(report);
}

}  // namespace loiter::bench
