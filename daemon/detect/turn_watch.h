// Threads that others wait on and that go on waiting for clients meanwhile: event loops that keep a lock as a
// gate before their helpers (open under load, shut without), or that hand a lock round with the work. One who
// does that is not held up, and so nobody is who waits on it.
//
// Some never sleep in their polls: the last that they entered the kernel for tells (ThreadView::polls). Of
// one on a CPU it tells well. One that was taken off it may have been interrupted just as it came back from a
// poll: an interrupt that waited for the end of the system call comes right then.
//
// Owned by the thread that judges, fed once a pass. Never more than kMost threads; those beyond are not
// remembered. No clock, no file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "daemon/detect/case.h"
#include "daemon/model/task_key.h"

namespace loiter {

class TurnWatch {
 public:
  static constexpr size_t kMost = 4'096;
  // Who has not been seen at it for so many thresholds has stopped: it hangs in what it does with the work.
  static constexpr uint64_t kMostThresholds = 10;
  // A few censuses: what is shorter may be chance.
  static constexpr uint64_t kShortNs = 5'000'000'000;
  // Found off its CPU so often, each time after it had run, and never at a poll: that is no chance any more.
  static constexpr uint32_t kLeastInterrupted = 16;

  // The next case: who waits for clients now, of those that others wait on, or without sleeping.
  void see(const HostCase& host);

  // Whether `root` has waited for clients since `waiter`, who waits on it, began to, or a few seconds ago;
  // not where that is many thresholds ago. Also where it cannot be told yet: it runs now and then, but
  // whenever it was looked for it was off its CPU.
  bool may_take_turns(const HostCase& host, const CaseThread& root, const CaseThread& waiter) const;

  // So long may a turn last.
  static uint64_t longest_turn_ns(const Thresholds& thresholds);

  size_t size() const { return seen_.size(); }

 private:
  struct Seen {
    uint32_t pid = 0;
    uint32_t interrupted = 0;  // times in a row, as kLeastInterrupted has it
    uint64_t cpu_ns = 0;       // at the last of them
    uint64_t ran_boot_ns = 0;  // of the snapshot that saw that first: it has not run since
    uint64_t boot_ns = 0;      // of the snapshot in which it was noted last
    uint64_t polled_boot_ns = 0;
  };
  Seen* entry_of(const ProcessView& process, const ThreadView& thread, uint64_t boot_ns);  // null: no room
  void note_poll(const ProcessView& process, const ThreadView& thread, uint64_t boot_ns);
  void note_interrupted(const ProcessView& process, const ThreadView& thread, uint64_t boot_ns);

  std::unordered_map<TaskKey, Seen, TaskKeyHash> seen_;
};

// In accept, poll, select or epoll: known by its look, or, where it has run since, by its system call; or at
// them again and again without ever sleeping there.
bool waits_for_clients(const CaseThread& thread);

}  // namespace loiter
