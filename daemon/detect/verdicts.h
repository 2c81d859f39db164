// What was judged of one snapshot. Made by the thread that judges, immutable from then on, read by any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/detect/finding_book.h"
#include "daemon/detect/finding_marks.h"
#include "daemon/detect/rules.h"
#include "daemon/model/snapshot.h"

namespace loiter {

// What could not be judged, and why: in words for people.
struct NotJudged {
  FindingKind kind = FindingKind::overdue;
  std::string reason;
};

struct JudgingCost {
  uint64_t passes = 0;
  uint64_t looks = 0;       // into processes, since the start
  uint64_t detect_ns = 0;   // CPU time of the detectors in the last pass
  uint64_t looking_ns = 0;  // wall time of the looks in the last pass
};

struct Verdicts {
  SnapshotPtr snapshot;  // that was judged
  uint64_t threshold_ns = 0;
  std::vector<KeptFindingPtr> live;      // ranked
  FindingMarks marks;                    // of `live`, on threads and processes
  std::vector<KeptFindingPtr> resolved;  // the last one first
  std::vector<KeptFindingPtr> ignored;   // by a rule, which stands in each; may be fewer than
  uint64_t ignored_count = 0;
  std::shared_ptr<const Rules> rules;  // that all this was held to; null: none
  std::vector<NotJudged> not_judged;
  uint64_t dropped = 0;  // findings not kept, to stay within bounds
  JudgingCost cost;
};
using VerdictsPtr = std::shared_ptr<const Verdicts>;

}  // namespace loiter
