#include "daemon/detect/starved.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "daemon/base/duration.h"
#include "daemon/detect/phrases.h"

namespace loiter {
namespace {

constexpr uint64_t kLittle = 100;           // of the time it wanted: less than a hundredth
constexpr uint64_t kThrottledPeriods = 10;  // one in so many at least, for cpu.max to be what keeps it

struct Starved {
  const ProcessView* process = nullptr;
  const ThreadView* thread = nullptr;
  const ThreadRun* run = nullptr;
  bool never_ran = false;
  uint64_t age_ns() const { return never_ran ? run->starved_ns : run->wanted_ns; }
};

bool got_little(const ThreadRun& run, uint64_t threshold_ns) {
  return run.wanted_ns >= threshold_ns && run.busy_cpu_ns < run.wanted_ns / kLittle;
}

// All that have waited for a CPU for so long, whatever the reason.
template <typename Visit>
void for_each_candidate(const HostCase& host, const History& history, Visit visit) {
  const uint64_t threshold_ns = host.thresholds().starved_ns;
  const RunWatch& runs = history.runs();
  if (std::max(runs.longest_starved_ns(), runs.longest_busy_ns()) < threshold_ns) return;
  for (const ProcessView& process : host.snapshot().processes) {
    if (process.ended_boot_ns) continue;
    for (const ThreadView& thread : process.threads) {
      if (!RunWatch::wants_cpu(thread)) continue;
      const ThreadRun* run = runs.find(thread.key);
      if (!run) continue;
      const bool never_ran = run->starved_ns >= threshold_ns;
      if (never_ran || got_little(*run, threshold_ns)) visit(Starved{&process, &thread, run, never_ran});
    }
  }
}

const CpuThrottling* throttling_of(const ProcessView& process, const KnownLimits& limits) {
  auto known = limits.processes.find(process.key.tid);
  if (known == limits.processes.end() || !known->second.cpu) return nullptr;
  const CpuThrottling& cpu = *known->second.cpu;
  const bool often = cpu.throttled_periods > 0 && cpu.throttled_periods >= cpu.periods / kThrottledPeriods;
  return often ? &cpu : nullptr;
}

struct Group {
  const CpuThrottling* throttling = nullptr;
  std::vector<Starved> members;
};

// Who is on that CPU now; null: nobody that was seen.
const ThreadView* runner_on(const Snapshot& snapshot, uint32_t cpu) {
  for (const ProcessView& process : snapshot.processes)
    for (const ThreadView& thread : process.threads)
      if (thread.state == TaskState::running && thread.cpu == cpu) return &thread;
  return nullptr;
}

std::string summary_of(const Group& group) {
  const Starved& first = group.members.front();
  const size_t count = group.members.size();
  std::string text = group.throttling ? "cgroup " + group.throttling->cgroup + ": " : std::string();
  text += counted(count, "thread", "threads") + " of process " + std::to_string(first.process->key.tid) +
          " (" + std::string(first.process->comm.view()) + ")";
  if (std::ranges::any_of(group.members, [&](const Starved& it) { return it.process != first.process; }))
    text += " and others";
  text += count == 1 ? " has" : " have";
  text += first.never_ran ? " waited for a CPU without having run, " : " hardly been let run, ";
  text += (count == 1 ? "for " : "the longest for ") + format_duration(first.age_ns());
  if (group.throttling) text += ": its share of CPU time (cpu.max) is used up";
  return text;
}

void add_evidence(Finding& finding, const HostCase& host, const Group& group) {
  const Starved& first = group.members.front();
  finding.evidence = {{"threshold_ns", host.thresholds().starved_ns},
                      {"longest_ns", first.age_ns()},
                      {"ran_ns", first.never_ran ? uint64_t{0} : first.run->busy_cpu_ns},
                      {"cpu", uint64_t{first.thread->cpu}}};
  if (group.throttling) {
    finding.evidence.push_back({"throttled_cgroup", group.throttling->cgroup});
    finding.evidence.push_back({"nr_periods", group.throttling->periods});
    finding.evidence.push_back({"nr_throttled", group.throttling->throttled_periods});
    finding.evidence.push_back({"throttled_ns", group.throttling->throttled_ns});
    return;
  }
  if (const ThreadView* runner = runner_on(host.snapshot(), first.thread->cpu)) {
    finding.evidence.push_back({"runs_there_tid", uint64_t{runner->key.tid}});
    finding.evidence.push_back({"runs_there", std::string(runner->name.view())});
  }
}

std::string hint_of(const HostCase& host, const Group& group) {
  if (group.throttling)
    return "raise cpu.max of cgroup " + group.throttling->cgroup + ", or let fewer threads compute there";
  const uint32_t cpu = group.members.front().thread->cpu;
  std::string text = "see what holds CPU " + std::to_string(cpu);
  if (const ThreadView* runner = runner_on(host.snapshot(), cpu))
    text += " (thread " + std::to_string(runner->key.tid) + " now)";
  return text + ": a real-time task that does not sleep (chrt -p), a CPU set too small, or too much load";
}

Finding finding_of(const HostCase& host, Group group) {
  std::stable_sort(group.members.begin(), group.members.end(), [](const Starved& a, const Starved& b) {
    return std::pair(!a.never_ran, UINT64_MAX - a.age_ns()) <
           std::pair(!b.never_ran, UINT64_MAX - b.age_ns());
  });
  const Starved& first = group.members.front();
  Finding finding{.id = group.throttling ? finding_id(FindingKind::starved, {}, {}, group.throttling->cgroup)
                                         : finding_id(FindingKind::starved, first.process->key, {}),
                  .kind = FindingKind::starved,
                  .severity = Severity::warning,
                  .certainty = Certainty::likely,
                  .process = finding_process(*first.process),
                  .count = group.members.size()};
  for (const Starved& member : group.members) {
    if (finding.threads.size() < kMostFindingThreads)
      finding.threads.push_back(finding_thread(*member.process, *member.thread));
    else
      add_member(finding, member.process->key.tid, member.thread->key);
  }
  finding.since_boot_ns = first.never_ran ? first.run->starved_since_boot_ns : first.run->busy_since_boot_ns;
  add_evidence(finding, host, group);
  finding.summary = summary_of(group);
  finding.hint = hint_of(host, group);
  return finding;
}

}  // namespace

std::vector<TaskKey> find_starving(const HostCase& host, const History& history, size_t most) {
  std::vector<TaskKey> found;
  std::set<uint32_t> told;
  for_each_candidate(host, history, [&](const Starved& starved) {
    if (found.size() < most && told.insert(starved.process->key.tid).second)
      found.push_back(starved.process->key);
  });
  return found;
}

std::vector<Finding> find_starved(const HostCase& host, const History& history, const KnownLimits& limits) {
  std::map<std::pair<std::string, uint32_t>, Group> groups;  // by throttled cgroup, or by pid
  for_each_candidate(host, history, [&](const Starved& starved) {
    const CpuThrottling* throttling = throttling_of(*starved.process, limits);
    if (!throttling && !starved.never_ran) return;
    Group& group = throttling ? groups[{throttling->cgroup, 0}] : groups[{"", starved.process->key.tid}];
    group.throttling = throttling;
    group.members.push_back(starved);
  });
  std::vector<Finding> findings;
  findings.reserve(groups.size());
  for (auto& [key, group] : groups) findings.push_back(finding_of(host, std::move(group)));
  return findings;
}

}  // namespace loiter
