#include "daemon/detect/rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <string_view>
#include <variant>

#include "daemon/base/bytes.h"
#include "daemon/model/cgroup_names.h"

namespace loiter {
namespace {

enum class Fit : uint8_t { no, unknown, yes };

bool is_of_thread(RuleFact fact) {
  return fact == RuleFact::thread || fact == RuleFact::wait || fact == RuleFact::start_routine ||
         fact == RuleFact::frame;
}

bool is_of_looks(const Rule::Match& match) {
  return match.fact == RuleFact::start_routine || match.fact == RuleFact::frame;
}

Fit fit(const std::string& glob, const std::string& text) {
  if (text.empty()) return Fit::unknown;
  return glob_matches(glob, text) ? Fit::yes : Fit::no;
}

// As the command line shows it.
std::string text_of(const SiteFrame& frame) {
  if (!frame.symbol.empty()) return frame.symbol;
  return frame.module.substr(frame.module.rfind('/') + 1) + "+" + hexadecimal(frame.offset);
}

Fit fits_routine(const std::string& glob, const FindingThread& thread) {
  if (!thread.routine) return Fit::unknown;
  return std::max(fit(glob, thread.callable), fit(glob, text_of(*thread.routine)));
}

Fit fits_frame(const std::string& glob, const FindingThread& thread) {
  if (thread.stack.empty()) return Fit::unknown;
  const bool found = std::ranges::any_of(
      thread.stack, [&](const SiteFrame& frame) { return glob_matches(glob, text_of(frame)); });
  return found ? Fit::yes : Fit::no;
}

Fit fits_thread(const Rule::Match& match, const FindingThread& thread) {
  switch (match.fact) {
    case RuleFact::thread:
      return fit(match.glob, thread.name);
    case RuleFact::wait:
      return thread.wait ? fit(match.glob, to_string(thread.wait->kind)) : Fit::unknown;
    case RuleFact::start_routine:
      return fits_routine(match.glob, thread);
    case RuleFact::frame:
      return fits_frame(match.glob, thread);
    default:
      return Fit::yes;
  }
}

// All that the rule asks of one thread.
Fit fits_thread(const Rule& rule, const FindingThread& thread) {
  Fit worst = Fit::yes;
  for (const Rule::Match& match : rule.matches)
    if (is_of_thread(match.fact)) worst = std::min(worst, fits_thread(match, thread));
  return worst;
}

Fit fits_threads(const Rule& rule, const Finding& finding) {
  if (std::ranges::none_of(rule.matches, [](const auto& match) { return is_of_thread(match.fact); }))
    return Fit::yes;
  const size_t chain = std::min(finding.chain, finding.threads.size());
  if (chain) {
    Fit best = Fit::no;
    for (size_t i = 0; i < chain; ++i) best = std::max(best, fits_thread(rule, finding.threads[i]));
    return best;
  }
  Fit all = Fit::unknown;
  for (const FindingThread& thread : finding.threads) {
    const Fit one = fits_thread(rule, thread);
    if (one == Fit::no) return Fit::no;
    all = std::max(all, one);
  }
  return all;
}

bool fits_process(const Rule::Match& match, const Finding& finding) {
  const FindingProcess& process = finding.process;
  switch (match.fact) {
    case RuleFact::comm:
      return glob_matches(match.glob, process.comm);
    case RuleFact::exe:
      return glob_matches(match.glob, process.exe);
    case RuleFact::cgroup:
      return glob_matches(match.glob, process.cgroup);
    case RuleFact::container: {
      const std::string_view container = container_of(process.cgroup);
      return !container.empty() && glob_matches(match.glob, std::string(container));
    }
    case RuleFact::unit: {
      const std::string_view unit = unit_of(process.cgroup);
      return !unit.empty() && glob_matches(match.glob, std::string(unit));
    }
    case RuleFact::kind:
      return glob_matches(match.glob, to_string(finding.kind));
    default:
      return true;
  }
}

Fit fits(const Rule& rule, const Finding& finding) {
  if (rule.uid && *rule.uid != finding.process.uid) return Fit::no;
  for (const Rule::Match& match : rule.matches)
    if (!fits_process(match, finding)) return Fit::no;
  return fits_threads(rule, finding);
}

bool may_be_of_kind(const Rule& rule, FindingKind kind) {
  return std::ranges::all_of(rule.matches, [&](const Rule::Match& match) {
    return match.fact != RuleFact::kind || glob_matches(match.glob, to_string(kind));
  });
}

void set_threshold(Finding& finding, uint64_t threshold_ns) {
  for (Evidence& item : finding.evidence)
    if (item.name == "threshold_ns") item.value = threshold_ns;
}

}  // namespace

bool glob_matches(const std::string& glob, const std::string& text) {
  return fnmatch(glob.c_str(), text.c_str(), 0) == 0;
}

std::optional<uint64_t> threshold_for(FindingKind kind, const Thresholds& thresholds) {
  switch (kind) {
    case FindingKind::stuck:
      return thresholds.stuck_ns;
    case FindingKind::starved:
      return thresholds.starved_ns;
    case FindingKind::spin:
      return thresholds.spin_ns;
    case FindingKind::unjoined:
      return thresholds.unjoined_ns;
    default:
      return std::nullopt;
  }
}

bool has_threshold(FindingKind kind) {
  return kind == FindingKind::overdue || threshold_for(kind, Thresholds()).has_value();
}

std::optional<uint64_t> age_of(const Finding& finding) {
  for (const Evidence& item : finding.evidence)
    if (const uint64_t* ns = std::get_if<uint64_t>(&item.value);
        ns && (item.name == "longest_ns" || item.name == "oldest_ns"))
      return *ns;
  return finding.threads.empty() ? std::nullopt : finding.threads.front().blocked_ns;
}

Thresholds Rules::least_thresholds(Thresholds thresholds) const {
  for (const Rule& rule : rules_) {
    if (rule.ignore || !rule.threshold_ns) continue;
    const auto lower = [&](FindingKind kind, uint64_t& threshold_ns) {
      if (may_be_of_kind(rule, kind)) threshold_ns = std::min(threshold_ns, *rule.threshold_ns);
    };
    lower(FindingKind::stuck, thresholds.stuck_ns);
    lower(FindingKind::starved, thresholds.starved_ns);
    lower(FindingKind::spin, thresholds.spin_ns);
    lower(FindingKind::unjoined, thresholds.unjoined_ns);
  }
  return thresholds;
}

bool Rules::need_stacks() const {
  return std::ranges::any_of(rules_,
                             [](const Rule& rule) { return std::ranges::any_of(rule.matches, is_of_looks); });
}

bool Rules::may_be_told(const Finding& finding, const Thresholds& thresholds) const {
  const std::optional<uint64_t> age = age_of(finding);
  const std::optional<uint64_t> threshold = threshold_for(finding.kind, thresholds);
  if (!age || !threshold || *age >= *threshold) return true;
  return std::ranges::any_of(rules_, [&](const Rule& rule) {
    return rule.threshold_ns && *rule.threshold_ns <= *age && fits(rule, finding) != Fit::no;
  });
}

const Rule* Rules::first_match(const Finding& finding) const {
  const auto found =
      std::ranges::find_if(rules_, [&](const Rule& rule) { return fits(rule, finding) == Fit::yes; });
  return found == rules_.end() ? nullptr : &*found;
}

Rules::Sifted Rules::apply(std::vector<Finding>& findings, const Thresholds& thresholds) const {
  Sifted sifted;
  std::vector<Finding> told;
  told.reserve(findings.size());
  for (Finding& finding : findings) {
    const Rule* rule = first_match(finding);
    finding.rule_line = rule ? rule->line : 0;
    finding.rule_reason = rule ? rule->reason : std::string();
    std::optional<uint64_t> threshold = threshold_for(finding.kind, thresholds);
    if (rule && rule->threshold_ns && has_threshold(finding.kind)) threshold = rule->threshold_ns;
    const std::optional<uint64_t> age = age_of(finding);
    // What is too young yet would be no finding without the rule either.
    if (threshold && age && *age < *threshold) {
      sifted.young.push_back(std::move(finding));
      continue;
    }
    if (threshold) set_threshold(finding, *threshold);
    if (rule && rule->severity) finding.severity = *rule->severity;
    (rule && rule->ignore ? sifted.ignored : told).push_back(std::move(finding));
  }
  findings = std::move(told);
  return sifted;
}

}  // namespace loiter
