#include "daemon/detect/spin.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "daemon/base/duration.h"
#include "daemon/detect/phrases.h"

namespace loiter {
namespace {

constexpr uint64_t kShare = 10;  // of the time, a tenth: else it is not the thread that is busy

struct Spinner {
  const ThreadView* thread = nullptr;
  const ThreadRun* run = nullptr;
};

std::string cause_of(const ProcessView& process, const ThreadView& thread) {
  if (thread.key == process.key) return "main";
  const CreationSite* site = process.origins && thread.site ? process.origins->find(thread.site) : nullptr;
  std::string text = "thread";
  for (const SiteFrame& frame : site && site->stack ? site->stack->frames : std::vector<SiteFrame>())
    text += '\n' + frame.module + '+' + std::to_string(frame.offset);
  return text;
}

Finding finding_of(const HostCase& host, const ProcessView& process, const std::string& cause,
                   std::vector<Spinner> spinners) {
  std::stable_sort(spinners.begin(), spinners.end(),
                   [](const Spinner& a, const Spinner& b) { return a.run->busy_ns > b.run->busy_ns; });
  const Spinner& first = spinners.front();
  Finding finding{.id = finding_id(FindingKind::spin, process.key, {}, cause),
                  .kind = FindingKind::spin,
                  .severity = Severity::info,
                  .certainty = Certainty::possible,
                  .process = finding_process(process),
                  .count = spinners.size()};
  for (const Spinner& spinner : spinners) {
    if (finding.threads.size() < kMostFindingThreads)
      finding.threads.push_back(finding_thread(process, *spinner.thread));
    else
      add_member(finding, process.key.tid, spinner.thread->key);
  }
  finding.since_boot_ns = first.run->busy_since_boot_ns;
  finding.evidence = {{"threshold_ns", host.thresholds().spin_ns},
                      {"longest_ns", first.run->busy_ns},
                      {"ran_ns", first.run->busy_cpu_ns}};
  finding.summary =
      counted(spinners.size(), "thread", "threads") + " of process " + std::to_string(process.key.tid) +
      " (" + std::string(process.comm.view()) + ") keeps computing without ever waiting, " +
      (spinners.size() == 1 ? "" : "the longest ") + "since " + format_duration(first.run->busy_ns) +
      ": thread " + std::to_string(first.thread->key.tid) + " (" + std::string(first.thread->name.view()) +
      ")";
  finding.hint = "where that is not meant to be: see in which loop it is (a profiler such as perf top -t " +
                 std::to_string(first.thread->key.tid) +
                 "), and wait there for what it waits for instead of asking again";
  return finding;
}

}  // namespace

std::vector<Finding> find_spinning(const HostCase& host, const History& history) {
  const uint64_t threshold_ns = host.thresholds().spin_ns;
  std::vector<Finding> findings;
  if (history.runs().longest_busy_ns() < threshold_ns) return findings;
  for (const ProcessView& process : host.snapshot().processes) {
    if (process.ended_boot_ns || process.kernel) continue;
    std::map<std::string, std::vector<Spinner>> spinners;
    for (const ThreadView& thread : process.threads) {
      const ThreadRun* run = RunWatch::wants_cpu(thread) ? history.runs().find(thread.key) : nullptr;
      if (run && run->busy_ns >= threshold_ns && run->busy_cpu_ns >= run->busy_ns / kShare)
        spinners[cause_of(process, thread)].push_back({&thread, run});
    }
    for (auto& [cause, group] : spinners)
      findings.push_back(finding_of(host, process, cause, std::move(group)));
  }
  return findings;
}

}  // namespace loiter
