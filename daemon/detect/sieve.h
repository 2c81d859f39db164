// Holds findings to the rules of the configuration, and remembers what they took out: with the stacks that
// were read of it, which are read once and not again in each pass.
//
// Owned by the thread that judges. No clock, no file.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/detect/finding_book.h"
#include "daemon/detect/rules.h"
#include "daemon/model/snapshot.h"

namespace loiter {

class Sieve {
 public:
  static constexpr size_t kMostIgnored = 1024;

  // What an earlier pass took out under that id, with what was seen of it; null: nothing. Good until the next
  // sift().
  const Finding* find(const std::string& id) const;

  // Rules::apply(). `found`: all of this pass, with their stacks.
  void sift(std::vector<Finding>& found, const Rules& rules, const Thresholds& thresholds,
            const Snapshot& snapshot);

  // Of the last pass, as kept as those that are told. More than kMostIgnored are only counted.
  std::vector<KeptFindingPtr> ignored() const;
  std::set<std::string> ignored_ids() const;
  uint64_t ignored_count() const { return ignored_count_; }

 private:
  std::map<std::string, KeptFindingPtr> ignored_;
  std::map<std::string, Finding> young_;
  uint64_t ignored_count_ = 0;
};

}  // namespace loiter
