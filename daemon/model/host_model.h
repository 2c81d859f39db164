// Keeps, for every process of the host, the tree of its live threads: from events as they come, set right by
// each census.
//
// Owned by the collector thread, which alone calls it; others see the snapshots it makes. Opens no file
// and reads no clock: what it needs of those is given at construction or with each call.
//
// Correctness never depends on an event having arrived. An event is exact but may be lost; a census is whole
// but lags by up to its own length. So events that happened since a census began win over what it read.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/model/ended_log.h"
#include "daemon/model/origin_book.h"
#include "daemon/model/snapshot.h"
#include "daemon/model/wait_clock.h"
#include "daemon/sensors/census_reader.h"
#include "daemon/sensors/event_reader.h"
#include "daemon/sensors/procfs.h"

namespace loiter {

class HostModel {
 public:
  struct Limits {
    size_t max_threads = 262'144;              // live threads kept
    size_t max_ended = 16'384;                 // ended threads kept
    uint64_t keep_ended_ns = 300'000'000'000;  // and for how long
  };
  // Details of the process with that pid and start time; nullopt: it is gone.
  using DetailsSource = std::function<std::optional<ProcessDetails>(uint32_t pid, uint64_t start_boot_ns)>;

  HostModel(const Limits& limits, DetailsSource details);
  ~HostModel();

  // Takes one event in. Completes it for whoever reads the stream: an exit gets its thread's name, a rename
  // the old one (`old_name`, empty: not known).
  void apply(Event& event, std::string& old_name);

  // Where a thread was made, found after its birth was applied. All events that were in the ring when it was
  // found have been applied as well.
  void accept(const FoundOrigin& found);
  // Threads without a creation site, by reason.
  const std::array<uint64_t, ProcessOrigins::kGaps>& site_gaps() const { return origins_.gaps(); }

  // Sets everything right by a census. All events drained after the census was read have been applied.
  void reconcile(const Census& census);

  // Of the last census: it had a short record that does not fit what is kept of the thread, or nothing is
  // kept. Only a full census sets that right; it is wanted at once.
  bool doubts() const { return doubts_; }
  // Once, whether since the last call a census set a name or an exec right that no event had told, or an
  // event could not be taken over, or came so late that it may have overwritten what a census had read. Short
  // records carry no name: the next census should be a full one.
  bool take_mistold() { return std::exchange(mistold_, false); }

  // The state as of the last census, with the events applied since.
  std::shared_ptr<Snapshot> publish(const WallClock& wall);

 private:
  struct Thread;
  struct Process;

  Process& process_of(const loiter_task_id& id);
  Thread* find(const loiter_task_id& id);
  bool superseded(const loiter_task_id& id) const;
  Thread* insert(const loiter_task_id& id, uint64_t boot_ns);
  void retire(uint32_t tid, uint64_t ended_boot_ns, Exactness exactness);
  void end_unseen(uint32_t tid, uint64_t boot_ns);
  void note_end(const TaskKey& key, uint64_t ended_boot_ns);
  void end_predecessor(uint32_t pid, uint64_t start_boot_ns);
  void end_process(Process& process);

  void on_birth(const Event& event);
  void count_birth(const Event& event, Thread& thread, bool was_known);
  void count_birth_of_unkept(const Event& event);
  void on_exec(const Event& event);
  void on_exit(Event& event);
  void on_rename(const Event& event, std::string& old_name);

  void take_record(const loiter_thread& record, const Census& census);
  void take_still(const std::vector<loiter_still>& records, const Census& census);
  bool take_still(const loiter_still& record, Thread& thread, const Census& census);
  Thread* take_unknown(const loiter_thread& record, const Census& census);
  void take_identity(Thread& thread, const loiter_thread& record, const Census& census);
  void take_activity(Thread& thread, const loiter_thread& record, const Census& census);
  void date_wait(Thread& thread, const loiter_thread& record, const Census& census, bool ran);
  void remove_unseen(const Census& census);
  void load_details();
  void update_rates(const Census& census);
  ThreadView view_of(const Thread& thread) const;
  ProcessView view_of(const Process& process) const;

  Limits limits_;
  DetailsSource details_;
  WaitClock wait_clock_;
  std::unordered_map<uint32_t, Thread> threads_;     // by tid
  std::unordered_map<uint32_t, Process> processes_;  // by pid
  EndedLog ended_;
  OriginBook origins_;
  // When threads ended, of ends since the last census: one that read them before must not bring them back.
  std::unordered_map<TaskKey, uint64_t, TaskKeyHash> ended_lately_;
  uint64_t pass_ = 0;
  loiter_census_mark begin_{};     // of the last census
  uint64_t previous_mono_ns_ = 0;  // begin of the one before
  uint64_t rates_boot_ns_ = 0;     // when the rates were last worked out
  EventCounts events_;
  EventCounts events_at_rates_;
  double born_per_s_ = 0;
  double ended_per_s_ = 0;
  Repairs repairs_;
  uint64_t over_limit_ = 0;
  bool doubts_ = false;
  bool mistold_ = false;
};

}  // namespace loiter
