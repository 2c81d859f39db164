// Threads that ended and that nobody joined, as each process was last looked at: by glibc's own lists
// (Inspection::pthreads), else by the calls that uprobes have seen (PthreadsView). A look tells who is there;
// this keeps since when.
//
// Owned by the thread that judges. Entirely passive. Bounded: kMostProcesses, kMostThreads of all of them;
// those beyond are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/inspection.h"
#include "daemon/inspect/origin_types.h"
#include "daemon/model/pthread_book.h"
#include "daemon/model/snapshot.h"

namespace loiter {

struct UnjoinedMember {
  uint64_t thread_pointer = 0;               // who it is: its descriptor, as long as nobody joins it
  uint32_t routine = 0;                      // index into UnjoinedProcess::routines
  TaskKey task = {};                         // tid 0: its end was not seen; start 0: nor its birth
  uint64_t since_boot_ns = 0;                // its end, or, with tid 0, when it was first found so
  std::optional<uint64_t> stack_bytes = {};  // that a join would give back; nothing: not known
};

struct UnjoinedRoutine {
  SiteFrame frame;  // all empty: not known
  std::string callable;
  bool operator==(const UnjoinedRoutine&) const = default;
};

struct UnjoinedProcess {
  TaskKey process;
  bool by_probes = false;  // only those that were made since the probes are there
  uint64_t told_boot_ns = 0;
  uint64_t joining = 0;  // threads that somebody was in pthread_join() for
  // When the last of those joins began; nothing: not known.
  std::optional<uint64_t> joins_since_boot_ns;
  std::vector<UnjoinedRoutine> routines;
  std::vector<UnjoinedMember> threads;  // by thread pointer
  uint64_t left_out = 0;                // unjoined too, but there was no room
};

class UnjoinedBook {
 public:
  static constexpr size_t kMostProcesses = 4'096;
  static constexpr size_t kMostThreads = 65'536;

  // What a look found, where it was asked about threads and they could be told; `snapshot` is the one that it
  // was asked for.
  void take(const Inspection& inspection, const Snapshot& snapshot);
  // What uprobes have seen; nothing where the lists have told of that process already: they know all.
  void take(const PthreadsView& view, const Snapshot& snapshot);

  // Forgets processes that are not in the snapshot any more.
  void expire(const Snapshot& snapshot);

  // Null: nobody told of it.
  const UnjoinedProcess* find(const TaskKey& process) const;

  size_t thread_count() const { return thread_count_; }

 private:
  UnjoinedProcess* room_for(const TaskKey& process);
  void put(UnjoinedProcess& to, UnjoinedProcess made);

  std::unordered_map<uint32_t, UnjoinedProcess> processes_;  // by pid
  size_t thread_count_ = 0;
};

// The same of one look alone, without anything known before. nullopt: it does not tell.
std::optional<UnjoinedProcess> unjoined_of(const Inspection& inspection, const Snapshot& snapshot);
UnjoinedProcess unjoined_of(const PthreadsView& view, const Snapshot& snapshot);

}  // namespace loiter
