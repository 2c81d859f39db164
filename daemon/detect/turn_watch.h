// Threads that others wait on and that go on waiting for clients meanwhile: event loops that keep a lock as a
// gate before their helpers (open under load, shut without), or that hand a lock round with the work. One who
// does that is not held up, and so nobody is who waits on it.
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

  // The next case: who is at the end of a chain and waits for clients now.
  void see(const HostCase& host);

  // Whether `root` has waited for clients since `waiter`, who waits on it, began to.
  bool took_turns(const HostCase& host, const CaseThread& root, const CaseThread& waiter) const;

  size_t size() const { return polled_boot_ns_.size(); }

 private:
  struct Seen {
    uint32_t pid = 0;
    uint64_t boot_ns = 0;  // of the snapshot in which it did last
  };
  std::unordered_map<TaskKey, Seen, TaskKeyHash> polled_boot_ns_;
};

// In accept, poll, select or epoll: known by its look, or, where it has run since, by its system call.
bool waits_for_clients(const CaseThread& thread);

}  // namespace loiter
