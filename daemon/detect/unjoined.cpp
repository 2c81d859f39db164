#include "daemon/detect/unjoined.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "daemon/base/duration.h"
#include "daemon/detect/phrases.h"

namespace loiter {
namespace {

constexpr size_t kGrowthWindows = 3;
constexpr size_t kMostRoutinesTold = 4;

using Members = std::vector<const UnjoinedMember*>;

uint64_t age_of(const UnjoinedMember& thread, uint64_t now_boot_ns) {
  return now_boot_ns - std::min(now_boot_ns, thread.since_boot_ns);
}

// In no list of threads that somebody is working through.
bool is_beyond_joins(const UnjoinedMember& thread, const UnjoinedProcess& told) {
  return told.joining == 0 || (told.joins_since_boot_ns && thread.task.start_boot_ns != 0 &&
                               thread.task.start_boot_ns > *told.joins_since_boot_ns);
}

bool grows(const Members& members, uint64_t now_boot_ns, const Thresholds& thresholds) {
  // Those that are too young to be told would leave a hole in the last window.
  const uint64_t window_ns = std::max({thresholds.leak_window_ns, thresholds.unjoined_ns, uint64_t{1}});
  std::array<bool, kGrowthWindows> came{};
  for (const UnjoinedMember* thread : members) {
    const uint64_t age = age_of(*thread, now_boot_ns) - thresholds.unjoined_ns;
    if (age / window_ns < kGrowthWindows) came[age / window_ns] = true;
  }
  return std::ranges::all_of(came, [](bool some) { return some; });
}

std::string text_of(const UnjoinedRoutine& routine) {
  if (!routine.callable.empty()) return routine.callable;
  if (!routine.frame.symbol.empty()) return routine.frame.symbol;
  if (routine.frame.module.empty() && routine.frame.offset == 0) return "?";
  return routine.frame.module + "+" + std::to_string(routine.frame.offset);
}

// "worker 12, reader 3", the most first.
std::string routines_text(const UnjoinedProcess& told, const Members& members) {
  std::vector<std::pair<size_t, uint32_t>> counts(told.routines.size());
  for (uint32_t i = 0; i < counts.size(); ++i) counts[i].second = i;
  for (const UnjoinedMember* thread : members) ++counts[thread->routine].first;
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (size_t i = 0; i < std::min(counts.size(), kMostRoutinesTold) && counts[i].first > 0; ++i)
    text += (i == 0 ? "" : ", ") + text_of(told.routines[counts[i].second]) + ' ' +
            std::to_string(counts[i].first);
  return text;
}

FindingThread thread_of(const ProcessView& process, const UnjoinedProcess& told,
                        const UnjoinedMember& member) {
  FindingThread made{.pid = process.key.tid,
                     .key = member.task,
                     .comm = std::string(process.comm.view()),
                     .state = TaskState::dead};
  const UnjoinedRoutine& routine = told.routines[member.routine];
  if (routine != UnjoinedRoutine()) made.routine = routine.frame;
  made.callable = routine.callable;
  return made;
}

std::optional<uint64_t> stack_bytes_of(const Members& members) {
  uint64_t sum = 0;
  for (const UnjoinedMember* thread : members) {
    if (!thread->stack_bytes) return std::nullopt;
    sum += *thread->stack_bytes;
  }
  return sum;
}

Finding finding_of(const ProcessView& process, const UnjoinedProcess& told, const Members& members,
                   uint64_t left_out) {
  const uint64_t count = members.size() + left_out;
  Finding finding{.id = finding_id(FindingKind::unjoined, process.key, {}),
                  .kind = FindingKind::unjoined,
                  .severity = Severity::warning,
                  .certainty = Certainty::proven,
                  .process = finding_process(process),
                  .count = count};
  finding.evidence = {{"unjoined", count},
                      {"start_routines", routines_text(told, members)},
                      {"known_by", std::string(told.by_probes ? "uprobes" : "lists of the C library")}};
  const std::optional<uint64_t> bytes = left_out ? std::nullopt : stack_bytes_of(members);
  if (bytes) finding.evidence.push_back({"stack_bytes", *bytes});
  finding.summary = std::string(process.comm.view()) + " (" + std::to_string(process.key.tid) +
                    "): " + counted(count, "thread", "threads") + " ended and nobody joined " +
                    (count == 1 ? "it" : "them");
  const std::string routines = routines_text(told, members);
  if (!routines.empty() && routines.front() != '?') finding.summary += " (" + routines + ")";
  finding.hint = "join each thread, or make it detached: until then its stack is not given back";
  return finding;
}

std::optional<Finding> overdue_finding(const HostCase& host, const ProcessView& process,
                                       const UnjoinedProcess& told) {
  // As of when it was told: since then somebody may have joined them.
  const uint64_t now = told.told_boot_ns;
  const Thresholds& thresholds = host.thresholds();
  Members members;
  for (const UnjoinedMember& thread : told.threads)
    if (age_of(thread, now) >= thresholds.unjoined_ns && is_beyond_joins(thread, told))
      members.push_back(&thread);
  if (members.empty()) return std::nullopt;
  std::stable_sort(members.begin(), members.end(), [](const UnjoinedMember* a, const UnjoinedMember* b) {
    return a->since_boot_ns < b->since_boot_ns;
  });
  Finding finding = finding_of(process, told, members, 0);
  const bool growing = grows(members, now, thresholds);
  if (members.size() < thresholds.unjoined_least && !growing) finding.severity = Severity::info;
  for (size_t i = 0; i < members.size(); ++i)
    if (i < kMostFindingThreads)
      finding.threads.push_back(thread_of(process, told, *members[i]));
    else
      add_member(finding, process.key.tid, members[i]->task);
  finding.since_boot_ns = members.front()->since_boot_ns;
  finding.evidence.push_back({"threshold_ns", thresholds.unjoined_ns});
  finding.evidence.push_back({"oldest_ns", age_of(*members.front(), now)});
  finding.evidence.push_back({"grows", std::string(growing ? "yes" : "no")});
  return finding;
}

}  // namespace

std::vector<Finding> find_unjoined(const HostCase& host, const UnjoinedBook& book) {
  std::vector<Finding> findings;
  for (const ProcessView& process : host.snapshot().processes) {
    const UnjoinedProcess* told = process.ended_boot_ns ? nullptr : book.find(process.key);
    if (!told) continue;
    if (std::optional<Finding> finding = overdue_finding(host, process, *told))
      findings.push_back(std::move(*finding));
  }
  return findings;
}

std::optional<Finding> all_unjoined(const ProcessView& process, const UnjoinedProcess& told) {
  if (told.threads.empty() && told.left_out == 0) return std::nullopt;
  Members members;
  for (const UnjoinedMember& thread : told.threads) members.push_back(&thread);
  return finding_of(process, told, members, told.left_out);
}

}  // namespace loiter
