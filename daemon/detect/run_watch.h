// Threads that want a CPU, from census to census: since when one has waited for it without having run, and
// since when one has not given it up by itself.
//
// Owned by History, one thread. Never more than kMost threads; those beyond are counted. Entirely passive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "daemon/model/snapshot.h"

namespace loiter {

struct ThreadRun {
  TaskKey key;
  // Runnable at each census since, and it has not run. Only time in which the daemon itself could run counts.
  uint64_t starved_ns = 0;
  // On a CPU or runnable at each census since, without one voluntary switch; what it ran meanwhile.
  uint64_t busy_ns = 0;
  uint64_t wanted_ns = 0;  // of busy_ns, such as the daemon itself could run in
  uint64_t busy_cpu_ns = 0;
  uint64_t busy_since_boot_ns = 0;
  uint64_t starved_since_boot_ns = 0;
};

class RunWatch {
 public:
  static constexpr size_t kMost = 16'384;

  explicit RunWatch(uint64_t census_interval_ns) : interval_ns_(census_interval_ns) {}

  // The next census: begin(), then each of its threads that runs or could, then finish().
  void begin(const Snapshot& snapshot);
  void see(const ThreadView& thread);
  void finish();

  static bool wants_cpu(const ThreadView& thread) {
    return thread.state == TaskState::runnable || thread.state == TaskState::running;
  }

  // Null: it does not want a CPU, or there were too many.
  const ThreadRun* find(const TaskKey& thread) const;

  // Of all, as of the last census: nothing is to be looked for beyond.
  uint64_t longest_starved_ns() const { return longest_starved_ns_; }
  uint64_t longest_busy_ns() const { return longest_busy_ns_; }

  size_t size() const { return entries_.size(); }
  uint64_t left_out() const { return left_out_; }  // of the last census

 private:
  struct Entry {
    ThreadRun run;
    uint64_t switches = 0;
    uint64_t voluntary = 0;
    uint64_t cpu_ns = 0;
    uint64_t pass = 0;
    bool runnable = false;
  };
  void start(Entry& entry, const ThreadView& thread) const;

  uint64_t interval_ns_;
  uint64_t pass_ = 0;
  uint64_t mono_ns_ = 0;
  uint64_t boot_ns_ = 0;
  uint64_t gap_ns_ = 0;      // since the census before
  uint64_t counted_ns_ = 0;  // of those, such as the daemon could run in
  uint64_t longest_starved_ns_ = 0;
  uint64_t longest_busy_ns_ = 0;
  uint64_t left_out_ = 0;
  std::unordered_map<uint32_t, Entry> entries_;  // by tid
};

}  // namespace loiter
