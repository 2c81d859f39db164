// What a blocked thread waits for, as far as its system call tells: kind, futex, descriptor, process, time
// limit.
//
// Pure functions, any thread. They read registers and state of a record and nothing of the process: what the
// registers point to (a timespec, say) is told as an address for somebody else to read. Cheap enough to be
// asked of every thread of a census. Registers of a process that is not trusted: every value in them may be
// anything.
#pragma once

#include <cstddef>
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
  futex,  // one that nothing more is known of yet
  sleep,
  poll,  // for one of several: poll, select, epoll, completions of Linux AIO
  accept,
  read,
  write,
  connect,
  wait_child,
  signal,
  file_lock,
  ipc,  // System V and POSIX message queues, System V semaphores
  disk,
  vfork,
  stopped,
  frozen,
  page_fault,
  io_uring,
  other,
};
const char* to_string(WaitKind kind);  // the word in the API

enum class FutexOperation : uint8_t { wait, wait_bitset, lock_pi, lock_pi2, wait_requeue_pi, waitv, wait2 };
const char* to_string(FutexOperation operation);

struct FutexCall {
  FutexOperation operation = FutexOperation::wait;  // wait2: the system call futex_wait of Linux 6.7
  uint64_t address = 0;                             // of waitv: of the list of what is waited for
  uint64_t value = 0;                               // expected; of waitv: how many; of lock_pi: none
  bool is_private = false;                          // of waitv: not known, it stands in the list
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
    unknown,  // the call does not tell; see `option` and `pointer`
  };
  enum class Clock : uint8_t { relative, monotonic, realtime, boottime };
  enum class SocketOption : uint8_t { none, receive, send };

  Form form = Form::unknown;
  Clock clock = Clock::relative;  // of absolute ones: what they count
  // With `unknown`: SO_RCVTIMEO or SO_SNDTIMEO bounds it where `fd` is a socket; where not, it is unbounded.
  SocketOption option = SocketOption::none;
  uint64_t address = 0;
  uint64_t ns = 0;
  // With `unknown`, not 0: here stands the address of a relative timespec; unbounded where that is 0.
  uint64_t pointer = 0;
};

// The time in ns that `memory`, read at source.address, holds; as the kernel takes it, so nullopt for what it
// would refuse, and for less memory than it needs.
std::optional<uint64_t> decode_time(TimeoutSource::Form form, std::span<const std::byte> memory);

// Whom wait4 and waitid wait for.
struct ChildWish {
  enum class Which : uint8_t { any, pid, group, pidfd };
  Which which = Which::any;
  uint32_t id = 0;  // as the waiter's pid namespace numbers them; group 0: its own; of pidfd the descriptor
};

struct WaitCall {
  WaitKind kind = WaitKind::other;
  bool uninterruptible = false;  // state D: the kernel stack tells more
  bool restarted = false;        // restart_syscall: the arguments are still those of what was interrupted
  int fd = -1;                   // -1: none, or it stands in memory
  int32_t ipc_id = -1;           // of a System V queue or semaphore set
  uint32_t set_count = 0;        // of poll: how many pollfds…
  uint64_t set_address = 0;      // … and where
  std::optional<FutexCall> futex;
  std::optional<ChildWish> child;
  TimeoutSource timeout;
  const char* detail = nullptr;  // a phrase where the kind alone says too little; static
};

// For a thread that is blocked; of others it would tell a call that they are on their way into or out of.
WaitCall wait_call_of(const loiter_thread& record);

// What a kernel stack adds: "symbol+0x12/0x34", innermost first; frames beyond a bound are not looked at.
// `detail`: becomes a phrase that names the place; left as it is where nothing is known of it. With `record`
// a futex wait that was restarted gets its arguments.
void refine_by_kernel_stack(WaitCall& call, std::span<const std::string> kernel_stack, std::string& detail,
                            const loiter_thread* record = nullptr);

}  // namespace loiter
