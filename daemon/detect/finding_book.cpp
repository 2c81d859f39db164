#include "daemon/detect/finding_book.h"

#include <algorithm>
#include <set>
#include <utility>

namespace loiter {
namespace {

// What is known of its threads stays as it was at first: whoever restarts the service can still ask. Ages
// and numbers follow.
void follow(KeptFinding& kept, Finding found) {
  keep_what_was_seen(found, kept.finding);
  kept.finding = std::move(found);
}

bool is_told_at_once(const Finding& before, const Finding& now) {
  return before.severity != now.severity || before.certainty != now.certainty;
}

bool has_ended(const KeptFinding& kept, const Snapshot& snapshot) {
  const ProcessView* process = snapshot.find(kept.finding.process.key.tid);
  return !process || process->ended_boot_ns || !(process->key == kept.finding.process.key);
}

}  // namespace

void keep_what_was_seen(Finding& found, const Finding& before) {
  for (FindingThread& thread : found.threads) {
    auto known = std::ranges::find(before.threads, thread.key, &FindingThread::key);
    if (known == before.threads.end()) continue;
    thread.stack = known->stack;
    thread.cut = known->cut;
    if (!thread.wait) thread.wait = known->wait;
    if (!thread.routine) thread.routine = known->routine;
    if (!thread.site) thread.site = known->site;
    if (thread.creator.tid == 0) thread.creator = known->creator;  // of an earlier run
  }
}

const char* to_string(Resolution resolution) {
  switch (resolution) {
    case Resolution::none:
      return "none";
    case Resolution::cause_gone:
      return "cause_gone";
    case Resolution::process_ended:
      return "process_ended";
    case Resolution::ignored:
      return "ignored";
    case Resolution::host_restarted:
      return "host_restarted";
  }
  return "none";
}

FindingBook::Changes FindingBook::update(std::vector<Finding> found, const Snapshot& snapshot,
                                         const std::set<std::string>& ignored) {
  Changes changes;
  const uint64_t now = snapshot.begin_boot_ns;
  for (Finding& finding : found) {
    auto known = live_.find(finding.id);
    if (known == live_.end() && live_.size() >= limits_.live) {
      ++dropped_;
      continue;
    }
    if (finding.members.empty())
      members_.erase(finding.id);
    else
      members_[finding.id] = std::exchange(finding.members, {});
    if (known == live_.end()) {
      auto kept = std::make_shared<KeptFinding>();
      kept->first_boot_ns = kept->last_boot_ns = kept->told_boot_ns = now;
      kept->told_count = finding.count;
      kept->finding = std::move(finding);
      changes.raised.push_back(kept);
      live_.emplace(kept->finding.id, kept);
      continue;
    }
    auto kept = std::make_shared<KeptFinding>(*known->second);
    const bool at_once = kept->unwatched || is_told_at_once(kept->finding, finding);
    kept->unwatched = false;
    kept->hold_boot_ns = 0;
    const bool differs = at_once || kept->told_count != finding.count;
    follow(*kept, std::move(finding));
    kept->last_boot_ns = now;
    if (at_once || (differs && now >= kept->told_boot_ns + limits_.tell_update_after_ns)) {
      kept->told_boot_ns = now;
      kept->told_count = kept->finding.count;
      changes.updated.push_back(kept);
    }
    known->second = std::move(kept);
  }
  for (auto entry = live_.begin(); entry != live_.end();) {
    const bool ended = has_ended(*entry->second, snapshot);
    const bool gone =
        std::max(entry->second->last_boot_ns + limits_.resolve_after_ns, entry->second->hold_boot_ns) <= now;
    const bool is_ignored = ignored.contains(entry->first);
    if (!ended && !gone && !is_ignored) {
      ++entry;
      continue;
    }
    auto kept = std::make_shared<KeptFinding>(*entry->second);
    kept->resolved_boot_ns = now;
    kept->resolution = ended        ? Resolution::process_ended
                       : is_ignored ? Resolution::ignored
                                    : Resolution::cause_gone;
    changes.resolved.push_back(kept);
    resolved_.push_front(std::move(kept));
    if (resolved_.size() > limits_.resolved) resolved_.pop_back();
    members_.erase(entry->first);
    entry = live_.erase(entry);
  }
  return changes;
}

const Finding* FindingBook::find(const std::string& id) const {
  auto found = live_.find(id);
  return found == live_.end() ? nullptr : &found->second->finding;
}

std::span<const FindingMember> FindingBook::members(const std::string& id) const {
  auto found = members_.find(id);
  return found == members_.end() ? std::span<const FindingMember>() : found->second;
}

void FindingBook::restore(KeptFinding finding) {
  const std::string id = finding.finding.id;
  const bool lasts = finding.resolved_boot_ns == 0;
  if (auto known = live_.find(id); lasts && known != live_.end()) {
    auto kept = std::make_shared<KeptFinding>(*known->second);
    kept->first_boot_ns = finding.first_boot_ns;
    kept->first_ns = finding.first_ns;
    keep_what_was_seen(kept->finding, finding.finding);
    known->second = std::move(kept);
    return;
  }
  auto kept = std::make_shared<KeptFinding>(std::move(finding));
  if (lasts && live_.size() < limits_.live)
    live_.emplace(id, std::move(kept));
  else if (!lasts && resolved_.size() < limits_.resolved)
    resolved_.push_back(std::move(kept));
}

std::vector<KeptFindingPtr> FindingBook::live() const {
  std::vector<KeptFindingPtr> list;
  list.reserve(live_.size());
  for (const auto& [id, finding] : live_) list.push_back(finding);
  return list;
}

}  // namespace loiter
