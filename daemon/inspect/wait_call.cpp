#include "daemon/inspect/wait_call.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/inspect/syscall_table.h"

namespace loiter {
namespace {

using Timeout = TimeoutSource;
using Form = TimeoutSource::Form;
using Clock = TimeoutSource::Clock;

// include/linux/sched.h; the same in Linux 6.1 to 6.18.
enum : uint32_t {
  kInterruptible = 0x1,
  kUninterruptible = 0x2,
  kStopped = 0x4,
  kTraced = 0x8,
  kWakekill = 0x100,
  kRtlockWait = 0x1000,
  kFreezable = 0x2000,
  kFrozen = 0x8000,
};

constexpr uint32_t kIoWorker = 0x10;  // PF_IO_WORKER

constexpr uint64_t kNsPerMs = 1'000'000;

// Of Linux 6.7, and younger than Debian 12's headers (include/uapi/linux/futex.h).
constexpr uint64_t kFutex2Private = FUTEX_PRIVATE_FLAG;
constexpr int kFutexLockPi2 = 13;

// include/uapi/linux/io_uring.h; likewise.
constexpr uint64_t kEnterGetEvents = 1u << 0;
constexpr uint64_t kEnterExtArg = 1u << 3;
constexpr uint64_t kEnterRegisteredRing = 1u << 4;
constexpr uint64_t kEnterAbsTimer = 1u << 5;
constexpr uint64_t kEnterExtArgReg = 1u << 6;
constexpr uint64_t kExtArgTimeOffset = 16;  // io_uring_getevents_arg::ts

struct Args {
  const __u64* at;
  bool compat;
  bool narrow;

  // As the kernel takes it of a register: an int has 32 bits, whatever stands above.
  int32_t number(size_t i) const { return static_cast<int32_t>(at[i]); }
  uint64_t address(size_t i) const { return compat ? static_cast<uint32_t>(at[i]) : at[i]; }
  Form timespec() const { return narrow ? Form::timespec32 : Form::timespec; }
  Form timeval() const { return narrow ? Form::timeval32 : Form::timeval; }
};

Timeout no_limit() {
  return {.form = Form::none};
}

Timeout not_told() {
  return {.form = Form::unknown};
}

Timeout relative(uint64_t address, Form form) {
  if (address == 0) return no_limit();
  return {.form = form, .address = address};
}

Timeout absolute(uint64_t address, Form form, int32_t clock) {
  if (address == 0) return no_limit();
  switch (clock) {
    case CLOCK_MONOTONIC:
      return {.form = form, .clock = Clock::monotonic, .address = address};
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_ALARM:
      return {.form = form, .clock = Clock::realtime, .address = address};
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return {.form = form, .clock = Clock::boottime, .address = address};
    default:  // bounded on a clock that only the kernel or the process itself can read
      return not_told();
  }
}

Timeout milliseconds(int32_t ms) {
  if (ms < 0) return no_limit();
  return {.form = Form::value, .ns = static_cast<uint64_t>(ms) * kNsPerMs};
}

Timeout of_socket(bool sends) {
  return {.option = sends ? Timeout::SocketOption::send : Timeout::SocketOption::receive};
}

// kernel/futex/syscalls.c, do_futex and futex_init_timeout: WAIT alone takes a length; LOCK_PI is always on
// CLOCK_REALTIME, the others where the flag says so.
void take_futex(WaitCall& call, const Args& args) {
  const int32_t op = args.number(1);
  const int32_t clock = op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
  FutexOperation operation;
  switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
      operation = FutexOperation::wait;
      call.timeout = relative(args.address(3), args.timespec());
      break;
    case FUTEX_WAIT_BITSET:
      operation = FutexOperation::wait_bitset;
      call.timeout = absolute(args.address(3), args.timespec(), clock);
      break;
    case FUTEX_LOCK_PI:
      operation = FutexOperation::lock_pi;
      call.timeout = absolute(args.address(3), args.timespec(), CLOCK_REALTIME);
      break;
    case kFutexLockPi2:
      operation = FutexOperation::lock_pi2;
      call.timeout = absolute(args.address(3), args.timespec(), clock);
      break;
    case FUTEX_WAIT_REQUEUE_PI:
      operation = FutexOperation::wait_requeue_pi;
      call.timeout = absolute(args.address(3), args.timespec(), clock);
      break;
    default:  // wakes others: it is held up inside the kernel
      return;
  }
  const bool pi = operation == FutexOperation::lock_pi || operation == FutexOperation::lock_pi2;
  call.kind = pi ? WaitKind::lock : WaitKind::futex;
  call.futex = FutexCall{.operation = operation,
                         .address = args.address(0),
                         .value = pi ? 0 : static_cast<uint32_t>(args.at[2]),
                         .is_private = (op & FUTEX_PRIVATE_FLAG) != 0};
}

// futex_waitv(waiters, count, flags, timeout, clock)
void take_futex_waitv(WaitCall& call, const Args& args) {
  call.kind = WaitKind::futex;
  call.futex = FutexCall{.operation = FutexOperation::waitv,
                         .address = args.address(0),
                         .value = static_cast<uint32_t>(args.at[1])};
  call.timeout = absolute(args.address(3), Form::timespec, args.number(4));
}

// futex_wait(address, value, mask, flags, timeout, clock)
void take_futex_wait(WaitCall& call, const Args& args) {
  call.kind = WaitKind::futex;
  call.futex = FutexCall{.operation = FutexOperation::wait2,
                         .address = args.address(0),
                         .value = args.address(1),
                         .is_private = (args.at[3] & kFutex2Private) != 0};
  call.timeout = absolute(args.address(4), Form::timespec, args.number(5));
}

void take_clock_nanosleep(WaitCall& call, const Args& args) {
  call.kind = WaitKind::sleep;
  const bool until = args.number(1) & TIMER_ABSTIME;
  call.timeout = until ? absolute(args.address(2), args.timespec(), args.number(0))
                       : relative(args.address(2), args.timespec());
}

void take_poll(WaitCall& call, const Args& args, const Timeout& timeout) {
  call.kind = WaitKind::poll;
  call.set_address = args.address(0);
  call.set_count = static_cast<uint32_t>(args.at[1]);
  call.timeout = timeout;
}

void take_fd(WaitCall& call, const Args& args, WaitKind kind, const Timeout& timeout) {
  call.kind = kind;
  call.fd = args.number(0) >= 0 ? args.number(0) : -1;
  call.timeout = timeout;
}

// kernel/exit.c, kernel_wait4
void take_wait4(WaitCall& call, const Args& args) {
  call.kind = WaitKind::wait_child;
  call.timeout = no_limit();
  const int32_t pid = args.number(0);
  using Which = ChildWish::Which;
  if (pid > 0)
    call.child = ChildWish{Which::pid, static_cast<uint32_t>(pid)};
  else if (pid == -1)
    call.child = ChildWish{Which::any, 0};
  else
    call.child = ChildWish{Which::group, 0u - static_cast<uint32_t>(pid)};
}

void take_waitid(WaitCall& call, const Args& args) {
  call.kind = WaitKind::wait_child;
  call.timeout = no_limit();
  const uint32_t id = static_cast<uint32_t>(args.at[1]);
  using Which = ChildWish::Which;
  switch (args.number(0)) {
    case P_ALL:
      call.child = ChildWish{Which::any, 0};
      break;
    case P_PID:
      call.child = ChildWish{Which::pid, id};
      break;
    case P_PGID:  // 0: its own, since Linux 5.4
      call.child = ChildWish{Which::group, id};
      break;
    case P_PIDFD:
      call.child = ChildWish{Which::pidfd, id};
      call.fd = args.number(1) >= 0 ? args.number(1) : -1;
      break;
    default:
      break;
  }
}

// fs/fcntl.c: these alone wait. F_SETLKW64 is of 32-bit programs, where the number is another call's else.
void take_fcntl(WaitCall& call, const Args& args) {
  constexpr int32_t kSetLkw = 7, kSetLkw64 = 14, kOfdSetLkw = 38;
  const int32_t command = args.number(1);
  const bool locks = command == kSetLkw || command == kOfdSetLkw || (args.compat && command == kSetLkw64);
  take_fd(call, args, locks ? WaitKind::file_lock : WaitKind::other, locks ? no_limit() : not_told());
}

void take_ipc(WaitCall& call, int32_t id, const Timeout& timeout) {
  call.kind = WaitKind::ipc;
  call.ipc_id = id;
  call.timeout = timeout;
}

// ipc/syscall.c: ipc(call, first, second, third, pointer, fifth)
void take_old_ipc(WaitCall& call, const Args& args) {
  switch (args.number(0) & 0xffff) {
    case 1:   // SEMOP
    case 11:  // MSGSND
    case 12:  // MSGRCV
      take_ipc(call, args.number(1), no_limit());
      break;
    case 4:  // SEMTIMEDOP
      take_ipc(call, args.number(1), relative(args.address(5), Form::timespec32));
      break;
    default:
      break;
  }
}

// net/socket.c: socketcall(call, args): the descriptor is in memory.
void take_socketcall(WaitCall& call, const Args& args) {
  switch (args.number(0)) {
    case 3:
      call.kind = WaitKind::connect;
      break;
    case 5:
    case 18:  // accept4
      call.kind = WaitKind::accept;
      break;
    case 9:
    case 11:
    case 16:
    case 20:  // send, sendto, sendmsg, sendmmsg
      call.kind = WaitKind::write;
      break;
    case 10:
    case 12:
    case 17:
    case 19:  // recv, recvfrom, recvmsg, recvmmsg
      call.kind = WaitKind::read;
      break;
    default:
      break;
  }
}

// io_uring_enter(fd, to_submit, min_complete, flags, arg, size)
void take_io_uring(WaitCall& call, const Args& args) {
  const uint64_t flags = args.at[3];
  take_fd(call, args, WaitKind::io_uring, no_limit());
  if (flags & kEnterRegisteredRing) call.fd = -1;  // an index of a table of its own
  if (!(flags & kEnterGetEvents)) return;          // waits for room in the submission queue
  if (flags & (kEnterExtArgReg | kEnterAbsTimer))
    call.timeout = not_told();
  else if (flags & kEnterExtArg)
    call.timeout = {.pointer = args.address(4) + kExtArgTimeOffset};
}

// Whoever waits for a child to exec or end waits killable and freezable (kernel/fork.c, wait_for_vfork_done);
// all else that a clone may wait for is not freezable. The flags of clone3 are in memory.
void take_clone(WaitCall& call, const Args& args, uint32_t state, bool flags_in_memory) {
  constexpr uint32_t kVforkState = kWakekill | kFreezable;
  const bool may = flags_in_memory || (args.at[0] & CLONE_VFORK);
  if (!may || (state & kVforkState) != kVforkState) return;
  call.kind = WaitKind::vfork;
  call.timeout = no_limit();
}

void take_call(WaitCall& call, BlockingCall what, const Args& args, uint32_t state) {
  using enum BlockingCall;
  switch (what) {
    case futex:
      return take_futex(call, args);
    case futex_waitv:
      return take_futex_waitv(call, args);
    case futex_wait:
      return take_futex_wait(call, args);
    case nanosleep:
      call.kind = WaitKind::sleep;
      call.timeout = relative(args.address(0), args.timespec());
      return;
    case clock_nanosleep:
      return take_clock_nanosleep(call, args);
    case poll:
      return take_poll(call, args, milliseconds(args.number(2)));
    case ppoll:
      return take_poll(call, args, relative(args.address(2), args.timespec()));
    case select:
      call.kind = WaitKind::poll;
      call.timeout = relative(args.address(4), args.timeval());
      return;
    case old_select:
      call.kind = WaitKind::poll;
      return;
    case pselect:
      call.kind = WaitKind::poll;
      call.timeout = relative(args.address(4), args.timespec());
      return;
    case epoll_wait:
      return take_fd(call, args, WaitKind::poll, milliseconds(args.number(3)));
    case epoll_pwait2:
      return take_fd(call, args, WaitKind::poll, relative(args.address(3), Form::timespec));
    case read:
    case receive:  // recvmmsg too: it looks at its own limit only after a datagram has come (recvmmsg(2))
      return take_fd(call, args, WaitKind::read, of_socket(false));
    case write:
    case send:
    case sendfile:
      return take_fd(call, args, WaitKind::write, of_socket(true));
    case accept:
      return take_fd(call, args, WaitKind::accept, of_socket(false));
    case connect:
      return take_fd(call, args, WaitKind::connect, of_socket(true));
    case wait4:
      return take_wait4(call, args);
    case waitid:
      return take_waitid(call, args);
    case sigtimedwait:
      call.kind = WaitKind::signal;
      call.timeout = relative(args.address(2), args.timespec());
      return;
    case sigsuspend:
      call.kind = WaitKind::signal;
      call.timeout = no_limit();
      return;
    case flock:
      return take_fd(call, args, WaitKind::file_lock, no_limit());
    case fcntl:
      return take_fcntl(call, args);
    case ipc_wait:
      return take_ipc(call, args.number(0), no_limit());
    case semtimedop:
      return take_ipc(call, args.number(0), relative(args.address(3), args.timespec()));
    case mq_timed:
      return take_fd(call, args, WaitKind::ipc, absolute(args.address(4), args.timespec(), CLOCK_REALTIME));
    case ipc:
      return take_old_ipc(call, args);
    case socketcall:
      return take_socketcall(call, args);
    case io_uring_enter:
      return take_io_uring(call, args);
    case io_getevents:
      call.kind = WaitKind::poll;
      call.detail = "Linux AIO";
      call.timeout = relative(args.address(4), args.timespec());
      return;
    case BlockingCall::vfork:
      call.kind = WaitKind::vfork;
      call.timeout = no_limit();
      return;
    case clone:
      return take_clone(call, args, state, false);
    case clone3:
      return take_clone(call, args, state, true);
    case sync_fd:
      return take_fd(call, args, WaitKind::disk, no_limit());
    case sync:
      call.kind = WaitKind::disk;
      call.timeout = no_limit();
      return;
    case restart:
      call.restarted =
          true;  // which one, the kernel stack tells; all that can be restarted have a time limit
      return;
    case with_fd:
      return take_fd(call, args, WaitKind::other, not_told());
    case other:
      return;
  }
}

// Outside of any system call a thread sleeps in a page fault, or put away by the freezer of cgroup v2, which
// alone sleeps freezable there (kernel/signal.c, do_freezer_trap).
void take_no_call(WaitCall& call, uint32_t state) {
  call.timeout = no_limit();
  call.kind = state & kFreezable ? WaitKind::frozen : WaitKind::page_fault;
}

// True: the state says it all. Who is in the freezer of cgroup v2 sleeps as others do, with the registers of
// whatever call it was in; one that is in D has not got there.
bool take_state(WaitCall& call, uint32_t state, uint32_t marks) {
  if ((marks & LOITER_MARK_FREEZING) && (state & kInterruptible)) {
    call.kind = WaitKind::frozen;
    call.detail = "cgroup freezer";
    call.timeout = no_limit();
    return true;
  }
  if (!(state & (kFrozen | kStopped | kTraced))) return false;
  call.kind = state & kFrozen ? WaitKind::frozen : WaitKind::stopped;
  if (call.kind == WaitKind::stopped && (state & kTraced)) call.detail = "by a debugger";
  call.timeout = no_limit();
  return true;
}

}  // namespace

WaitCall wait_call_of(const loiter_thread& record) {
  WaitCall call;
  call.uninterruptible = record.state & (kUninterruptible | kRtlockWait);
  if (take_state(call, record.state, record.marks)) return call;
  if (record.marks & LOITER_MARK_USER_WORKER) {
    call.detail = "a worker of the kernel's";
    if (record.task_flags & kIoWorker) call.kind = WaitKind::io_uring;
    return call;
  }
  if (!(record.marks & LOITER_MARK_REGS)) return call;
  if (record.regs.syscall < 0) {
    take_no_call(call, record.state);
    return call;
  }
  const bool compat = record.marks & LOITER_MARK_COMPAT;
  const SyscallEntry entry = blocking_call(record.regs.syscall, compat);
  take_call(call, entry.call, {record.regs.args, compat, entry.narrow}, record.state);
  return call;
}

}  // namespace loiter
