#include "daemon/detect/exhaustion.h"

#include <algorithm>
#include <utility>

#include "daemon/base/duration.h"
#include "daemon/detect/phrases.h"

namespace loiter {
namespace {

constexpr double kMinuteNs = 60e9;
constexpr double kFarNs = 1e18;  // more is as good as never

LimitUse use_of_cgroup(const PidsLimit& pids, const ProcessView& process, const History& history) {
  const Growth* growth = history.of_cgroup(pids.cgroup);
  if (!growth)  // of cgroup v1, whose paths differ by controller
    if (const ProcessHistory* own = history.find(process.key)) growth = &own->total;
  return {"pids.max", "cgroup " + pids.cgroup, pids.current, pids.max, growth};
}

bool is_nearer(const LimitUse& a, const LimitUse& b) {
  return static_cast<double>(a.used) * static_cast<double>(b.max) >
         static_cast<double>(b.used) * static_cast<double>(a.max);
}

struct Danger {
  LimitUse use;
  std::optional<uint64_t> left_ns;
  double per_minute = 0;
  bool full = false;
};

// Whether the threads that count are on course for the limit.
std::optional<Danger> danger_of(const LimitUse& use, const History& history, const Thresholds& thresholds) {
  if (!use.growth || use.max == 0) return std::nullopt;
  const Growth& growth = *use.growth;
  Danger danger{.use = use, .left_ns = {}, .per_minute = growth.per_minute(), .full = use.used >= use.max};
  danger.left_ns = use.left_ns(danger.per_minute);
  const bool came_to_it = growth.now() >= growth.lowest() + history.rules().least;
  const bool grows = danger.per_minute > 0 || growth.jumped(history.rules().least);
  const bool on_course = danger.left_ns && *danger.left_ns <= thresholds.exhaustion_ns && came_to_it;
  const bool near = use.used >= use.max - use.max / 10 && grows && came_to_it;
  if (!on_course && !near && !(danger.full && came_to_it)) return std::nullopt;
  return danger;
}

// Of those that count, the one that has grown most.
const ProcessView* culprit_of(const LimitUse& use, const HostCase& host, const History& history,
                              const ProcessView& reader) {
  const ProcessView* found = &reader;
  uint64_t most = 0;
  for (const ProcessView& process : host.snapshot().processes) {
    if (process.ended_boot_ns) continue;
    if (use.name == "pids.max") {
      const std::string path = use.scope.substr(std::string("cgroup ").size());
      const bool within =
          process.cgroup == path || process.cgroup.starts_with(path + '/') || &process == &reader;
      if (!within) continue;
    }
    if (use.name == "RLIMIT_NPROC" && process.uid != reader.uid) continue;
    const ProcessHistory* own = history.find(process.key);
    const uint64_t grown = own ? own->total.now() - std::min(own->total.now(), own->total.lowest()) : 0;
    if (grown <= most) continue;
    most = grown;
    found = &process;
  }
  return found;
}

std::string summary_of(const Danger& danger, const ProcessView& process) {
  const LimitUse& use = danger.use;
  std::string text = use.scope + " has " + std::to_string(use.used) + " of at most " +
                     std::to_string(use.max) + " threads (" + use.name + ")";
  if (danger.full)
    text += ": no more can be made";
  else if (danger.left_ns)
    text += ", and reaches that in " + format_duration(*danger.left_ns) + " as things go";
  return text + "; process " + std::to_string(process.key.tid) + " (" + std::string(process.comm.view()) +
         ") has grown most, to " + counted(process.threads.size(), "thread", "threads");
}

// Those of the process that were made where it has grown most.
void add_new_threads(Finding& finding, const HostCase& host, const History& history,
                     const ProcessView& process) {
  const ProcessHistory* own = history.find(process.key);
  if (!own || own->cohorts.empty()) return;
  const auto grown = [](const CohortHistory& cohort) {
    return cohort.growth.now() - std::min(cohort.growth.now(), cohort.growth.lowest());
  };
  add_threads_of_site(finding, host, process, std::ranges::max_element(own->cohorts, {}, grown)->site);
}

Finding finding_of(const Danger& danger, const HostCase& host, const History& history,
                   const ProcessView& process) {
  const LimitUse& use = danger.use;
  const uint64_t horizon = host.thresholds().exhaustion_ns;
  const bool critical = danger.full || (danger.left_ns && *danger.left_ns < horizon / 10);
  Finding finding{.id = finding_id(FindingKind::exhaustion, {}, {}, use.name + ' ' + use.scope),
                  .kind = FindingKind::exhaustion,
                  .severity = critical ? Severity::critical : Severity::warning,
                  .certainty = Certainty::likely,
                  .process = finding_process(process),
                  .count = use.used};
  finding.evidence = {{"limit", use.name},
                      {"scope", use.scope},
                      {"used", use.used},
                      {"max", use.max},
                      {"threads_per_minute", danger.per_minute},
                      {"threshold_ns", horizon}};
  if (danger.left_ns) finding.evidence.push_back({"time_left_ns", *danger.left_ns});
  add_new_threads(finding, host, history, process);
  finding.summary = summary_of(danger, process);
  finding.hint = "see what makes these threads (loiter origins " + std::to_string(process.key.tid) +
                 ") and bound it by a pool; raise the limit only where so many are meant to be";
  return finding;
}

void add_host_limits(std::vector<LimitUse>& uses, const HostLimits& limits, const History& history) {
  const uint64_t used = limits.threads.value_or(history.of_host().now());
  if (limits.threads_max)
    uses.push_back({"threads-max", "the host", used, *limits.threads_max, &history.of_host()});
  if (limits.pid_max) uses.push_back({"pid_max", "the host", used, *limits.pid_max, &history.of_host()});
}

}  // namespace

std::optional<uint64_t> LimitUse::left_ns(double per_minute) const {
  if (!(per_minute > 0)) return std::nullopt;
  const uint64_t room = max - std::min(max, used);
  const double left = static_cast<double>(room) / per_minute * kMinuteNs;
  return left < kFarNs ? std::optional(static_cast<uint64_t>(left)) : std::nullopt;
}

std::vector<LimitUse> limits_of(const ProcessView& process, const KnownLimits& limits,
                                const History& history) {
  std::vector<LimitUse> uses;
  if (auto known = limits.processes.find(process.key.tid); known != limits.processes.end()) {
    for (const PidsLimit& pids : known->second.pids) uses.push_back(use_of_cgroup(pids, process, history));
    const Growth* user = history.of_user(process.uid);
    if (known->second.nproc && user)
      uses.push_back(
          {"RLIMIT_NPROC", "user " + std::to_string(process.uid), user->now(), *known->second.nproc, user});
  }
  add_host_limits(uses, limits.host, history);
  std::stable_sort(uses.begin(), uses.end(), is_nearer);
  return uses;
}

std::vector<Finding> find_exhaustion(const HostCase& host, const History& history,
                                     const KnownLimits& limits) {
  std::map<std::pair<std::string, std::string>, std::pair<Danger, const ProcessView*>> dangers;
  for (const auto& [pid, known] : limits.processes) {
    const ProcessView* process = host.snapshot().find(pid);
    if (!process || process->ended_boot_ns) continue;
    for (const LimitUse& use : limits_of(*process, limits, history)) {
      std::optional<Danger> danger = danger_of(use, history, host.thresholds());
      if (!danger) continue;
      // Of several RLIMIT_NPROC of one user the lowest is met first.
      auto [entry, added] = dangers.try_emplace({use.name, use.scope}, *danger, process);
      if (!added && use.max < entry->second.first.use.max) entry->second = {*danger, process};
    }
  }
  std::vector<Finding> findings;
  for (const auto& [scope, found] : dangers) {
    const auto& [danger, reader] = found;
    findings.push_back(finding_of(danger, host, history, *culprit_of(danger.use, host, history, *reader)));
  }
  return findings;
}

}  // namespace loiter
