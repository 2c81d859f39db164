// What a blocked thread's registers say of its wait: the syscall it is in, taken apart.
//
// Pure functions of a census record; any thread. Tens of nanoseconds: may be called for every thread of a
// census. Arguments come from a process that is not trusted: addresses may be anything.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "bpf/records.h"

namespace loiter {

enum class WaitKind : uint8_t {
  lock,
  condvar,
  join,
  semaphore,
  barrier,
  futex,
  sleep,
  poll,
  accept,
  read,
  write,
  connect,
  wait_child,
  signal,
  file_lock,
  ipc,
  disk,
  vfork,
  stopped,
  frozen,
  page_fault,
  io_uring,
  other,
};
const char* to_string(WaitKind kind);

enum class FutexOperation : uint8_t { wait, wait_bitset, lock_pi, lock_pi2, wait_requeue_pi, waitv, wait2 };
const char* to_string(FutexOperation operation);

struct FutexCall {
  FutexOperation operation = FutexOperation::wait;
  uint64_t address = 0;  // of waitv: of the list of what is waited for
  uint64_t value = 0;    // expected; of waitv: how many
  bool is_private = false;
};

// Where a bounded wait has its bound.
struct TimeoutSource {
  enum class Form : uint8_t {
    none,        // unbounded
    value,       // `ns` itself
    timespec,    // at `address`, two longs: seconds and nanoseconds
    timeval,     // likewise, microseconds
    timespec32,  // of 32-bit programs
    timeval32,
    unknown,  // the call does not tell: a socket's SO_RCVTIMEO, a timer
  };
  enum class Clock : uint8_t { relative, monotonic, realtime, boottime };
  Form form = Form::none;
  Clock clock = Clock::relative;  // of absolute ones: what they count
  uint64_t address = 0;
  uint64_t ns = 0;
};

// Whom wait4 and waitid wait for.
struct ChildWish {
  enum class Which : uint8_t { any, pid, group, pidfd };
  Which which = Which::any;
  uint32_t id = 0;
};

struct WaitCall {
  WaitKind kind = WaitKind::other;
  std::optional<FutexCall> futex;
  int fd = -1;
  std::optional<ChildWish> child;
  TimeoutSource timeout;
  const char* detail = nullptr;  // a phrase where the kind alone says too little; static
};

// Of a thread that is blocked.
WaitCall wait_call_of(const loiter_thread& record);

// What the kernel stack of a thread in uninterruptible sleep adds: "symbol+0x12/0x34", innermost first.
// `detail`: becomes a phrase that names the place.
void refine_by_kernel_stack(WaitCall& call, std::span<const std::string> kernel_stack, std::string& detail);

}  // namespace loiter
