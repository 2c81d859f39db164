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
  const char* what;
  WaitKind kind;
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
  bool per_cpu = false;
};

// Locks of the kernel's own: named by who wants them, which stands above.
constexpr std::array<KernelLock, 9> kLocks{{
    {"__mutex_lock", "a mutex of the kernel"},
    {"mutex_lock", "a mutex of the kernel"},
    {"rwsem_down", "a reader-writer lock of the kernel"},
    {"down_read", "a reader-writer lock of the kernel"},
    {"down_write", "a reader-writer lock of the kernel"},
    {"percpu_rwsem_wait", "a reader-writer lock of the kernel", true},
    {"__percpu_down_read", "a reader-writer lock of the kernel", true},
    {"percpu_down_write", "a reader-writer lock of the kernel"},
    {"__down", "a semaphore of the kernel"},
}};

// Linux 6.1 to 6.18: kernel/, mm/, block/, fs/, net/sunrpc/.
constexpr Place kPlaces[] = {
    {"do_freezer_trap", "cgroup freezer", WaitKind::frozen, true},
    {"__refrigerator", "freezer", WaitKind::frozen, true},
    {"do_signal_stop", "", WaitKind::stopped, true},
    {"do_jobctl_trap", "by a debugger", WaitKind::stopped, true},
    {"ptrace_stop", "by a debugger", WaitKind::stopped, true},
    {"wait_for_vfork_done", "its child to exec or end", WaitKind::vfork, true},
    {"handle_userfault", "a page served by userfaultfd", WaitKind::page_fault, true},
    {"flock_lock_inode_wait", "flock", WaitKind::file_lock, true},
    {"posix_lock_inode_wait", "a POSIX lock", WaitKind::file_lock, true},
    {"locks_lock_inode_wait", "a file lock", WaitKind::file_lock, true},
    {"do_lock_file_wait", "a POSIX lock", WaitKind::file_lock, true},
    {"__break_lease", "a lease to be given up", WaitKind::file_lock, true},
    {"fuse_lock_inode", "a FUSE server", WaitKind::disk},
    {"request_wait_answer", "a FUSE server", WaitKind::disk},
    {"fuse_", "a FUSE server", WaitKind::disk},
    {"rpc_wait_bit", "an NFS server", WaitKind::disk},
    {"__rpc_", "an NFS server", WaitKind::disk},
    {"rpc_", "an NFS server", WaitKind::disk},
    {"nfs", "an NFS server", WaitKind::disk},
    {"cifs_", "an SMB server", WaitKind::disk},
    {"smb2_", "an SMB server", WaitKind::disk},
    {"ceph_", "a Ceph server", WaitKind::disk},
    {"p9_client", "a 9P server", WaitKind::disk},
    {"jbd2_", "the journal of ext4", WaitKind::disk},
    {"wait_transaction_locked", "the journal of ext4", WaitKind::disk},
    {"add_transaction_credits", "the journal of ext4", WaitKind::disk},
    {"start_this_handle", "the journal of ext4", WaitKind::disk},
    {"xlog_", "the log of XFS", WaitKind::disk},
    {"xfs_log", "the log of XFS", WaitKind::disk},
    {"xfs_buf", "a buffer of XFS", WaitKind::disk},
    {"btrfs_", "btrfs", WaitKind::disk},
    {"balance_dirty_pages", "write-back: too many dirty pages", WaitKind::disk},
    {"wb_wait_for_completion", "write-back", WaitKind::disk},
    {"folio_wait_writeback", "write-back", WaitKind::disk},
    {"folio_wait", "a page of a file", WaitKind::disk},
    {"__folio_lock", "a page of a file", WaitKind::disk},
    {"wait_on_page", "a page of a file", WaitKind::disk},
    {"__wait_on_buffer", "a block of a device", WaitKind::disk},
    {"__bread", "a block of a device", WaitKind::disk},
    {"submit_bio_wait", "a block device", WaitKind::disk},
    {"blkdev_", "a block device", WaitKind::disk},
    {"blk_", "a block device", WaitKind::disk},
    {"__blk", "a block device", WaitKind::disk},
    {"rq_qos_wait", "a block device: throttled", WaitKind::disk},
    {"dm_", "device mapper", WaitKind::disk},
    {"md_", "a RAID array", WaitKind::disk},
    {"iomap_", "a block device", WaitKind::disk},
    {"__iomap_dio", "a block device", WaitKind::disk},
    {"inode_dio_wait", "direct I/O", WaitKind::disk},
    {"do_swap_page", "a page that was swapped out", WaitKind::page_fault},
    {"migration_entry_wait", "a page that is being moved", WaitKind::page_fault},
    {"pipe_read", "a pipe", WaitKind::read},
    {"anon_pipe_read", "a pipe", WaitKind::read},
    {"pipe_write", "a pipe", WaitKind::write},
    {"anon_pipe_write", "a pipe", WaitKind::write},
    {"ipipe_prep", "a pipe", WaitKind::read},
    {"splice_from_pipe", "a pipe", WaitKind::read},
    {"opipe_prep", "a pipe", WaitKind::write},
    {"wait_for_space", "a pipe", WaitKind::write},
    {"fifo_open", "a FIFO whose other end nobody has opened", WaitKind::other},
    {"n_tty_read", "a terminal", WaitKind::read},
    {"n_tty_write", "a terminal", WaitKind::write},
    {"hrtimer_nanosleep", "", WaitKind::sleep},
    {"do_nanosleep", "", WaitKind::sleep},
    {"futex_lock_pi", "", WaitKind::lock},
    {"futex_wait", "", WaitKind::futex},
    {"do_restart_poll", "", WaitKind::poll},
    {"do_poll", "", WaitKind::poll},
    {"mem_cgroup_handle_over_high", "the memory limit of its cgroup", WaitKind::other},
    {"try_charge", "the memory limit of its cgroup", WaitKind::other},
    {"synchronize_rcu", "an RCU grace period", WaitKind::other},
    {"coredump_task_exit", "the core dump of its process", WaitKind::other},
    {"vfs_coredump", "the core dump of its process", WaitKind::other},
    {"do_exit", "the end of the thread", WaitKind::other},
    {"do_group_exit", "the end of the thread", WaitKind::other},
};

// A file system that is frozen keeps a per-CPU lock from whoever would write: sb_start_write and its kin
// (include/linux/fs.h) stand inlined in these.
constexpr Place kFrozenFiles{"", "a frozen file system", WaitKind::disk};
constexpr std::array<std::string_view, 18> kWriters{
    "mnt_want_write",    "__sb_start_write",     "vfs_write",
    "vfs_iter_write",    "vfs_iocb_iter_write",  "do_iter_",
    "vfs_fallocate",     "do_sendfile",          "do_splice_",
    "splice_file_range", "vfs_copy_file",        "aio_write",
    "io_write",          "io_kiocb_start_write", "filemap_page_mkwrite",
    "ext4_page_mkwrite", "__xfs_filemap_fault",  "xfs_write_fault"};

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
  if (reading.lock && reading.lock->per_cpu && is_any_of(reading.function, kWriters)) {
    reading.lock = nullptr;
    reading.place = &kFrozenFiles;
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

bool call_says_little(const WaitCall& call) {
  return call.uninterruptible || call.restarted || call.kind == WaitKind::other ||
         call.kind == WaitKind::page_fault;
}

// What its system call waits for does not matter until it is let go.
void put_away(WaitCall& call, WaitKind kind) {
  const bool uninterruptible = call.uninterruptible;
  call = {};
  call.kind = kind;
  call.uninterruptible = uninterruptible;
  call.timeout.form = TimeoutSource::Form::none;
}

void take_whole(WaitCall& call, WaitKind kind) {
  if (kind == WaitKind::frozen || kind == WaitKind::stopped) return put_away(call, kind);
  call.kind = kind;
}

}  // namespace

void refine_by_kernel_stack(WaitCall& call, std::span<const std::string> kernel_stack, std::string& detail,
                            const loiter_thread* record) {
  const Reading reading = read_stack(kernel_stack);
  if (reading.place && reading.place->always) {
    take_whole(call, reading.place->kind);
    detail = reading.place->what;
    return;
  }
  // do_freezer_trap may be inlined. What else sleeps in get_signal itself is stopped, and its state says so.
  if (reading.function == "get_signal" && !reading.place && call.kind != WaitKind::stopped) {
    take_whole(call, WaitKind::frozen);
    detail = "cgroup freezer";
    return;
  }
  if (!call_says_little(call)) return;
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
