// refine_by_kernel_stack: what the functions of the kernel that a thread sleeps in say of its wait.
#include <linux/futex.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "daemon/inspect/wait_call.h"

namespace loiter {
namespace {

constexpr size_t kMaxFrames = 64;

struct Place {
  std::string_view prefix;  // of the function's name; several places: the first that fits
  WaitKind kind;
  const char* what;
  // Says what the thread is at, whatever its system call says; else only where that says little.
  bool always = false;
};

// What puts a thread to sleep for everybody, and says nothing of why.
constexpr std::array<std::string_view, 16> kSleepers{"__schedule",
                                                     "schedule",
                                                     "preempt_schedule",
                                                     "io_schedule",
                                                     "rt_mutex_schedule",
                                                     "bit_wait",
                                                     "__wait_on_bit",
                                                     "out_of_line_wait_on_bit",
                                                     "wait_for_completion",
                                                     "__wait_for_common",
                                                     "wait_woken",
                                                     "do_wait_for_common",
                                                     "swait_",
                                                     "prepare_to_wait",
                                                     "context_switch",
                                                     "__switch_to"};

struct KernelLock {
  std::string_view prefix;
  const char* what;
};

// Locks of the kernel's own: named by who wants them, which stands above.
constexpr std::array<KernelLock, 9> kLocks{{
    {"__mutex_lock", "a mutex of the kernel"},
    {"mutex_lock", "a mutex of the kernel"},
    {"rwsem_down", "a reader-writer lock of the kernel"},
    {"down_read", "a reader-writer lock of the kernel"},
    {"down_write", "a reader-writer lock of the kernel"},
    {"percpu_rwsem_wait", "a reader-writer lock of the kernel"},
    {"__percpu_down_read", "a reader-writer lock of the kernel"},
    {"percpu_down_write", "a reader-writer lock of the kernel"},
    {"__down", "a semaphore of the kernel"},
}};

// Linux 6.1 to 6.18: kernel/, mm/, block/, fs/, net/sunrpc/.
constexpr Place kPlaces[] = {
    {"do_freezer_trap", WaitKind::frozen, "cgroup freezer", true},
    {"__refrigerator", WaitKind::frozen, "freezer", true},
    {"do_signal_stop", WaitKind::stopped, "", true},
    {"do_jobctl_trap", WaitKind::stopped, "by a debugger", true},
    {"ptrace_stop", WaitKind::stopped, "by a debugger", true},
    {"wait_for_vfork_done", WaitKind::vfork, "its child to exec or end", true},
    {"handle_userfault", WaitKind::page_fault, "a page served by userfaultfd", true},
    {"flock_lock_inode_wait", WaitKind::file_lock, "flock", true},
    {"posix_lock_inode_wait", WaitKind::file_lock, "a POSIX lock", true},
    {"locks_lock_inode_wait", WaitKind::file_lock, "a file lock", true},
    {"do_lock_file_wait", WaitKind::file_lock, "a POSIX lock", true},
    {"__break_lease", WaitKind::file_lock, "a lease to be given up", true},
    {"fuse_lock_inode", WaitKind::disk, "a FUSE server"},
    {"request_wait_answer", WaitKind::disk, "a FUSE server"},
    {"fuse_", WaitKind::disk, "a FUSE server"},
    {"rpc_wait_bit", WaitKind::disk, "an NFS server"},
    {"__rpc_", WaitKind::disk, "an NFS server"},
    {"rpc_", WaitKind::disk, "an NFS server"},
    {"nfs", WaitKind::disk, "an NFS server"},
    {"cifs_", WaitKind::disk, "an SMB server"},
    {"smb2_", WaitKind::disk, "an SMB server"},
    {"ceph_", WaitKind::disk, "a Ceph server"},
    {"p9_client", WaitKind::disk, "a 9P server"},
    {"jbd2_", WaitKind::disk, "the journal of ext4"},
    {"wait_transaction_locked", WaitKind::disk, "the journal of ext4"},
    {"add_transaction_credits", WaitKind::disk, "the journal of ext4"},
    {"start_this_handle", WaitKind::disk, "the journal of ext4"},
    {"xlog_", WaitKind::disk, "the log of XFS"},
    {"xfs_log", WaitKind::disk, "the log of XFS"},
    {"xfs_buf", WaitKind::disk, "a buffer of XFS"},
    {"btrfs_", WaitKind::disk, "btrfs"},
    {"balance_dirty_pages", WaitKind::disk, "write-back: too many dirty pages"},
    {"wb_wait_for_completion", WaitKind::disk, "write-back"},
    {"folio_wait_writeback", WaitKind::disk, "write-back"},
    {"folio_wait", WaitKind::disk, "a page of a file"},
    {"__folio_lock", WaitKind::disk, "a page of a file"},
    {"wait_on_page", WaitKind::disk, "a page of a file"},
    {"__wait_on_buffer", WaitKind::disk, "a block of a device"},
    {"__bread", WaitKind::disk, "a block of a device"},
    {"submit_bio_wait", WaitKind::disk, "a block device"},
    {"blkdev_", WaitKind::disk, "a block device"},
    {"blk_", WaitKind::disk, "a block device"},
    {"__blk", WaitKind::disk, "a block device"},
    {"rq_qos_wait", WaitKind::disk, "a block device: throttled"},
    {"dm_", WaitKind::disk, "device mapper"},
    {"md_", WaitKind::disk, "a RAID array"},
    {"iomap_", WaitKind::disk, "a block device"},
    {"__iomap_dio", WaitKind::disk, "a block device"},
    {"inode_dio_wait", WaitKind::disk, "direct I/O"},
    {"do_swap_page", WaitKind::page_fault, "a page that was swapped out"},
    {"migration_entry_wait", WaitKind::page_fault, "a page that is being moved"},
    {"pipe_read", WaitKind::read, "a pipe"},
    {"anon_pipe_read", WaitKind::read, "a pipe"},
    {"pipe_write", WaitKind::write, "a pipe"},
    {"anon_pipe_write", WaitKind::write, "a pipe"},
    {"ipipe_prep", WaitKind::read, "a pipe"},
    {"splice_from_pipe", WaitKind::read, "a pipe"},
    {"opipe_prep", WaitKind::write, "a pipe"},
    {"wait_for_space", WaitKind::write, "a pipe"},
    {"fifo_open", WaitKind::other, "a FIFO whose other end nobody has opened"},
    {"n_tty_read", WaitKind::read, "a terminal"},
    {"n_tty_write", WaitKind::write, "a terminal"},
    {"hrtimer_nanosleep", WaitKind::sleep, ""},
    {"do_nanosleep", WaitKind::sleep, ""},
    {"futex_lock_pi", WaitKind::lock, ""},
    {"futex_wait", WaitKind::futex, ""},
    {"do_restart_poll", WaitKind::poll, ""},
    {"do_poll", WaitKind::poll, ""},
    {"mem_cgroup_handle_over_high", WaitKind::other, "the memory limit of its cgroup"},
    {"try_charge", WaitKind::other, "the memory limit of its cgroup"},
    {"synchronize_rcu", WaitKind::other, "an RCU grace period"},
    {"coredump_task_exit", WaitKind::other, "the core dump of its process"},
    {"vfs_coredump", WaitKind::other, "the core dump of its process"},
    {"do_exit", WaitKind::other, "the end of the thread"},
    {"do_group_exit", WaitKind::other, "the end of the thread"},
};

// Entries of page faults; arm64's is do_mem_abort.
constexpr std::array<std::string_view, 5> kFaults{"handle_mm_fault", "do_user_addr_fault", "exc_page_fault",
                                                  "do_page_fault", "do_mem_abort"};

// "nfs_wait_bit_killable.constprop.0+0x1c/0x80" is nfs_wait_bit_killable.
std::string_view function_of(std::string_view frame) {
  return frame.substr(0, frame.find_first_of("+. ["));
}

template <typename Prefixes>
bool is_any_of(std::string_view function, const Prefixes& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return function.starts_with(prefix); });
}

const Place* place_of(std::string_view function) {
  auto found = std::find_if(std::begin(kPlaces), std::end(kPlaces),
                            [&](const Place& place) { return function.starts_with(place.prefix); });
  return found == std::end(kPlaces) ? nullptr : found;
}

const KernelLock* lock_of(std::string_view function) {
  auto found = std::find_if(kLocks.begin(), kLocks.end(),
                            [&](const KernelLock& lock) { return function.starts_with(lock.prefix); });
  return found == kLocks.end() ? nullptr : found;
}

struct Reading {
  const Place* place = nullptr;
  const KernelLock* lock = nullptr;
  std::string_view function;  // innermost that says something
  bool io = false;            // it sleeps as one that waits for I/O
  bool fault = false;
};

// The innermost function that tells something decides: a lock inside ext4 is a lock. Those that hold for the
// thread as a whole count wherever they stand.
Reading read_stack(std::span<const std::string> stack) {
  Reading reading;
  for (const std::string& frame : stack.first(std::min(stack.size(), kMaxFrames))) {
    const std::string_view function = function_of(frame);
    if (function.starts_with("io_schedule") || function.starts_with("bit_wait_io")) reading.io = true;
    if (is_any_of(function, kFaults)) reading.fault = true;
    if (function.empty() || is_any_of(function, kSleepers)) continue;
    const Place* place = place_of(function);
    if (place && (place->always || (!reading.place && !reading.lock))) {
      if (!reading.place || !reading.place->always) reading.place = place;
    }
    const KernelLock* lock = lock_of(function);
    if (lock) {
      if (!reading.place && !reading.lock) reading.lock = lock;
      continue;
    }
    if (reading.function.empty()) reading.function = function;
  }
  return reading;
}

std::string phrase(const char* what, std::string_view function) {
  std::string text = what;
  if (function.empty()) return text;
  text += text.empty() ? "in " : ", in ";
  return text += function;
}

// The arguments are still there (KERNEL_GLIBC.md section 1). FUTEX_WAIT has made its length a moment by then,
// in the kernel's memory.
void restore_futex(WaitCall& call, const loiter_thread& record) {
  loiter_thread again = record;
  const bool compat = record.marks & LOITER_MARK_COMPAT;
  again.regs.syscall = compat ? 240 : record.regs.syscall;
#if defined(__x86_64__)
  if (!compat) again.regs.syscall = 202;
#elif defined(__aarch64__)
  if (!compat) again.regs.syscall = 98;
#endif
  const WaitCall before = wait_call_of(again);
  if (!before.futex) return;
  call.futex = before.futex;
  call.timeout = before.timeout;
}

}  // namespace

bool wants_kernel_stack(const WaitCall& call) {
  return call.uninterruptible || call.restarted || call.kind == WaitKind::other ||
         call.kind == WaitKind::page_fault;
}

void refine_by_kernel_stack(WaitCall& call, std::span<const std::string> kernel_stack, std::string& detail,
                            const loiter_thread* record) {
  const Reading reading = read_stack(kernel_stack);
  if (reading.place && reading.place->always) {
    call.kind = reading.place->kind;
    detail = reading.place->what;
    return;
  }
  if (!wants_kernel_stack(call)) return;
  const char* what = reading.lock ? reading.lock->what : reading.place ? reading.place->what : "";
  if (reading.fault) {
    call.kind = WaitKind::page_fault;
    if (!*what && reading.io) what = "a page of a file";
  } else if (reading.lock) {
    call.kind = WaitKind::lock;
  } else if (reading.place && reading.place->kind != WaitKind::other) {
    call.kind = reading.place->kind;
  } else if (reading.io) {
    call.kind = WaitKind::disk;
    if (!*what) what = "I/O";
  }
  if (call.restarted && call.kind == WaitKind::futex && record) restore_futex(call, *record);
  if (reading.lock || reading.place || reading.io || !reading.function.empty())
    detail = phrase(what, reading.function);
}

}  // namespace loiter
