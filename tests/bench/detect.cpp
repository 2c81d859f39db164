// What the detectors cost: all that is done with a snapshot after each census, and the graph of a host on
// which all threads wait for one another. Snapshots are made; no process is looked at.
#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/detect/deadlock.h"
#include "daemon/detect/exhaustion.h"
#include "daemon/detect/finding_book.h"
#include "daemon/detect/finding_marks.h"
#include "daemon/detect/leak.h"
#include "daemon/detect/orphan.h"
#include "daemon/detect/spin.h"
#include "daemon/detect/starved.h"
#include "daemon/detect/stuck.h"
#include "daemon/detect/unjoined.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/sections.h"

namespace loiter::bench {
namespace {

constexpr double kMostPassNs = 20e6;
constexpr double kMostGraphNs = 50e6;
constexpr uint32_t kProcesses = 100;
constexpr uint32_t kSites = 5;  // of each: 500 cohorts
constexpr uint32_t kThreadsOfSite = kThreads / (kProcesses * kSites);
constexpr uint32_t kRunning = 20;  // of the threads of each process, those that want a CPU

SiteStackPtr made_stack(uint32_t site) {
  auto stack = std::make_shared<SiteStack>();
  for (uint32_t i = 0; i < 12; ++i) {
    SiteFrame& frame = stack->frames.emplace_back();
    frame.symbol = "shop::Server::handle_request_" + std::to_string(site * 100 + i);
    frame.module = "/usr/bin/shop-server";
    frame.offset = site * 1000 + i;
  }
  return stack;
}

ThreadView made_thread(uint32_t tid, uint32_t site) {
  ThreadView thread;
  thread.key = {tid, tid};
  thread.site = site;
  thread.state = TaskState::sleeping;
  thread.blocked_ns = kSecondNs;
  thread.syscall = 202;
  thread.voluntary_switches = 10;
  std::snprintf(thread.name.bytes, sizeof(thread.name.bytes), "worker-%u", tid % 1000);
  return thread;
}

// A look at all blocked threads of a process: each waits so, with a stack.
std::shared_ptr<Inspection> made_look(const ProcessView& process, WaitKind kind) {
  auto look = std::make_shared<Inspection>();
  look->pid = process.key.tid;
  look->start_boot_ns = process.key.start_boot_ns;
  look->stacks.places.resize(8);
  for (CodePlace& place : look->stacks.places) place.lines.emplace_back().symbol = "shop::wait";
  look->stacks.stacks.emplace_back().places = {0, 1, 2, 3, 4, 5, 6, 7};
  for (const ThreadView& thread : process.threads) {
    if (!is_blocked(thread.state)) continue;
    InspectedThread& seen = look->threads.emplace_back();
    seen.record.id.tid = thread.key.tid;
    seen.record.id.start_boot_ns = thread.key.start_boot_ns;
    seen.record.voluntary_switches = thread.voluntary_switches;
    seen.blocked = true;
    seen.stack = 0;
    Wait& wait = seen.wait.emplace();
    wait.kind = kind;
    wait.object = "0x7f12a0" + std::to_string(thread.key.tid);
    wait.bounded = false;
  }
  return look;
}

// Goes on by a second from pass to pass: two threads of each process come, one goes, some run.
class Host {
 public:
  Host() {
    snapshot_.begin_mono_ns = snapshot_.begin_boot_ns = 1000 * kSecondNs;
    uint32_t tid = 100'000;
    for (uint32_t i = 0; i < kProcesses; ++i) {
      ProcessView& process = snapshot_.processes.emplace_back();
      process.key = {1000 + i, 1};
      process.cgroup = "/kubepods.slice/pod" + std::to_string(i / 4) + "/box" + std::to_string(i);
      process.uid = 1000 + i % 8;
      process.threads.push_back(made_thread(1000 + i, 0));
      ProcessOrigins origins;
      for (uint32_t site = 1; site <= kSites; ++site) {
        CreationSite& made = origins.sites.emplace_back();
        made.id = i * kSites + site;
        made.stack = made_stack(made.id);
        made.births = kThreadsOfSite;
        for (uint32_t k = 0; k < kThreadsOfSite; ++k) process.threads.push_back(made_thread(++tid, made.id));
      }
      origins.births = kSites * kThreadsOfSite;
      process.origins = std::make_shared<ProcessOrigins>(std::move(origins));
      for (uint32_t k = 1; k <= kRunning; ++k) {
        process.threads[k].state = k % 2 ? TaskState::running : TaskState::runnable;
        process.threads[k].blocked_ns.reset();
      }
      limits_.processes[process.key.tid] = {
          .pids = {{process.cgroup, 200, 4096}}, .nproc = 30'000, .cpu = {}};
    }
    limits_.host = {.threads = kThreads, .threads_max = 120'000, .pid_max = 4'194'304};
    last_tid_ = tid;
  }

  void go_on() {
    snapshot_.begin_mono_ns += kSecondNs;
    snapshot_.begin_boot_ns += kSecondNs;
    snapshot_.thread_count = 0;
    for (ProcessView& process : snapshot_.processes) {
      auto origins = std::make_shared<ProcessOrigins>(*process.origins);
      CreationSite& growing = origins->sites.back();
      for (int i = 0; i < 2; ++i) process.threads.push_back(made_thread(++last_tid_, growing.id));
      process.threads.erase(process.threads.end() - 3);
      growing.births += 2;
      origins->births += 2;
      ++growing.ended;
      ++origins->ends;
      process.origins = origins;
      for (ThreadView& thread : process.threads) {
        if (thread.blocked_ns) *thread.blocked_ns += kSecondNs;
        if (thread.state == TaskState::running) thread.cpu_ns += kSecondNs;
      }
      snapshot_.thread_count += process.threads.size();
    }
  }

  // What is known of waits lasts as long as their sleep: looked at once.
  void look() {
    std::map<uint32_t, InspectionPtr> looks;
    for (const ProcessView& process : snapshot_.processes)
      looks[process.key.tid] = made_look(process, WaitKind::condvar);
    waits_.take(looks, {});
  }

  const Snapshot& snapshot() const { return snapshot_; }
  const Waits& waits() const { return waits_; }
  const KnownLimits& limits() const { return limits_; }

 private:
  Snapshot snapshot_;
  Waits waits_;
  KnownLimits limits_;
  uint32_t last_tid_ = 0;
};

size_t judge(const Host& host, History& history, const UnjoinedBook& unjoined, const Thresholds& thresholds) {
  history.add(host.snapshot());
  const HostCase made(host.snapshot(), host.waits(), thresholds);
  size_t found = find_deadlocks(made).size() + find_orphans(made).size() + find_stuck(made).size();
  found += find_leaks(made, history, host.limits()).size();
  found += find_exhaustion(made, history, host.limits()).size();
  found += find_starved(made, history, host.limits()).size();
  found += find_spinning(made, history).size();
  found += find_unjoined(made, unjoined).size();
  return found + history.growing(host.snapshot()).size() + find_starving(made, history).size();
}

void measure_passes(Report& report, bool looked_at, int passes) {
  Thresholds thresholds = Thresholds::of(30 * kSecondNs);
  // Windows end often, all at once, and cohorts leak: the worst there is to be done.
  thresholds.leak_window_ns = 5 * kSecondNs;
  Host host;
  if (looked_at) host.look();
  History history(thresholds, kSecondNs);
  const UnjoinedBook unjoined;
  std::vector<double> ns;
  size_t found = 0;
  for (int pass = 0; pass < passes + 40; ++pass) {
    throw_if_interrupted();
    host.go_on();
    const uint64_t before = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    found = judge(host, history, unjoined, thresholds);
    // Not before there is something to be found.
    if (pass >= 40) ns.push_back(static_cast<double>(cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before));
  }
  const test::Interval interval = test::median_interval(ns);
  const std::string what = looked_at ? "history and detectors, all waits known" : "history and detectors";
  report.goal(what + ", CPU a pass",
              duration_text(test::median(ns)) + " [" + duration_text(interval.low) + " .. " +
                  duration_text(interval.high) + "]",
              "< 20 ms", test::judge_at_most(interval, kMostPassNs));
  report.figure("nine in ten passes within", duration_text(test::quantile(ns, 0.9)));
  report.figure("findings", std::to_string(found));
}

// Each waits for the next one, the last one in a read.
void measure_chain(Report& report, int rounds) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->begin_mono_ns = snapshot->begin_boot_ns = 1000 * kSecondNs;
  ProcessView& process = snapshot->processes.emplace_back();
  process.key = {1000, 1};
  for (uint32_t i = 0; i <= kThreads; ++i) {
    process.threads.push_back(made_thread(1000 + i, 0));
    process.threads.back().blocked_ns = 60 * kSecondNs;
  }
  const auto look = made_look(process, WaitKind::lock);
  std::vector<WaitEdge> edges;
  for (uint32_t i = 0; i < kThreads; ++i) {
    WaitEdge& edge = edges.emplace_back();
    edge.pid = edge.to_pid = 1000;
    edge.tid = 1000 + i;
    edge.to_tid = 1001 + i;
    edge.via = "lock";
  }
  look->threads.back().wait->kind = WaitKind::read;
  Waits waits;
  waits.take({{1000, look}}, edges);
  const Thresholds thresholds;
  std::vector<double> graph_ns, all_ns, mark_ns, find_ns;
  size_t member_bytes = 0, mark_bytes = 0;
  for (int i = 0; i < rounds; ++i) {
    throw_if_interrupted();
    const uint64_t begin = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    const HostCase host(*snapshot, waits, thresholds);
    const uint64_t built = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    const size_t deadlocks = find_deadlocks(host).size();
    std::vector<Finding> found = find_stuck(host);
    const uint64_t end = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (deadlocks != 0 || found.size() != 1) throw std::runtime_error("the chain is not one finding");
    member_bytes = found[0].members.capacity() * sizeof(FindingMember);
    FindingBook book;
    book.update(std::move(found), *snapshot);
    const uint64_t kept = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    const FindingMarks marks(book.live(), book, *snapshot);
    const uint64_t marked = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    size_t hits = 0;
    for (const ThreadView& thread : process.threads) hits += marks.of_thread(thread.key) != nullptr;
    find_ns.push_back(static_cast<double>(cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID) - marked));
    if (hits != process.threads.size()) throw std::runtime_error("not all of the chain are marked");
    mark_ns.push_back(static_cast<double>(marked - kept));
    mark_bytes = marks.bytes();
    graph_ns.push_back(static_cast<double>(built - begin));
    all_ns.push_back(static_cast<double>(end - begin));
  }
  const test::Interval interval = test::median_interval(all_ns);
  report.goal("a chain of 20,000 waiters, CPU",
              duration_text(test::median(all_ns)) + " [" + duration_text(interval.low) + " .. " +
                  duration_text(interval.high) + "]",
              "< 50 ms", test::judge_at_most(interval, kMostGraphNs));
  report.figure("the graph alone", duration_text(test::median(graph_ns)));
  report.figure("the marks of all of them, once a verdict", duration_text(test::median(mark_ns)));
  report.figure("their look-up, once a request", duration_text(test::median(find_ns)));
  report.figure("memory of members and marks",
                std::to_string(member_bytes / 1024) + " + " + std::to_string(mark_bytes / 1024) + " KB");
}

}  // namespace

void measure_detect(Report& report, const Settings& settings) {
  const int rounds = settings.quick ? 8 : 40;
  report.section("verdicts over 20,000 threads in 500 cohorts");
  measure_passes(report, false, rounds);
  measure_passes(report, true, rounds);
  measure_chain(report, rounds);
}

}  // namespace loiter::bench
