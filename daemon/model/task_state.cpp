#include "daemon/model/task_state.h"

namespace loiter {
namespace {

// include/linux/sched.h; the same in Linux 6.1 to 6.18.
enum : uint32_t {
  kInterruptible = 0x1,
  kUninterruptible = 0x2,
  kStopped = 0x4,
  kTraced = 0x8,
  kExitDead = 0x10,
  kExitZombie = 0x20,
  kParked = 0x40,
  kDead = 0x80,
  kWaking = 0x200,
  kNoload = 0x400,
  kNew = 0x800,
  kRtlockWait = 0x1000,
  kFrozen = 0x8000,
};

TaskState state_of(uint32_t state, uint32_t exit_state, uint32_t marks) {
  if (exit_state & kExitZombie) return TaskState::zombie;
  if (exit_state & kExitDead) return TaskState::dead;
  if (marks & (LOITER_MARK_ON_CPU | LOITER_MARK_MOVED)) return TaskState::running;
  if (state == 0 || (state & (kWaking | kNew))) return TaskState::runnable;
  // It has said that it will sleep, but is still queued: it was preempted on the way, or is being woken.
  // Delayed dequeue keeps a sleeper queued as well, and marks it.
  if ((marks & LOITER_MARK_ON_RQ) && !(marks & LOITER_MARK_DELAYED)) return TaskState::runnable;
  if (state & kDead) return TaskState::dead;
  if (state & kFrozen) return TaskState::frozen;
  if (state & kTraced) return TaskState::traced;
  if (state & kStopped) return TaskState::stopped;
  if (state & kParked) return TaskState::parked;
  if ((state & kUninterruptible) && (state & kNoload)) return TaskState::idle;
  if (state & (kUninterruptible | kRtlockWait)) return TaskState::uninterruptible;
  return TaskState::sleeping;
}

}  // namespace

TaskState state_of(const loiter_thread& record) {
  return state_of(record.state, record.exit_state, record.marks);
}

TaskState state_of(const loiter_still& record) {
  return state_of(record.state, 0, record.marks);
}

bool is_blocked(TaskState state) {
  switch (state) {
    case TaskState::sleeping:
    case TaskState::uninterruptible:
    case TaskState::stopped:
    case TaskState::traced:
    case TaskState::frozen:
    case TaskState::idle:
    case TaskState::parked:
      return true;
    case TaskState::running:
    case TaskState::runnable:
    case TaskState::zombie:
    case TaskState::dead:
      return false;
  }
  return false;
}

const char* to_string(TaskState state) {
  switch (state) {
    case TaskState::running:
      return "running";
    case TaskState::runnable:
      return "runnable";
    case TaskState::sleeping:
      return "sleeping";
    case TaskState::uninterruptible:
      return "uninterruptible";
    case TaskState::stopped:
      return "stopped";
    case TaskState::traced:
      return "traced";
    case TaskState::frozen:
      return "frozen";
    case TaskState::zombie:
      return "zombie";
    case TaskState::dead:
      return "dead";
    case TaskState::idle:
      return "idle";
    case TaskState::parked:
      return "parked";
  }
  return "unknown";
}

}  // namespace loiter
