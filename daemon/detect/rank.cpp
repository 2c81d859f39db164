#include "daemon/detect/rank.h"

#include <algorithm>
#include <tuple>

namespace loiter {

void rank(std::vector<KeptFindingPtr>& findings) {
  const auto key = [](const KeptFindingPtr& kept) {
    const Finding& finding = kept->finding;
    return std::tuple(-static_cast<int>(finding.severity), -static_cast<int>(finding.certainty),
                      UINT64_MAX - finding.count, kept->first_boot_ns);
  };
  std::stable_sort(findings.begin(), findings.end(),
                   [&](const KeptFindingPtr& a, const KeptFindingPtr& b) { return key(a) < key(b); });
}

}  // namespace loiter
