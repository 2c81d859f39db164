// The host at one moment: every process with its threads, as the API and the detectors see it.
//
// Built by the collector thread, published as a shared_ptr to const, read by any thread. Names and paths
// are bytes as the kernel has them: escaping is for whoever writes them somewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/records.h"
#include "daemon/base/clock.h"
#include "daemon/inspect/origin_types.h"
#include "daemon/model/origin_book.h"
#include "daemon/model/task_key.h"
#include "daemon/model/task_state.h"

namespace loiter {

enum class Exactness : uint8_t { exact, estimated, lower_bound, unknown };
const char* to_string(Exactness exactness);

struct Comm {
  char bytes[LOITER_COMM_LEN] = {};
  std::string_view view() const;
};

struct ThreadView {
  TaskKey key;
  TaskKey creator;  // tid 0: made before the daemon's time, or the leader
  bool creator_alive = false;
  bool compat = false;
  // It runs, or could, and the last that it entered the kernel for was to ask for clients: an event loop that
  // does not sleep in its polls. An interrupt of what it computes since then makes it false.
  bool polls = false;
  SiteGap site_gap = SiteGap::none;  // why `site` is 0, of a thread that is no leader
  uint32_t site = 0;                 // of ProcessView::origins, which may have forgotten it; 0: none
  TaskState state = TaskState::runnable;
  Exactness exactness = Exactness::unknown;
  Comm name;
  std::optional<uint64_t> blocked_ns;      // at least so long; nothing where it is not blocked
  std::optional<uint64_t> blocked_max_ns;  // at most so long, where that is known
  int64_t syscall = -1;
  uint32_t cpu = 0;
  uint64_t cpu_ns = 0;
  uint64_t voluntary_switches = 0;
  uint64_t involuntary_switches = 0;
  uint64_t ended_boot_ns = 0;  // of a zombie; 0: its end was not seen
};

struct EndedThread {
  TaskKey key;
  uint32_t tgid = 0;
  uint64_t process_start_boot_ns = 0;
  TaskKey creator;
  Comm name;
  uint64_t ended_boot_ns = 0;
  Exactness exactness = Exactness::exact;  // of its end
  uint64_t cpu_ns = 0;
  uint64_t tls_base = 0;  // what its library of threads knew it by; 0: born before the daemon's time
  OriginBook::Mark origin;
};

struct ProcessView {
  TaskKey key;  // tid is the pid
  uint32_t parent_pid = 0;
  uint32_t uid = 0;
  bool kernel = false;
  std::optional<uint64_t> ended_boot_ns;  // no thread of it lives
  Comm comm;
  std::string exe;
  std::string cgroup;
  std::vector<ThreadView> threads;  // the leader first, then by birth
  double born_per_s = 0;
  double ended_per_s = 0;
  double cpu_fraction = 0;  // of one CPU
  uint64_t cpu_ns = 0;      // with that of threads which ended under our eyes
  uint64_t ended_dropped = 0;
  ProcessOriginsPtr origins;  // null: it never had another thread than its leader, or it has ended
};

// What a census had to set right.
struct Repairs {
  uint64_t added = 0;    // births that no event had told
  uint64_t removed = 0;  // ends likewise
  uint64_t renamed = 0;
  uint64_t execs = 0;
  uint64_t redated = 0;  // waits whose switch counts and exec_start did not agree: dated by the counts
  uint64_t doubted = 0;  // threads told to be still that did not fit what was kept: read again in whole
};

struct EventCounts {
  uint64_t born = 0;
  uint64_t ended = 0;
  uint64_t execs = 0;
  uint64_t renames = 0;
};

struct Snapshot {
  uint64_t pass = 0;
  uint64_t begin_mono_ns = 0;
  uint64_t begin_boot_ns = 0;
  WallClock wall;
  std::vector<ProcessView> processes;        // by pid; live ones
  std::vector<ProcessView> ended_processes;  // without threads
  std::vector<EndedThread> ended;            // oldest end first
  uint64_t thread_count = 0;
  uint64_t blocked_count = 0;
  double born_per_s = 0;
  double ended_per_s = 0;
  EventCounts events;
  Repairs repairs;
  uint64_t threads_over_limit = 0;  // seen by the last census and not kept: --max-threads
  uint64_t ended_dropped = 0;       // ended threads forgotten early: --max-ended

  // The live process with that pid, else the one that ended last with it, else null.
  const ProcessView* find(uint32_t pid) const;
  // The live process that has a thread with that tid, or null.
  const ProcessView* find_thread(uint32_t tid) const;
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace loiter
