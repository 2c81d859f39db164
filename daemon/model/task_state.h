// What a thread is doing, from what the scheduler says of it. Pure functions, any thread.
#pragma once

#include <cstdint>

#include "bpf/records.h"

namespace loiter {

enum class TaskState : uint8_t {
  running,          // on a CPU
  runnable,         // would be if there were one for it
  sleeping,         // waits, a signal may wake it
  uninterruptible,  // waits, mostly for a disk
  stopped,          // by a signal
  traced,           // by a debugger
  frozen,           // by a freezer cgroup or suspend
  zombie,           // ended, not reaped
  dead,
  idle,    // a kernel thread with nothing to do
  parked,  // a kernel thread put away
};

TaskState state_of(const loiter_thread& record);
TaskState state_of(const loiter_still& record);

// Whether a thread in this state waits for something, so that its wait has an age.
bool is_blocked(TaskState state);

// The word in the API.
const char* to_string(TaskState state);

}  // namespace loiter
