// A host of a few made processes whose threads come, go, rest, tick and work, census after census, and the
// history that was fed with it. No clock: time goes on by steps.
//
// Used by one thread.
#pragma once

#include <sys/syscall.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "daemon/detect/case.h"
#include "daemon/detect/history.h"
#include "tests/unit/pictures.h"
#include "tests/unit/units.h"

namespace loiter::test {

enum class Manner {
  rests,     // ran once, and never again
  ticks,     // wakes each second, does nothing to speak of
  serves,    // as seldom, but it waits for what somebody sends
  computes,  // as seldom, but each time for long
  hurries,   // by the clock, but often
  varies,    // seldom, but now more now less
  works,     // runs often, now more now less
  spins,     // never waits
  starves,   // could run, and never does
  squeezed,  // could run, and gets a thousandth
};

class MadeHost {
 public:
  explicit MadeHost(const Thresholds& thresholds = Thresholds::of(2 * kSecond), uint64_t interval = kSecond)
      : thresholds(thresholds), history(thresholds, interval), interval_(interval) {
    snapshot.begin_mono_ns = 1000 * kSecond;
    snapshot.begin_boot_ns = 5000 * kSecond;
  }

  struct Process {
    uint32_t pid = 0;
    std::string cgroup = "/app";
    uint32_t uid = 1000;
    std::vector<ThreadView> threads;
    std::vector<Manner> manners;
    ProcessOrigins origins;
  };

  Process& process(uint32_t pid) {
    auto [entry, added] = processes_.try_emplace(pid);
    if (added) {
      entry->second.pid = pid;
      add(pid, 0, Manner::rests);
    }
    return entry->second;
  }

  // A thread made at that site (0: not known), and its tid; the first one of a process leads it.
  uint32_t add(uint32_t pid, uint32_t site, Manner manner) {
    Process& of = processes_[pid];
    of.pid = pid;
    ThreadView thread = make_thread(of.threads.empty() ? pid : ++last_tid_, "t", 0);
    thread.key.start_boot_ns = snapshot.begin_boot_ns;
    thread.site = site;
    thread.syscall = SYS_futex;
    thread.voluntary_switches = 1;
    if (!of.threads.empty()) {
      ++of.origins.births;
      if (site) ++site_of(of, site).births;
      if (!site) ++of.origins.gaps[static_cast<size_t>(SiteGap::rate_limited)];
    }
    of.threads.push_back(thread);
    of.manners.push_back(manner);
    return thread.key.tid;
  }

  // The youngest ones of that site end.
  void end(uint32_t pid, uint32_t site, size_t count) {
    Process& of = processes_[pid];
    for (size_t i = of.threads.size(); i-- > 1 && count > 0;) {
      if (of.threads[i].site != site) continue;
      of.threads.erase(of.threads.begin() + static_cast<std::ptrdiff_t>(i));
      of.manners.erase(of.manners.begin() + static_cast<std::ptrdiff_t>(i));
      ++of.origins.ends;
      if (site) ++site_of(of, site).ended;
      --count;
    }
  }

  void set_manner(uint32_t pid, Manner manner) {
    for (Manner& each : processes_[pid].manners) each = manner;
  }
  void end_process(uint32_t pid) { processes_.erase(pid); }

  // So long later the next census, in which all have lived on.
  void step(uint64_t ns = kSecond) {
    snapshot.begin_mono_ns += ns;
    snapshot.begin_boot_ns += ns;
    ++snapshot.pass;
    snapshot.processes.clear();
    snapshot.thread_count = 0;
    for (auto& [pid, of] : processes_) {
      for (size_t i = 0; i < of.threads.size(); ++i) live_on(of.threads[i], of.manners[i], ns);
      ProcessView view = make_process(pid, "made", of.threads);
      view.key.start_boot_ns = of.threads.front().key.start_boot_ns;
      view.cgroup = of.cgroup;
      view.uid = of.uid;
      of.origins.live = of.threads.size() - 1;
      if (of.origins.births) view.origins = std::make_shared<ProcessOrigins>(of.origins);
      snapshot.thread_count += view.threads.size();
      snapshot.processes.push_back(std::move(view));
    }
    history.add(snapshot);
  }

  // So many seconds, a census in each; `each` first, with the number of the second.
  void run(size_t seconds, const std::function<void(size_t)>& each = {}) {
    for (size_t i = 0; i < seconds; ++i) {
      if (each) each(i);
      step(interval_);
    }
  }

  HostCase host() const { return {snapshot, waits, thresholds}; }
  const ProcessView& view(uint32_t pid) const { return *snapshot.find(pid); }

  Thresholds thresholds;
  Snapshot snapshot;
  Waits waits;
  History history;

 private:
  CreationSite& site_of(Process& of, uint32_t id) {
    for (CreationSite& site : of.origins.sites)
      if (site.id == id) return site;
    CreationSite made;
    made.id = id;
    auto stack = std::make_shared<SiteStack>();
    for (const auto& [symbol, module] :
         {std::pair<std::string, std::string>{"pthread_create", "/lib/libc.so.6"},
          {"make_" + std::to_string(id), "/bin/made"},
          {"main", "/bin/made"}}) {
      SiteFrame& frame = stack->frames.emplace_back();
      frame.symbol = symbol;
      frame.module = module;
      frame.offset = id;
    }
    made.stack = stack;
    auto at = of.origins.sites.begin();
    while (at != of.origins.sites.end() && at->id < id) ++at;
    return *of.origins.sites.insert(at, made);
  }

  void live_on(ThreadView& thread, Manner manner, uint64_t ns) {
    const auto sleep = [&](uint64_t blocked) {
      thread.state = TaskState::sleeping;
      thread.blocked_ns = blocked;
    };
    const auto want = [&](TaskState state) {
      thread.state = state;
      thread.blocked_ns.reset();
    };
    switch (manner) {
      case Manner::rests:
        sleep(thread.blocked_ns.value_or(0) + ns);
        break;
      case Manner::ticks:
      case Manner::serves:
      case Manner::computes:
        thread.voluntary_switches += std::max<uint64_t>(1, ns / kSecond);
        thread.cpu_ns += manner == Manner::computes ? ns / 10 : 30'000;
        thread.syscall = manner == Manner::serves ? SYS_read : SYS_clock_nanosleep;
        sleep(kSecond / 2);
        break;
      case Manner::hurries:
        thread.voluntary_switches += 20 * ns / kSecond;
        thread.cpu_ns += 600'000;
        thread.syscall = SYS_clock_nanosleep;
        sleep(kSecond / 40);
        break;
      case Manner::varies:
        thread.voluntary_switches += snapshot.begin_mono_ns / (8 * kSecond) % 2 ? 3 : 1;
        thread.cpu_ns += 30'000;
        thread.syscall = SYS_futex;
        sleep(kSecond / 4);
        break;
      case Manner::works: {
        const uint64_t jobs = 1 + random_() % 60;
        thread.voluntary_switches += jobs;
        thread.cpu_ns += jobs * 200'000;
        thread.syscall = SYS_futex;
        sleep(kSecond / 100);
        break;
      }
      case Manner::spins:
        want(TaskState::running);
        thread.cpu_ns += ns;
        ++thread.involuntary_switches;
        break;
      case Manner::starves:
        want(TaskState::runnable);
        break;
      case Manner::squeezed:
        want(TaskState::runnable);
        thread.cpu_ns += ns / 1000;
        ++thread.involuntary_switches;
        break;
    }
  }

  uint64_t interval_;
  std::map<uint32_t, Process> processes_;
  uint32_t last_tid_ = 100'000;
  std::mt19937_64 random_{7};
};

}  // namespace loiter::test
