// Looks inside one process, once: its threads before and after, and in between memory, stacks, descriptors
// and locks. What did not sleep throughout is told as such and nothing of it is believed.
//
// What a look found of the waits is kept: while a census shows that no thread of the process ran since, the
// next one reads nothing of it, and a thread that did not run is not unwound again.
//
// Owned by the inspector's thread, with the helpers it uses.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/host_lookup.h"
#include "daemon/inspect/inspection.h"
#include "daemon/inspect/maps.h"
#include "daemon/inspect/modules.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/origin_finder.h"
#include "daemon/inspect/parser/parser.h"
#include "daemon/inspect/probe_finder.h"
#include "daemon/inspect/pthread_layout.h"
#include "daemon/inspect/pthread_lists.h"
#include "daemon/inspect/shape_finder.h"
#include "daemon/inspect/shape_memo.h"
#include "daemon/inspect/stack_taker.h"
#include "daemon/inspect/start_routines.h"
#include "daemon/inspect/wait_finder.h"
#include "daemon/sensors/task_reader.h"

namespace loiter {

struct LookWish {
  uint32_t pid = 0;
  uint64_t start_boot_ns = 0;        // 0: whichever has the pid
  uint64_t asked_mono_ns = 0;        // a census since then may tell that nothing changed
  std::optional<uint32_t> tid = {};  // stacks of this thread alone
  bool stacks = false;               // whole ones; else only what tells the waits
  bool with_lines = false;
  bool kernel_stacks = false;  // of all threads; else of those in uninterruptible sleep
  bool pthreads = false;       // what glibc's lists of threads tell, and nothing else
};

class Looker {
 public:
  // `cancel`, set by another thread, makes the look under way give up soon.
  static Result<std::unique_ptr<Looker>> make(const HostLookup& host, const std::atomic<bool>& cancel);

  InspectionPtr look(const LookWish& wish);

  // Where probes on its thread library go; of the inspection only who it is, and why nothing was found.
  InspectionPtr find_thread_libraries(const LookWish& wish, ThreadLibraries& libraries);

  // It works with the same helpers: what they know of files is known once.
  OriginFinder& origins() { return origins_; }

 private:
  Looker(const HostLookup& host, const std::atomic<bool>& cancel, SharedMemory memory,
         std::unique_ptr<TaskReader> reader);
  struct Kept {
    std::shared_ptr<Inspection> last;  // of waits alone, without failure
    std::vector<Mapping> code;         // for which `memo` holds
    ShapeMemo memo;
    uint64_t used = 0;
  };
  InspectionPtr recall(const LookWish& wish);
  void find_shapes(const std::vector<Mapping>& mappings, Inspection& inspection);
  void keep(const std::shared_ptr<Inspection>& inspection);
  bool read_threads(const LookWish& wish, Inspection& inspection);
  bool wants_details(const LookWish& wish, const Inspection& inspection);
  void read_details(const LookWish& wish, Inspection& inspection);
  void take_stacks(const LookWish& wish, const std::vector<Mapping>& mappings, Inspection& inspection);
  void find_routines(const std::vector<Mapping>& mappings, Inspection& inspection);
  Result<std::vector<size_t>> certainly_unjoined(const PthreadLayout& layout,
                                                 const std::vector<PthreadEntry>& entries,
                                                 const Inspection& inspection, Futexes& futexes);
  void read_pthreads(const std::vector<Mapping>& mappings, Inspection& inspection);
  void check_pthreads(Inspection& inspection, bool read) const;
  void look_inside(const LookWish& wish, Inspection& inspection);
  void check_again(Inspection& inspection);
  void forget_ended_holder(InspectedThread& thread) const;
  void name_modules(Inspection& inspection) const;
  void identify(uint32_t tid, const std::vector<loiter_mapped_file>& before, ThreadLibraries& libraries);
  bool is_hung(const Inspection& inspection);
  void note_hang(const Inspection& inspection, uint64_t restarts);
  std::vector<Mapping> read_maps(Inspection& inspection);

  const HostLookup& host_;
  SharedMemory memory_;
  Opener opener_;
  Parser parser_;
  Modules modules_;
  StackTaker stacks_;
  ShapeFinder shapes_;
  PthreadLayouts layouts_;
  PthreadListReader pthreads_;
  StartRoutineFinder routines_;
  ProbeFinder probes_;
  OriginFinder origins_;
  std::unique_ptr<TaskReader> reader_;
  WaitFinder waits_;
  Census census_;
  std::map<uint32_t, Kept> kept_;  // by pid
  uint64_t looks_ = 0;
  // Processes that made the opener hang, by pid and start, until when they are left alone.
  std::map<std::pair<uint32_t, uint64_t>, uint64_t> hung_until_;
};

}  // namespace loiter
