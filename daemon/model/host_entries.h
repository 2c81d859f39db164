// What the host model keeps of a thread and of a process. Private to the model's own files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/model/host_model.h"

namespace loiter {

constexpr uint32_t kPfKthread = 0x00200000;  // include/linux/sched.h

// By how much the two ways of dating a wait may differ before one of them must be wrong: the offset between
// the clocks is known to within a tick (4 ms at HZ=250) and the slew of a census interval.
constexpr int64_t kClockSlackNs = 10'000'000;

// Rates are of a second or so, however often a census is asked for.
constexpr uint64_t kRatePeriodNs = 950'000'000;

inline Comm to_comm(std::string_view name) {
  Comm comm;
  std::memcpy(comm.bytes, name.data(), std::min(name.size(), sizeof(comm.bytes) - 1));
  return comm;
}

struct DatedWait {
  int64_t latest_ns = 0;               // CLOCK_MONOTONIC: it began by then
  std::optional<int64_t> earliest_ns;  // and not before this
  Exactness exactness = Exactness::unknown;
};

struct HostModel::Thread {
  loiter_task_id id{};
  TaskKey creator;
  uint32_t creator_tgid = 0;
  Comm name;
  TaskState state = TaskState::runnable;
  bool compat = false;
  bool added_by_census = false;  // its birth event was missing
  uint32_t cpu = 0;
  int64_t syscall = -1;
  bool polls = false;  // as ThreadView has it
  uint64_t cpu_ns = 0;
  uint64_t voluntary_switches = 0;
  uint64_t involuntary_switches = 0;
  uint64_t exec_start = 0;
  uint64_t tls_base = 0;  // as its birth told; 0: that was not seen
  std::optional<DatedWait> wait;
  OriginBook::Mark origin;

  uint64_t seen_pass = 0;     // the last census that had a record of it
  uint64_t sampled_pass = 0;  // the last one whose record was taken over; 0: none yet

  // When the event of that kind happened; 0: none was seen.
  uint64_t born_event_boot_ns = 0;
  uint64_t named_boot_ns = 0;
  uint64_t exec_boot_ns = 0;
  uint64_t ended_boot_ns = 0;

  TaskKey key() const { return key_of(id); }
  bool is_leader() const { return id.tid == id.tgid; }
  // It, or what it is since an exec, began after that moment, for all that events and start times tell.
  bool is_younger_than(uint64_t boot_ns) const {
    return std::max<uint64_t>({id.start_boot_ns, born_event_boot_ns, exec_boot_ns}) >= boot_ns;
  }
  // A leader was made by another process: that is no branch of this tree.
  TaskKey creator_in_process() const { return !is_leader() && creator_tgid == id.tgid ? creator : TaskKey{}; }
};

struct HostModel::Process {
  TaskKey key;  // start 0: the leader has not been seen yet
  uint32_t exec_id = 0;
  uint32_t parent_pid = 0;
  uint32_t uid = 0;
  bool kernel = false;
  bool details_loaded = false;
  uint64_t cgroup_id = 0;
  std::string exe;
  std::string cgroup;
  Comm comm;  // the leader's, once that is gone
  size_t live = 0;
  uint64_t last_end_boot_ns = 0;  // of its threads that ended

  uint64_t born = 0;
  uint64_t ended = 0;
  uint64_t cpu_live_ns = 0;
  uint64_t cpu_ended_ns = 0;  // of threads that ended under our eyes
  uint64_t born_at_rates = 0;
  uint64_t ended_at_rates = 0;
  std::optional<uint64_t> cpu_at_rates;
  double born_per_s = 0;
  double ended_per_s = 0;
  double cpu_fraction = 0;

  uint64_t cpu_ns() const { return cpu_live_ns + cpu_ended_ns; }
};

}  // namespace loiter
