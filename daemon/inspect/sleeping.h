// Whether a thread sleeps, and whether it slept all the while between two looks at it.
//
// Pure functions, any thread.
#pragma once

#include <cstdint>

#include "bpf/records.h"

namespace loiter {

inline bool sleeps(const loiter_thread& record) {
  // TASK_DEAD, EXIT_DEAD, EXIT_ZOMBIE (include/linux/sched.h)
  constexpr uint32_t kDead = 0x80 | 0x10 | 0x20;
  if (record.marks & (LOITER_MARK_ON_CPU | LOITER_MARK_MOVED)) return false;
  if ((record.marks & LOITER_MARK_ON_RQ) && !(record.marks & LOITER_MARK_DELAYED)) return false;
  return record.exit_state == 0 && !(record.state & kDead) && record.state != 0;
}

inline uint64_t switches(const loiter_thread& record) {
  return record.voluntary_switches + record.involuntary_switches;
}

inline bool same_thread(const loiter_thread& before, const loiter_thread& after) {
  return before.id.start_boot_ns == after.id.start_boot_ns && before.id.exec_id == after.id.exec_id;
}

// Equal counts and asleep both times: it did not run in between (DESIGN.md section 2).
inline bool same_sleep(const loiter_thread& before, const loiter_thread& after) {
  return same_thread(before, after) && switches(before) == switches(after) &&
         before.exec_start == after.exec_start && sleeps(after);
}

}  // namespace loiter
