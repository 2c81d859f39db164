#include "daemon/detect/sieve.h"

#include <memory>
#include <utility>

namespace loiter {

const Finding* Sieve::find(const std::string& id) const {
  if (auto ignored = ignored_.find(id); ignored != ignored_.end()) return &ignored->second->finding;
  auto young = young_.find(id);
  return young == young_.end() ? nullptr : &young->second;
}

void Sieve::sift(std::vector<Finding>& found, const Rules& rules, const Thresholds& thresholds,
                 const Snapshot& snapshot) {
  Rules::Sifted sifted = rules.apply(found, thresholds);
  ignored_count_ = sifted.ignored.size();
  std::map<std::string, KeptFindingPtr> ignored;
  for (Finding& finding : sifted.ignored) {
    if (ignored.size() >= kMostIgnored) break;
    finding.members = {};
    const auto before = ignored_.find(finding.id);
    auto kept = std::make_shared<KeptFinding>();
    kept->first_boot_ns = before == ignored_.end() ? snapshot.begin_boot_ns : before->second->first_boot_ns;
    kept->last_boot_ns = snapshot.begin_boot_ns;
    kept->finding = std::move(finding);
    ignored.emplace(kept->finding.id, std::move(kept));
  }
  ignored_ = std::move(ignored);
  young_.clear();
  for (Finding& finding : sifted.young) {
    if (young_.size() >= kMostIgnored) break;
    finding.members = {};
    young_.emplace(finding.id, std::move(finding));
  }
}

std::vector<KeptFindingPtr> Sieve::ignored() const {
  std::vector<KeptFindingPtr> list;
  for (const auto& [id, kept] : ignored_) list.push_back(kept);
  return list;
}

std::set<std::string> Sieve::ignored_ids() const {
  std::set<std::string> ids;
  for (const auto& [id, kept] : ignored_) ids.insert(id);
  return ids;
}

}  // namespace loiter
