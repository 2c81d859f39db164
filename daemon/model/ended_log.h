// Threads and processes that ended a while ago, within bounds of number and age.
//
// Owned by the model, one thread. Entirely passive: time is an argument.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>

#include "daemon/model/snapshot.h"

namespace loiter {

class EndedLog {
 public:
  EndedLog(size_t max_threads, uint64_t keep_ns) : max_threads_(max_threads), keep_ns_(keep_ns) {}

  void add(const EndedThread& thread);
  void add_process(ProcessView process);  // `ended_boot_ns` is set, threads are empty

  // The entry of a thread that ended, or null.
  EndedThread* find(const TaskKey& key);

  // Takes back what turned out to be there still. False: it was not in here.
  bool remove(const TaskKey& key);

  // Forgets what ended longer than keep_ns before `boot_ns`, and processes with it.
  void expire(uint64_t boot_ns);

  // Copies all of it, with the number of threads each process lost to the bound.
  void copy_to(Snapshot& snapshot) const;

  // How many ended threads of this process were forgotten to stay within the bound.
  uint64_t dropped_of(const TaskKey& process) const;

 private:
  void drop_oldest(bool early);
  void drop_oldest_process();

  size_t max_threads_;
  uint64_t keep_ns_;
  uint64_t first_sequence_ = 0;      // of threads_.front()
  std::deque<EndedThread> threads_;  // tid 0: removed
  std::unordered_map<TaskKey, uint64_t, TaskKeyHash> index_;
  std::deque<ProcessView> processes_;
  std::unordered_map<TaskKey, uint64_t, TaskKeyHash>
      dropped_;  // by process: ended ones that are kept, and live ones
  uint64_t dropped_total_ = 0;
};

}  // namespace loiter
