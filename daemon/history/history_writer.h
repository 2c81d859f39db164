// Writes the history on a thread of its own, so that a disk that is slow or hangs delays nobody.
//
// What is to be written waits in bounded queues: of a finding the last change only. Where a write fails, as
// on a full disk, it is tried again later; what has to be dropped meanwhile is counted. add(), status(),
// take_restored() and take_lost() may come from any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/history/types.h"

namespace loiter {

class HistoryWriter {
 public:
  static constexpr size_t kMostFindings = 4096;  // as many as there are at once (FindingBook::Limits)
  static constexpr size_t kMostBatches = 16;

  explicit HistoryWriter(HistoryOptions options);
  ~HistoryWriter() { stop(); }

  void start();
  // Writes what waits, for no more than some seconds: where the disk hangs, the thread is left to it.
  void stop();

  void add(FindingNote note);
  void add(CountBatch batch);

  // The findings of earlier runs that may last still; nullopt: not known yet, or taken already.
  std::optional<std::vector<KeptFinding>> take_restored();
  // Whether it is known by now whether there are any, or that nobody will tell soon.
  bool has_looked() const;
  // Whether a batch of counts has been lost since the last call.
  bool take_lost();

  HistoryStatus status() const;

 private:
  struct Shared;  // outlives this where the thread hangs
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace loiter
