// Takes down for the history what the judge sees: findings that come, change and go, and numbers of threads.
//
// Owned by main, used by the thread that judges; never waits for a disk.
#pragma once

#include <optional>
#include <vector>

#include "daemon/detect/finding_book.h"
#include "daemon/history/count_sampler.h"
#include "daemon/history/history_writer.h"

namespace loiter {

class Recorder {
 public:
  Recorder(HistoryWriter& writer, uint64_t interval_ns) : writer_(writer), sampler_(interval_ns) {}

  // As HistoryWriter has them.
  bool has_looked() const { return writer_.has_looked(); }
  std::optional<std::vector<KeptFinding>> take_restored() { return writer_.take_restored(); }

  void add(const FindingBook::Changes& changes, const Snapshot& snapshot);
  // A census that was judged, and the findings that lasted then.
  void add(const Snapshot& snapshot, const FindingBook& book);

 private:
  HistoryWriter& writer_;
  CountSampler sampler_;
};

}  // namespace loiter
