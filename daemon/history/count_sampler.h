// Numbers of threads over time, as they are to be kept: looks at each census, and gives one batch a period.
//
// Only a change is told: of a process with threads besides its leader's the first time and whenever
// something came or went in a period, else every six hours, for those that are older to be forgotten. On a
// host of 500 such processes, a tenth of which make threads, that is 50 rows a minute. One that lived less
// than a period is told if it had more than a handful of threads.
//
// Owned by the thread that judges. No clock: the time is that of the snapshots.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "daemon/history/types.h"

namespace loiter {

class CountSampler {
 public:
  explicit CountSampler(uint64_t period_ns) : period_ns_(period_ns) {}

  // A batch where a period is over.
  std::optional<CountBatch> add(const Snapshot& snapshot);
  // Who is there is told anew: a batch has been lost.
  void tell_anew();

 private:
  struct Process {
    uint64_t pass = 0;  // that it was seen in last
    uint32_t live = 0, least = 0, most = 0;
    uint64_t births = 0, ends = 0;            // so far
    uint64_t told_births = 0, told_ends = 0;  // by the last batch
    std::optional<uint32_t> told_live = {};   // nothing: it has not been told of
    uint64_t told_boot_ns = 0;
  };
  using Processes = std::unordered_map<TaskKey, Process, TaskKeyHash>;

  void look(const ProcessView& view, uint64_t pass);
  bool is_worth_telling(const Process& process, bool ended, uint64_t now) const;
  CountRow row_of(const ProcessView& view, Process& process, bool ended, uint64_t now) const;
  CountBatch end_period(const Snapshot& snapshot);

  uint64_t period_ns_;
  uint64_t begin_boot_ns_ = 0;  // of the period; 0: none has begun
  bool is_first_ = true;        // it comes at once, and says who is there
  Processes processes_;
};

}  // namespace loiter
