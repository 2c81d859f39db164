#include "daemon/inspect/wait_call.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/wait.h>
#include <sys/syscall.h>
#include <time.h>

#include <array>
#include <string_view>

namespace loiter {
namespace {

// Younger than bookworm's headers.
constexpr int64_t kFutexWaitCall = 455;  // futex_wait, since 6.7 (cb8c4312afca)
constexpr uint32_t kFutex2Private = FUTEX_PRIVATE_FLAG;

// include/linux/sched.h
constexpr uint32_t kStateUninterruptible = 0x2;
constexpr uint32_t kStateStopped = 0x4;
constexpr uint32_t kStateTraced = 0x8;
constexpr uint32_t kStateNoLoad = 0x400;
constexpr uint32_t kStateFrozen = 0x8000;
constexpr uint32_t kFlagFrozen = 0x00010000;  // PF_FROZEN before 6.1

using Args = std::span<const __u64, LOITER_SYSCALL_ARGS>;
using Form = TimeoutSource::Form;
using Clock = TimeoutSource::Clock;

TimeoutSource pointer(uint64_t address, Form form, Clock clock = Clock::relative) {
  if (address == 0) return {};
  return {form, clock, address, 0};
}

// poll's and epoll's: below zero is for ever.
TimeoutSource milliseconds(uint64_t argument) {
  auto value = static_cast<int32_t>(argument);
  if (value < 0) return {};
  return {Form::value, Clock::relative, 0, static_cast<uint64_t>(value) * 1'000'000};
}

Clock clock_of(uint64_t id) {
  switch (id) {
    case CLOCK_MONOTONIC:
      return Clock::monotonic;
    case CLOCK_BOOTTIME:
      return Clock::boottime;
    default:
      return Clock::realtime;
  }
}

WaitCall on_fd(WaitKind kind, uint64_t fd, TimeoutSource timeout = {}) {
  WaitCall call;
  call.kind = kind;
  call.fd = static_cast<int>(fd);
  call.timeout = timeout;
  return call;
}

WaitCall of_kind(WaitKind kind, TimeoutSource timeout = {}, const char* detail = nullptr) {
  WaitCall call;
  call.kind = kind;
  call.timeout = timeout;
  call.detail = detail;
  return call;
}

// FUTEX_WAIT counts from now, the others till then: on CLOCK_MONOTONIC, or CLOCK_REALTIME with its flag;
// LOCK_PI always on CLOCK_REALTIME, LOCK_PI2 as the flag says (man 2 futex).
WaitCall futex_call(Args args, Form form) {
  auto operation = static_cast<uint32_t>(args[1]);
  WaitCall call;
  call.kind = WaitKind::futex;
  FutexCall futex{.address = args[0],
                  .value = static_cast<uint32_t>(args[2]),
                  .is_private = (operation & FUTEX_PRIVATE_FLAG) != 0};
  Clock clock = operation & FUTEX_CLOCK_REALTIME ? Clock::realtime : Clock::monotonic;
  switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
      futex.operation = FutexOperation::wait;
      clock = Clock::relative;
      break;
    case FUTEX_WAIT_BITSET:
      futex.operation = FutexOperation::wait_bitset;
      break;
    case FUTEX_LOCK_PI:
      futex.operation = FutexOperation::lock_pi;
      clock = Clock::realtime;
      call.kind = WaitKind::lock;
      break;
    case FUTEX_LOCK_PI2:
      futex.operation = FutexOperation::lock_pi2;
      call.kind = WaitKind::lock;
      break;
    case FUTEX_WAIT_REQUEUE_PI:
      futex.operation = FutexOperation::wait_requeue_pi;
      break;
    default:
      return of_kind(WaitKind::futex);  // wakes only, and yet it is blocked: a contended bucket
  }
  call.futex = futex;
  call.timeout = pointer(args[3], form, clock);
  return call;
}

WaitCall futex_waitv_call(Args args) {
  WaitCall call;
  call.kind = WaitKind::futex;
  // Whether they are private stands in the list.
  call.futex = FutexCall{.operation = FutexOperation::waitv, .address = args[0], .value = args[1]};
  call.timeout = pointer(args[3], Form::timespec, clock_of(args[4]));
  call.detail = "futex_waitv";
  return call;
}

// futex_wait(uaddr, val, mask, flags, timespec, clockid)
WaitCall futex_wait2_call(Args args) {
  WaitCall call;
  call.kind = WaitKind::futex;
  call.futex = FutexCall{.operation = FutexOperation::wait2,
                         .address = args[0],
                         .value = args[1],
                         .is_private = (args[3] & kFutex2Private) != 0};
  call.timeout = pointer(args[4], Form::timespec, clock_of(args[5]));
  return call;
}

WaitCall wait4_call(Args args) {
  auto pid = static_cast<int32_t>(args[0]);
  ChildWish wish;
  if (pid > 0) wish = {ChildWish::Which::pid, static_cast<uint32_t>(pid)};
  if (pid == 0) wish = {ChildWish::Which::group, 0};
  if (pid < -1) wish = {ChildWish::Which::group, static_cast<uint32_t>(-pid)};
  WaitCall call = of_kind(WaitKind::wait_child);
  call.child = wish;
  return call;
}

WaitCall waitid_call(Args args) {
  ChildWish wish;
  if (args[0] == P_PID) wish = {ChildWish::Which::pid, static_cast<uint32_t>(args[1])};
  if (args[0] == P_PGID) wish = {ChildWish::Which::group, static_cast<uint32_t>(args[1])};
  if (args[0] == P_PIDFD) wish = {ChildWish::Which::pidfd, static_cast<uint32_t>(args[1])};
  WaitCall call = of_kind(WaitKind::wait_child);
  call.child = wish;
  return call;
}

WaitCall clock_nanosleep_call(Args args, Form form) {
  bool absolute = args[1] & TIMER_ABSTIME;
  return of_kind(WaitKind::sleep, pointer(args[2], form, absolute ? clock_of(args[0]) : Clock::relative));
}

WaitCall fcntl_call(Args args) {
  switch (args[1]) {
    case F_SETLKW:
    case F_OFD_SETLKW:
    case 14:  // F_SETLKW64 of 32-bit programs
      return on_fd(WaitKind::file_lock, args[0]);
    default:
      return on_fd(WaitKind::other, args[0]);
  }
}

// A socket may have a timeout of its own, which the call does not tell.
WaitCall on_socket(WaitKind kind, uint64_t fd) {
  return on_fd(kind, fd, {Form::unknown, Clock::relative, 0, 0});
}

// In the order of what is met most.
WaitCall native_call(int64_t number, Args args) {
  switch (number) {
    case SYS_futex:
      return futex_call(args, Form::timespec);
    case SYS_futex_waitv:
      return futex_waitv_call(args);
    case kFutexWaitCall:
      return futex_wait2_call(args);
    case SYS_nanosleep:
      return of_kind(WaitKind::sleep, pointer(args[0], Form::timespec));
    case SYS_clock_nanosleep:
      return clock_nanosleep_call(args, Form::timespec);
    case SYS_restart_syscall:  // what it was before, no longer shows: a sleep, poll or futex with a timeout
      return of_kind(WaitKind::other, {Form::unknown, Clock::relative, 0, 0}, "a restarted system call");
#ifdef SYS_poll
    case SYS_poll:
      return of_kind(WaitKind::poll, milliseconds(args[2]));
    case SYS_select:
      return of_kind(WaitKind::poll, pointer(args[4], Form::timeval));
    case SYS_epoll_wait:
      return on_fd(WaitKind::poll, args[0], milliseconds(args[3]));
    case SYS_pause:
      return of_kind(WaitKind::signal);
#endif
    case SYS_ppoll:
      return of_kind(WaitKind::poll, pointer(args[2], Form::timespec));
    case SYS_pselect6:
      return of_kind(WaitKind::poll, pointer(args[4], Form::timespec));
    case SYS_epoll_pwait:
      return on_fd(WaitKind::poll, args[0], milliseconds(args[3]));
    case SYS_epoll_pwait2:
      return on_fd(WaitKind::poll, args[0], pointer(args[3], Form::timespec));
    case SYS_accept:
    case SYS_accept4:
      return on_socket(WaitKind::accept, args[0]);
    case SYS_connect:
      return on_socket(WaitKind::connect, args[0]);
    case SYS_recvfrom:
    case SYS_recvmsg:
      return on_socket(WaitKind::read, args[0]);
    case SYS_recvmmsg:
      return on_fd(WaitKind::read, args[0], pointer(args[4], Form::timespec));
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
      return on_socket(WaitKind::write, args[0]);
    case SYS_read:
    case SYS_readv:
    case SYS_pread64:
    case SYS_preadv:
    case SYS_preadv2:
    case SYS_getdents64:
      return on_fd(WaitKind::read, args[0]);
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_pwritev2:
      return on_fd(WaitKind::write, args[0]);
    case SYS_splice:
    case SYS_tee:
    case SYS_copy_file_range:
      return on_fd(WaitKind::read, args[0]);
    case SYS_sendfile:
      return on_fd(WaitKind::write, args[0]);
    case SYS_wait4:
      return wait4_call(args);
    case SYS_waitid:
      return waitid_call(args);
    case SYS_rt_sigtimedwait:
      return of_kind(WaitKind::signal, pointer(args[2], Form::timespec));
    case SYS_rt_sigsuspend:
      return of_kind(WaitKind::signal);
    case SYS_flock:
      return on_fd(WaitKind::file_lock, args[0]);
    case SYS_fcntl:
      return fcntl_call(args);
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_semop:
      return of_kind(WaitKind::ipc);
    case SYS_semtimedop:
      return of_kind(WaitKind::ipc, pointer(args[3], Form::timespec));
    case SYS_mq_timedreceive:
    case SYS_mq_timedsend: {
      WaitCall call = on_fd(WaitKind::ipc, args[0], pointer(args[4], Form::timespec, Clock::realtime));
      return call;
    }
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_syncfs:
      return on_fd(WaitKind::disk, args[0]);
    case SYS_sync:
      return of_kind(WaitKind::disk);
    case SYS_io_getevents:
      return of_kind(WaitKind::disk, pointer(args[4], Form::timespec));
    case SYS_io_pgetevents:
      return of_kind(WaitKind::disk, pointer(args[4], Form::timespec));
    case SYS_io_uring_enter:
      return on_fd(WaitKind::io_uring, args[0], {Form::unknown, Clock::relative, 0, 0});
#ifdef SYS_vfork
    case SYS_vfork:
#endif
    case SYS_clone:
    case SYS_clone3:
      return of_kind(WaitKind::vfork);  // the only sleep in them that lasts
    default:
      return of_kind(WaitKind::other);
  }
}

struct Place {
  std::string_view function;
  WaitKind kind;
  const char* what;
};

// Functions that say why a thread sleeps uninterruptibly, from mm/, block/, fs/ and kernel/. The first frame
// that is listed decides, so what waits inside stands before what called it.
constexpr std::array<Place, 34> kPlaces{{
    {"io_schedule", WaitKind::disk, "I/O"},
    {"folio_wait", WaitKind::disk, "a page of a file"},
    {"wait_on_page", WaitKind::disk, "a page of a file"},
    {"__lock_page", WaitKind::disk, "a page of a file"},
    {"bit_wait_io", WaitKind::disk, "I/O"},
    {"blk_", WaitKind::disk, "a block device"},
    {"submit_bio_wait", WaitKind::disk, "a block device"},
    {"jbd2_", WaitKind::disk, "the ext4 journal"},
    {"xlog_", WaitKind::disk, "the XFS log"},
    {"xfs_", WaitKind::disk, "XFS"},
    {"ext4_", WaitKind::disk, "ext4"},
    {"btrfs_", WaitKind::disk, "btrfs"},
    {"nfs_", WaitKind::disk, "NFS"},
    {"nfs4_", WaitKind::disk, "NFS"},
    {"rpc_wait", WaitKind::disk, "an NFS server"},
    {"fuse_", WaitKind::disk, "a FUSE server"},
    {"request_wait_answer", WaitKind::disk, "a FUSE server"},
    {"cifs_", WaitKind::disk, "an SMB server"},
    {"balance_dirty_pages", WaitKind::disk, "write-back: too many dirty pages"},
    {"writeback_", WaitKind::disk, "write-back"},
    {"wb_wait", WaitKind::disk, "write-back"},
    {"handle_userfault", WaitKind::page_fault, "userfaultfd's reader"},
    {"do_swap_page", WaitKind::page_fault, "a page that was swapped out"},
    {"wait_for_vfork_done", WaitKind::vfork, "its child to exec or end"},
    {"flock_lock", WaitKind::file_lock, "a file lock"},
    {"posix_lock", WaitKind::file_lock, "a file lock"},
    {"freezer", WaitKind::frozen, "being thawed"},
    {"refrigerator", WaitKind::frozen, "being thawed"},
    {"rwsem_down", WaitKind::other, "a kernel rwsem"},
    {"down_read", WaitKind::other, "a kernel rwsem"},
    {"down_write", WaitKind::other, "a kernel rwsem"},
    {"__mutex_lock", WaitKind::other, "a kernel mutex"},
    {"handle_mm_fault", WaitKind::page_fault, "a page fault"},
    {"exc_page_fault", WaitKind::page_fault, "a page fault"},
}};

std::string_view function_of(std::string_view frame) {
  return frame.substr(0, frame.find('+'));
}

bool is_scheduler(std::string_view function) {
  return function.starts_with("__schedule") || function.starts_with("schedule") ||
         function.starts_with("rwsem_") || function.starts_with("__mutex") ||
         function.starts_with("mutex_") || function.starts_with("down_");
}

}  // namespace

const char* to_string(WaitKind kind) {
  static constexpr std::array<const char*, 23> kNames{
      "lock",   "condvar", "join",    "semaphore", "barrier",    "futex",    "sleep",     "poll",
      "accept", "read",    "write",   "connect",   "wait_child", "signal",   "file_lock", "ipc",
      "disk",   "vfork",   "stopped", "frozen",    "page_fault", "io_uring", "other"};
  return kNames[static_cast<size_t>(kind)];
}

const char* to_string(FutexOperation operation) {
  static constexpr std::array<const char*, 7> kNames{
      "FUTEX_WAIT",  "FUTEX_WAIT_BITSET", "FUTEX_LOCK_PI", "FUTEX_LOCK_PI2", "FUTEX_WAIT_REQUEUE_PI",
      "futex_waitv", "futex_wait"};
  return kNames[static_cast<size_t>(operation)];
}

WaitCall wait_call_of(const loiter_thread& record) {
  if (record.state & kStateTraced) return of_kind(WaitKind::stopped, {}, "a debugger holds it");
  if (record.state & kStateStopped) return of_kind(WaitKind::stopped, {}, "by a signal");
  if ((record.state & kStateFrozen) || (record.task_flags & kFlagFrozen)) return of_kind(WaitKind::frozen);
  if (record.marks & LOITER_MARK_USER_WORKER)
    return of_kind(WaitKind::io_uring, {}, "a worker of the kernel's");
  if (!(record.marks & LOITER_MARK_REGS)) return of_kind(WaitKind::other);
  bool hard = (record.state & kStateUninterruptible) && !(record.state & kStateNoLoad);
  if (record.regs.syscall < 0)  // came into the kernel by a fault, which is all that can sleep there
    return of_kind(hard || record.state != 0 ? WaitKind::page_fault : WaitKind::other);
  Args args(record.regs.args);
  if (record.marks & LOITER_MARK_COMPAT) return of_kind(WaitKind::other, {}, "a 32-bit program");
  return native_call(record.regs.syscall, args);
}

void refine_by_kernel_stack(WaitCall& call, std::span<const std::string> kernel_stack, std::string& detail) {
  for (const std::string& frame : kernel_stack) {
    std::string_view function = function_of(frame);
    for (const Place& place : kPlaces) {
      if (!function.starts_with(place.function)) continue;
      call.kind = place.kind;
      detail = place.what;
      break;
    }
    if (!detail.empty()) break;
  }
  // Who called the lock or the wait says more than the lock itself.
  for (const std::string& frame : kernel_stack) {
    std::string_view function = function_of(frame);
    if (is_scheduler(function)) continue;
    detail += detail.empty() ? "in " : ", in ";
    detail += function;
    return;
  }
}

}  // namespace loiter
