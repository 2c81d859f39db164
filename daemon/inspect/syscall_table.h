// System calls that can block, by number: what wait_call.cpp has a rule for. Thread-safe.
//
// The numbers are libseccomp's, so there is one list for all architectures; what its tables lack or hide
// behind numbers of its own stands in syscall_table.cpp.
#pragma once

#include <cstdint>

namespace loiter {

enum class BlockingCall : uint8_t {
  other,
  futex,
  futex_waitv,
  futex_wait,  // the system call of Linux 6.7, not the operation
  nanosleep,
  clock_nanosleep,
  poll,
  ppoll,
  select,
  old_select,  // i386: its arguments are in memory
  pselect,
  epoll_wait,
  epoll_pwait2,
  read,
  receive,  // from a socket
  write,
  send,
  sendfile,
  accept,
  connect,
  wait4,
  waitid,
  sigtimedwait,
  sigsuspend,
  flock,
  fcntl,
  ipc_wait,  // msgrcv, msgsnd, semop
  semtimedop,
  mq_timed,
  ipc,         // i386: many in one
  socketcall,  // i386: likewise
  io_uring_enter,
  io_getevents,
  vfork,
  clone,
  clone3,
  sync_fd,  // fsync and its like
  sync,     // of everything, or of memory
  restart,
  with_fd,  // others whose first argument is a descriptor
};

struct SyscallEntry {
  BlockingCall call = BlockingCall::other;
  bool narrow =
      false;  // its times are of 32 bits: a call of a 32-bit program that is not one of the "_time64"
};

// Of this machine's table, or of the 32-bit one if `compat`.
SyscallEntry blocking_call(int64_t number, bool compat);

}  // namespace loiter
