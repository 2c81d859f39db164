// When which process is to be asked for threads that ended and were never joined: reading its lists takes its
// time, and most of them never change.
//
// Owned by the thread that judges. Pure but for what it remembers.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "daemon/detect/thresholds.h"
#include "daemon/model/snapshot.h"
#include "daemon/model/unjoined_book.h"

namespace loiter {

class UnjoinedWatch {
 public:
  // Processes that are due, those with the most threads first: who was never asked; who has had a thread end
  // since; who has one that is past the threshold by now, or was told to have one, so that it is known to be
  // there still. None more often than each second, or for less than half the threshold.
  std::vector<TaskKey> due(const Snapshot& snapshot, const UnjoinedBook& book, const Thresholds& thresholds);

  // It was asked, as of that snapshot, whatever came of it.
  void asked(const TaskKey& process, const Snapshot& snapshot);

 private:
  struct Asked {
    uint64_t start_boot_ns = 0;
    uint64_t at_boot_ns = 0;
  };
  void follow_ends(const Snapshot& snapshot);

  std::unordered_map<uint32_t, Asked> asked_;         // by pid
  std::unordered_map<uint32_t, uint64_t> last_ends_;  // by pid: when a thread of it ended last
  uint64_t followed_boot_ns_ = 0;                     // ends up to then are known
};

}  // namespace loiter
