// What a host was like before: what the verdicts need that one snapshot cannot tell. How the threads of each
// process, by creation site, of each cgroup and of each user have grown (Growth), and who has wanted a CPU
// for how long (RunWatch).
//
// Owned by one thread, fed once a census; no clock, no file. Bounded: kMostProcesses, kMostCohorts of each,
// kMostGroups cgroups and as many users, kMostSamples threads looked at twice, and RunWatch::kMost that want
// a CPU; what does not fit is counted. About 12 MB where all of it is used, 1 MB on a host with 300
// processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/detect/growth.h"
#include "daemon/detect/run_watch.h"
#include "daemon/detect/thresholds.h"
#include "daemon/model/snapshot.h"

namespace loiter {

// A thread that wakes by the clock and does next to nothing then: as a timer that was forgotten. Told by two
// windows in a row in which it ran equally often, seldom and shortly, and slept as timers sleep (in
// nanosleep, or at a futex: a pool whose workers wait at theirs does not grow for want of them).
struct TickSample {
  TaskKey key;
  uint32_t site = 0;
  uint64_t switches = 0;
  uint64_t cpu_ns = 0;
  uint64_t switches_in_window = 0;
  uint32_t windows = 0;  // it was seen at the end of so many
  bool judged = false;
  bool ticks = false;
};

// Threads of one process and one creation site.
struct CohortHistory {
  uint32_t site = 0;  // 0: those whose site is not known
  Growth growth;
};

struct ProcessHistory {
  TaskKey key;
  uint64_t window_begin_mono_ns = 0;
  uint64_t pass = 0;  // last seen in
  Growth total;       // with its leader
  // Of one that ever had another thread than its leader: first that of site 0, then by site.
  std::vector<CohortHistory> cohorts;
  std::vector<TickSample> samples;

  const CohortHistory* find(uint32_t site) const;
};

class History {
 public:
  static constexpr size_t kMostProcesses = 8'192;
  static constexpr size_t kMostCohorts = 129;  // of a process: as OriginBook keeps sites, and site 0
  static constexpr size_t kMostGroups = 4'096;
  static constexpr size_t kMostSamples = 16'384;
  static constexpr size_t kSamplesOfCohort = 32;

  History(const Thresholds& thresholds, uint64_t census_interval_ns);

  // Windows of another length begin anew.
  void set_thresholds(const Thresholds& thresholds);

  // The next snapshot; one that is not younger than the last changes nothing.
  void add(const Snapshot& snapshot);

  // Null: not followed.
  const ProcessHistory* find(const TaskKey& process) const;
  const Growth* of_cgroup(const std::string& path) const;  // with those below it
  const Growth* of_user(uint32_t uid) const;
  const Growth& of_host() const { return host_; }
  const RunWatch& runs() const { return runs_; }
  const GrowthRules& rules() const { return rules_; }

  // Who grows, for reading what limits it: processes that do, and the greatest one of each cgroup and user
  // that does; no more than `most`, those with the most threads first.
  std::vector<TaskKey> growing(const Snapshot& snapshot, size_t most = 64) const;

  // Processes and cgroups that the last snapshot had and that there was no room for.
  uint64_t left_out() const { return left_out_; }

 private:
  struct Group {
    Growth growth;
    Group* parent = nullptr;  // of a cgroup: the one above
    uint64_t live = 0;
    uint64_t pass = 0;  // last seen with a thread
  };
  bool has_gap(const Snapshot& snapshot) const;
  void add_process(const ProcessView& process, const Snapshot& snapshot);
  void add_cohorts(ProcessHistory& history, const ProcessView& process);
  void close_process(ProcessHistory& history, const ProcessView& process, const Snapshot& snapshot);
  void sample_ticks(ProcessHistory& history, const ProcessView& process) const;
  void judge_ticks(ProcessHistory& history, const ProcessView& process) const;
  Group* group_of(const std::string& path);
  void add_groups(const Snapshot& snapshot);
  bool is_growing(const Growth& growth) const;

  Thresholds thresholds_;
  uint64_t interval_ns_ = 0;
  GrowthRules rules_;
  uint64_t pass_ = 0;
  uint64_t mono_ns_ = 0;  // of the last snapshot
  bool gap_ = false;      // before the last snapshot
  uint64_t group_window_begin_ns_ = 0;
  uint64_t left_out_ = 0;
  size_t sample_count_ = 0;
  std::unordered_map<uint32_t, std::unique_ptr<ProcessHistory>> processes_;  // by pid
  std::unordered_map<std::string, Group> cgroups_;                           // by path
  std::unordered_map<uint32_t, Group> users_;                                // by uid
  Growth host_;
  RunWatch runs_;
};

}  // namespace loiter
