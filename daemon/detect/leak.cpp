#include "daemon/detect/leak.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "daemon/base/duration.h"
#include "daemon/detect/cohort.h"
#include "daemon/detect/phrases.h"
#include "daemon/model/syscalls.h"

namespace loiter {
namespace {

constexpr size_t kMostFramesTold = 8;

struct LeakingCohort {
  const ProcessView* process = nullptr;
  const CohortHistory* cohort = nullptr;
  const CreationSite* site = nullptr;  // null: not known
  uint64_t without_site = 0;           // live threads that may be its own
  const Cohort* alike = nullptr;       // most of them; null: none is alike
};

uint64_t signed_gain(uint64_t before, uint64_t after) {
  return after > before ? after - before : 0;
}

// Innermost first.
std::string names_of(const std::vector<SiteFrame>& frames) {
  std::string text;
  for (const SiteFrame& frame : std::span(frames).first(std::min(frames.size(), kMostFramesTold))) {
    if (!text.empty()) text += " < ";
    text += frame.symbol.empty() ? (frame.module.empty() ? "?" : frame.module) : frame.symbol;
  }
  return text;
}

// The way to where the threads are made.
std::string frames_of(const CreationSite& site) {
  return site.stack ? names_of(site.stack->frames) : std::string();
}

// Where those of a cohort wait, as well as that is known.
std::string doing_of(const Cohort& cohort) {
  if (cohort.looked_at) return names_of(cohort.stack);
  if (cohort.syscall >= 0) return syscall_name(cohort.syscall, cohort.threads.front()->compat) + "()";
  return to_string(cohort.state);
}

// The same after a restart of the daemon, and of no two sites of a process.
std::string cause_of(const CreationSite* site) {
  if (!site) return "without site";
  std::string text;
  for (const SiteFrame& frame : site->stack ? site->stack->frames : std::vector<SiteFrame>())
    text += frame.module + '+' + std::to_string(frame.offset) + ' ' + frame.symbol + '\n';
  return text;
}

// The innermost frame that has a name and is not of the thread library, which all have in common.
std::string place_of(const CreationSite* site) {
  if (!site || !site->stack) return "";
  const std::vector<SiteFrame>& frames = site->stack->frames;
  if (frames.empty()) return "";
  const std::string& library = frames.front().module;
  for (const SiteFrame& frame : frames)
    if (!frame.symbol.empty() && frame.module != library) return frame.symbol;
  for (const SiteFrame& frame : frames)
    if (!frame.symbol.empty()) return frame.symbol;
  return "";
}

// Why threads lack their site, the commonest reason.
std::string reason_of(const ProcessView& process) {
  if (!process.origins) return "";
  const auto& gaps = process.origins->gaps;
  const auto most = std::max_element(gaps.begin(), gaps.end());
  return *most ? explanation_of(static_cast<SiteGap>(most - gaps.begin())) : "";
}

std::string summary_of(const LeakingCohort& leak) {
  const Growth& growth = leak.cohort->growth;
  const std::string place = place_of(leak.site);
  std::string text = "process " + std::to_string(leak.process->key.tid) + " (" +
                     std::string(leak.process->comm.view()) + ") has " +
                     counted(growth.now() + leak.without_site, "thread", "threads");
  text += leak.site ? " made in " + (place.empty() ? std::string("one place") : place)
                    : std::string(" whose creation was not seen");
  text += ": " + std::to_string(growth.last().least - growth.first().least) + " more in " +
          format_duration(growth.last().end_mono_ns - growth.first().end_mono_ns) +
          ", and they do not come back";
  if (growth.leak() == Growth::Leak::working) text += "; they work, so it may be load that grows";
  return text;
}

std::string hint_of(const LeakingCohort& leak) {
  const std::string pid = std::to_string(leak.process->key.tid);
  if (leak.cohort->growth.leak() == Growth::Leak::working)
    return "if the load does not grow with them, see what they wait for (loiter origins " + pid +
           ", loiter stacks " + pid + "); bound the pool";
  const Cohort* alike = leak.alike;
  const bool tells = alike && alike->count() > 1 && is_blocked(alike->state);
  return (tells ? std::to_string(alike->count()) + " of them wait in " + doing_of(*alike) + ": " : "") +
         "see why they do not end: loiter stacks " + pid +
         "; end each with what it was made for, give its waits a timeout, or take them from a pool that is "
         "made once and shut down";
}

void add_limit(Finding& finding, const LeakingCohort& leak, const History& history,
               const KnownLimits& limits) {
  const double rate = leak.cohort->growth.leak_per_minute();
  const LimitUse* soonest = nullptr;
  const std::vector<LimitUse> uses = limits_of(*leak.process, limits, history);
  for (const LimitUse& use : uses)
    if (use.left_ns(rate) && (!soonest || *use.left_ns(rate) < *soonest->left_ns(rate))) soonest = &use;
  if (!soonest) return;
  finding.evidence.push_back({"limit", soonest->name});
  finding.evidence.push_back({"limit_scope", soonest->scope});
  finding.evidence.push_back({"limit_max", soonest->max});
  finding.evidence.push_back({"time_left_ns", *soonest->left_ns(rate)});
  finding.summary += "; " + soonest->name + " is reached in " + format_duration(*soonest->left_ns(rate));
}

Finding finding_of(const LeakingCohort& leak, const HostCase& host, const History& history,
                   const KnownLimits& limits) {
  const Growth& growth = leak.cohort->growth;
  const bool works = growth.leak() == Growth::Leak::working;
  Finding finding{.id = finding_id(FindingKind::leak, leak.process->key, {}, cause_of(leak.site)),
                  .kind = FindingKind::leak,
                  .severity = works ? Severity::info : Severity::warning,
                  .certainty = works ? Certainty::possible : Certainty::likely,
                  .process = finding_process(*leak.process),
                  .count = growth.now() + leak.without_site};
  add_threads_of_site(finding, host, *leak.process, leak.cohort->site);
  finding.since_boot_ns = growth.first().end_boot_ns;
  finding.evidence = {{"windows", uint64_t{growth.leak_windows()}},
                      {"window_ns", history.rules().window_ns},
                      {"first_least", growth.first().least},
                      {"last_least", growth.last().least},
                      {"live", growth.now()},
                      {"births", signed_gain(growth.first().births, growth.last().births)},
                      {"ends", signed_gain(growth.first().ends, growth.last().ends)},
                      {"resting", growth.last().resting},
                      {"threads_per_minute", growth.leak_per_minute()}};
  if (leak.alike) {
    finding.evidence.push_back({"alike", uint64_t{leak.alike->count()}});
    finding.evidence.push_back({"alike_in", doing_of(*leak.alike)});
  }
  if (leak.site) finding.evidence.push_back({"created_in", frames_of(*leak.site)});
  if (leak.without_site) finding.evidence.push_back({"live_without_site", leak.without_site});
  if (!leak.site || leak.without_site)
    finding.evidence.push_back({"without_site_reason", reason_of(*leak.process)});
  finding.summary = summary_of(leak);
  finding.hint = hint_of(leak);
  add_limit(finding, leak, history, limits);
  return finding;
}

// Those with a site; the one without one with the greatest of them, or for itself.
std::vector<LeakingCohort> leaks_of(const ProcessView& process, const ProcessHistory& history) {
  std::vector<LeakingCohort> leaks;
  const CohortHistory* unknown = nullptr;
  for (const CohortHistory& cohort : history.cohorts) {
    if (cohort.growth.leak() == Growth::Leak::none) continue;
    if (cohort.site == 0) {
      unknown = &cohort;
      continue;
    }
    const CreationSite* site = process.origins ? process.origins->find(cohort.site) : nullptr;
    if (site) leaks.push_back({.process = &process, .cohort = &cohort, .site = site});
  }
  if (!unknown) return leaks;
  if (leaks.empty()) {
    if (history.total.leak() != Growth::Leak::none) leaks.push_back({.process = &process, .cohort = unknown});
    return leaks;
  }
  const auto grown = [](const LeakingCohort& leak) {
    return leak.cohort->growth.last().least - leak.cohort->growth.first().least;
  };
  std::ranges::max_element(leaks, {}, grown)->without_site = unknown->growth.now();
  return leaks;
}

}  // namespace

std::vector<Finding> find_leaks(const HostCase& host, const History& history, const KnownLimits& limits) {
  std::vector<Finding> findings;
  for (const ProcessView& process : host.snapshot().processes) {
    const ProcessHistory* known = process.ended_boot_ns ? nullptr : history.find(process.key);
    if (!known || known->cohorts.empty()) continue;
    std::vector<LeakingCohort> leaks = leaks_of(process, *known);
    if (leaks.empty()) continue;
    const std::vector<Cohort> cohorts = cohorts_of(host, process);
    for (LeakingCohort& leak : leaks) {
      const auto alike = std::ranges::find_if(
          cohorts, [&](const Cohort& cohort) { return !cohort.leads && cohort.site == leak.site; });
      if (alike != cohorts.end()) leak.alike = &*alike;
      findings.push_back(finding_of(leak, host, history, limits));
    }
  }
  return findings;
}

}  // namespace loiter
