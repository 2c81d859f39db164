// What a blocked thread waits for by its system call: every call that has a rule, of 64- and 32-bit programs.
#include "daemon/inspect/wait_call.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <array>
#include <span>
#include <vector>

namespace loiter {
namespace {

using Form = TimeoutSource::Form;
using Clock = TimeoutSource::Clock;
using Option = TimeoutSource::SocketOption;

loiter_thread record(int64_t number, std::vector<uint64_t> args = {}, bool compat = false,
                     uint32_t state = 1) {
  loiter_thread thread{};
  thread.state = state;
  thread.marks = LOITER_MARK_REGS + (compat ? static_cast<uint32_t>(LOITER_MARK_COMPAT) : 0u);
  thread.regs.syscall = number;
  for (size_t i = 0; i < args.size(); ++i) thread.regs.args[i] = args[i];
  return thread;
}

WaitCall call_of(int64_t number, std::vector<uint64_t> args = {}, bool compat = false) {
  return wait_call_of(record(number, std::move(args), compat));
}

constexpr uint64_t kMinusOne = 0xffffffff;  // an int: what stands above is nobody's

TEST(WaitCall, FutexWaitTakesALength) {
  const WaitCall call = call_of(SYS_futex, {0x7000, FUTEX_WAIT_PRIVATE, 0xdead00000002, 0x8000});
  EXPECT_EQ(call.kind, WaitKind::futex);
  ASSERT_TRUE(call.futex);
  EXPECT_EQ(call.futex->operation, FutexOperation::wait);
  EXPECT_EQ(call.futex->address, 0x7000u);
  EXPECT_EQ(call.futex->value, 2u) << "32 bits";
  EXPECT_TRUE(call.futex->is_private);
  EXPECT_EQ(call.timeout.form, Form::timespec);
  EXPECT_EQ(call.timeout.clock, Clock::relative);
  EXPECT_EQ(call.timeout.address, 0x8000u);
}

TEST(WaitCall, FutexWithoutATimeIsUnbounded) {
  EXPECT_EQ(call_of(SYS_futex, {0x7000, FUTEX_WAIT, 0, 0}).timeout.form, Form::none);
  EXPECT_FALSE(call_of(SYS_futex, {0x7000, FUTEX_WAIT, 0, 0}).futex->is_private);
}

TEST(WaitCall, EachFutexOperationHasItsClock) {
  struct Case {
    int op;
    FutexOperation operation;
    Clock clock;
    WaitKind kind;
  };
  constexpr int kLockPi2 = 13;
  for (const Case& c : std::vector<Case>{
           {FUTEX_WAIT_BITSET, FutexOperation::wait_bitset, Clock::monotonic, WaitKind::futex},
           {FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, FutexOperation::wait_bitset, Clock::realtime,
            WaitKind::futex},
           {FUTEX_LOCK_PI, FutexOperation::lock_pi, Clock::realtime, WaitKind::lock},
           {kLockPi2, FutexOperation::lock_pi2, Clock::monotonic, WaitKind::lock},
           {FUTEX_WAIT_REQUEUE_PI, FutexOperation::wait_requeue_pi, Clock::monotonic, WaitKind::futex}}) {
    const WaitCall call = call_of(SYS_futex, {0x7000, static_cast<uint64_t>(c.op), 1, 0x8000});
    ASSERT_TRUE(call.futex) << c.op;
    EXPECT_EQ(call.futex->operation, c.operation) << c.op;
    EXPECT_EQ(call.timeout.clock, c.clock) << c.op;
    EXPECT_EQ(call.kind, c.kind) << c.op;
  }
}

TEST(WaitCall, AFutexCallThatWakesIsNoWaitForAFutex) {
  const WaitCall call = call_of(SYS_futex, {0x7000, FUTEX_WAKE, 1});
  EXPECT_EQ(call.kind, WaitKind::other);
  EXPECT_FALSE(call.futex);
}

TEST(WaitCall, YoungerFutexCalls) {
  const WaitCall many = call_of(449, {0x7000, 3, 0, 0x8000, CLOCK_REALTIME});
  EXPECT_EQ(many.futex->operation, FutexOperation::waitv);
  EXPECT_EQ(many.futex->value, 3u);
  EXPECT_EQ(many.timeout.clock, Clock::realtime);
  const WaitCall one = call_of(455, {0x7000, 7, ~0ull, FUTEX_PRIVATE_FLAG | 2, 0, CLOCK_MONOTONIC});
  EXPECT_EQ(one.futex->operation, FutexOperation::wait2);
  EXPECT_EQ(one.futex->value, 7u);
  EXPECT_TRUE(one.futex->is_private);
  EXPECT_EQ(one.timeout.form, Form::none);
}

TEST(WaitCall, Sleeps) {
  EXPECT_EQ(call_of(SYS_nanosleep, {0x9000}).kind, WaitKind::sleep);
  EXPECT_EQ(call_of(SYS_nanosleep, {0x9000}).timeout.address, 0x9000u);
  const WaitCall length = call_of(SYS_clock_nanosleep, {CLOCK_REALTIME, 0, 0x9000});
  EXPECT_EQ(length.timeout.clock, Clock::relative);
  const WaitCall until = call_of(SYS_clock_nanosleep, {CLOCK_BOOTTIME, TIMER_ABSTIME, 0x9000});
  EXPECT_EQ(until.timeout.clock, Clock::boottime);
  // On a CPU-time clock of the process itself.
  EXPECT_EQ(call_of(SYS_clock_nanosleep, {CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, 0x9000}).timeout.form,
            Form::unknown);
}

#if defined(__x86_64__)
TEST(WaitCall, PollsOfOldWithMilliseconds) {
  const WaitCall bounded = call_of(SYS_poll, {0x5000, 4, 1500});
  EXPECT_EQ(bounded.kind, WaitKind::poll);
  EXPECT_EQ(bounded.timeout.form, Form::value);
  EXPECT_EQ(bounded.timeout.ns, 1'500'000'000u);
  EXPECT_EQ(bounded.set_address, 0x5000u);
  EXPECT_EQ(bounded.set_count, 4u);
  EXPECT_EQ(call_of(SYS_poll, {0x5000, 4, kMinusOne}).timeout.form, Form::none);
  EXPECT_EQ(call_of(SYS_epoll_wait, {6, 0x5000, 8, kMinusOne}).fd, 6);
  EXPECT_EQ(call_of(SYS_select, {8, 1, 0, 0, 0x6000}).timeout.form, Form::timeval);
  EXPECT_EQ(call_of(SYS_pause).kind, WaitKind::signal);
}
#endif

TEST(WaitCall, Polls) {
  EXPECT_EQ(call_of(SYS_ppoll, {0x5000, 4, 0}).timeout.form, Form::none);
  EXPECT_EQ(call_of(SYS_ppoll, {0x5000, 4, 0x6000}).timeout.form, Form::timespec);
  EXPECT_EQ(call_of(SYS_pselect6, {8, 1, 0, 0, 0x6000}).timeout.address, 0x6000u);
  EXPECT_EQ(call_of(SYS_epoll_pwait, {6, 0x5000, 8, 20}).timeout.ns, 20'000'000u);
  EXPECT_EQ(call_of(441, {6, 0x5000, 8, 0x6000}).timeout.address, 0x6000u);
  EXPECT_EQ(call_of(SYS_io_getevents, {1, 1, 1, 0, 0}).kind, WaitKind::poll);
}

TEST(WaitCall, OfDescriptorsTheSocketMayHaveALimit) {
  for (int64_t number : {SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg}) {
    const WaitCall call = call_of(number, {5, 0, 0, 0, 0x6000});
    EXPECT_EQ(call.kind, WaitKind::read) << number;
    EXPECT_EQ(call.fd, 5) << number;
    EXPECT_EQ(call.timeout.form, Form::unknown) << number;
    EXPECT_EQ(call.timeout.option, Option::receive) << number;
    EXPECT_EQ(call.timeout.address, 0u) << number;
  }
  for (int64_t number : {SYS_write, SYS_writev, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_sendfile}) {
    EXPECT_EQ(call_of(number, {5}).kind, WaitKind::write) << number;
    EXPECT_EQ(call_of(number, {5}).timeout.option, Option::send) << number;
  }
  EXPECT_EQ(call_of(SYS_accept, {5}).kind, WaitKind::accept);
  EXPECT_EQ(call_of(SYS_accept4, {5}).timeout.option, Option::receive);
  EXPECT_EQ(call_of(SYS_connect, {5}).kind, WaitKind::connect);
  EXPECT_EQ(call_of(SYS_read, {kMinusOne}).fd, -1);
}

TEST(WaitCall, WaitsForChildren) {
  using Which = ChildWish::Which;
  const auto wish = [](std::vector<uint64_t> args) { return *call_of(SYS_wait4, std::move(args)).child; };
  EXPECT_EQ(wish({812}).which, Which::pid);
  EXPECT_EQ(wish({812}).id, 812u);
  EXPECT_EQ(wish({kMinusOne}).which, Which::any);
  EXPECT_EQ(wish({0}).which, Which::group);
  EXPECT_EQ(wish({0}).id, 0u);
  EXPECT_EQ(wish({static_cast<uint32_t>(-77)}).id, 77u);
  EXPECT_EQ(wish({0x80000000}).id, 0x80000000u) << "INT_MIN has no positive";
  EXPECT_EQ(call_of(SYS_waitid, {P_ALL, 0}).child->which, Which::any);
  EXPECT_EQ(call_of(SYS_waitid, {P_PID, 9}).child->id, 9u);
  EXPECT_EQ(call_of(SYS_waitid, {P_PGID, 9}).child->which, Which::group);
  EXPECT_EQ(call_of(SYS_waitid, {3, 9}).child->which, Which::pidfd);
  EXPECT_EQ(call_of(SYS_waitid, {3, 9}).fd, 9);
  EXPECT_FALSE(call_of(SYS_waitid, {77, 9}).child);
}

TEST(WaitCall, SignalsAndLocksAndQueues) {
  EXPECT_EQ(call_of(SYS_rt_sigtimedwait, {1, 0, 0}).timeout.form, Form::none);
  EXPECT_EQ(call_of(SYS_rt_sigtimedwait, {1, 0, 0x6000}).kind, WaitKind::signal);
  EXPECT_EQ(call_of(SYS_rt_sigsuspend).kind, WaitKind::signal);
  EXPECT_EQ(call_of(SYS_flock, {7, 2}).kind, WaitKind::file_lock);
  EXPECT_EQ(call_of(SYS_fcntl, {7, F_SETLKW, 0x1}).kind, WaitKind::file_lock);
  EXPECT_EQ(call_of(SYS_fcntl, {7, F_OFD_SETLKW, 0x1}).fd, 7);
  EXPECT_EQ(call_of(SYS_fcntl, {7, F_SETLEASE, 0x1}).kind, WaitKind::other);
  EXPECT_EQ(call_of(SYS_msgrcv, {3}).ipc_id, 3);
  EXPECT_EQ(call_of(SYS_semtimedop, {3, 0, 1, 0x6000}).timeout.form, Form::timespec);
  EXPECT_EQ(call_of(SYS_mq_timedreceive, {4, 0, 0, 0, 0x6000}).timeout.clock, Clock::realtime);
  EXPECT_EQ(call_of(SYS_fsync, {4}).kind, WaitKind::disk);
  EXPECT_EQ(call_of(SYS_sync).kind, WaitKind::disk);
  EXPECT_EQ(call_of(SYS_ioctl, {4}).fd, 4);
  EXPECT_EQ(call_of(SYS_ioctl, {4}).kind, WaitKind::other);
}

TEST(WaitCall, IoUring) {
  constexpr uint64_t kGetEvents = 1, kExtArg = 8, kRegistered = 16;
  EXPECT_EQ(call_of(426, {5, 0, 1, kGetEvents, 0, 0}).timeout.form, Form::none);
  EXPECT_EQ(call_of(426, {5, 0, 1, kGetEvents, 0, 0}).kind, WaitKind::io_uring);
  const WaitCall by_pointer = call_of(426, {5, 0, 1, kGetEvents | kExtArg, 0x6000, 24});
  EXPECT_EQ(by_pointer.timeout.form, Form::unknown);
  EXPECT_EQ(by_pointer.timeout.pointer, 0x6010u);
  EXPECT_EQ(call_of(426, {5, 0, 1, kGetEvents | kRegistered, 0, 0}).fd, -1);
}

TEST(WaitCall, VforkIsToldByTheStateOfTheSleeper) {
  constexpr uint32_t kState = 0x2 | 0x100 | 0x2000;  // killable and freezable
  EXPECT_EQ(wait_call_of(record(SYS_clone, {CLONE_VFORK | CLONE_VM}, false, kState)).kind, WaitKind::vfork);
  EXPECT_EQ(wait_call_of(record(SYS_clone, {0}, false, kState)).kind, WaitKind::other);
  EXPECT_EQ(wait_call_of(record(435, {0x6000, 88}, false, kState)).kind, WaitKind::vfork);
  EXPECT_EQ(wait_call_of(record(435, {0x6000, 88}, false, 0x2)).kind, WaitKind::other);
}

TEST(WaitCall, TheStateMaySayItAll) {
  EXPECT_EQ(wait_call_of(record(SYS_read, {0}, false, 0x4)).kind, WaitKind::stopped);
  EXPECT_STREQ(wait_call_of(record(SYS_read, {0}, false, 0x8)).detail, "by a debugger");
  EXPECT_EQ(wait_call_of(record(SYS_read, {0}, false, 0x8000)).kind, WaitKind::frozen);
  EXPECT_EQ(wait_call_of(record(-1, {}, false, 0x2)).kind, WaitKind::page_fault);
  EXPECT_EQ(wait_call_of(record(-1, {}, false, 0x1)).kind, WaitKind::page_fault);
  EXPECT_EQ(wait_call_of(record(-1, {}, false, 0x2001)).kind, WaitKind::frozen) << "do_freezer_trap";
  loiter_thread waiter = record(SYS_futex, {0x7000, FUTEX_WAIT_PRIVATE, 2}, false, 0x2001);
  EXPECT_EQ(wait_call_of(waiter).kind, WaitKind::futex);
  waiter.marks |= LOITER_MARK_FREEZING;
  EXPECT_EQ(wait_call_of(waiter).kind, WaitKind::frozen);
  EXPECT_FALSE(wait_call_of(waiter).futex) << "of no matter until it is thawed";
  waiter.state = 0x2;
  EXPECT_EQ(wait_call_of(waiter).kind, WaitKind::futex) << "it has not got there";
  loiter_thread blind = record(SYS_read, {0});
  blind.marks = 0;
  EXPECT_EQ(wait_call_of(blind).kind, WaitKind::other);
}

TEST(WaitCall, NumbersWithoutARuleAreOther) {
  for (int64_t number : {int64_t{9999}, int64_t{511}, int64_t{512}, INT64_MAX, int64_t{SYS_getpid}})
    EXPECT_EQ(call_of(number, {1, 2, 3}).kind, WaitKind::other) << number;
}

#if defined(__x86_64__)
TEST(WaitCall, Of32BitPrograms) {
  const WaitCall futex = call_of(240, {0xffff'ffff'0000'7000, FUTEX_WAIT, 2, 0x8000}, true);
  EXPECT_EQ(futex.futex->address, 0x7000u);
  EXPECT_EQ(futex.timeout.form, Form::timespec32);
  EXPECT_EQ(call_of(422, {0x7000, FUTEX_WAIT, 2, 0x8000}, true).timeout.form, Form::timespec);
  EXPECT_EQ(call_of(3, {5}, true).kind, WaitKind::read);
  EXPECT_EQ(call_of(7, {12}, true).child->id, 12u);
  EXPECT_EQ(call_of(142, {8, 0, 0, 0, 0x6000}, true).timeout.form, Form::timeval32);
  EXPECT_EQ(call_of(82, {0x6000}, true).kind, WaitKind::poll);
  EXPECT_EQ(call_of(371, {5}, true).kind, WaitKind::read);
  EXPECT_EQ(call_of(102, {5, 0x6000}, true).kind, WaitKind::accept);
  EXPECT_EQ(call_of(102, {5, 0x6000}, true).fd, -1);
  EXPECT_EQ(call_of(117, {4, 9, 0, 0, 0, 0x6000}, true).kind, WaitKind::ipc);
  EXPECT_EQ(call_of(117, {4, 9, 0, 0, 0, 0x6000}, true).timeout.address, 0x6000u);
  EXPECT_EQ(call_of(221, {5, 14}, true).kind, WaitKind::file_lock) << "F_SETLKW64";
  EXPECT_EQ(call_of(SYS_fcntl, {5, 14}).kind, WaitKind::other) << "not of this table";
}
#endif

TEST(WaitCall, TimesAsTheKernelTakesThem) {
  const auto decode = [](Form form, auto... parts) {
    const std::array values{parts...};
    return decode_time(form, std::as_bytes(std::span(values)));
  };
  EXPECT_EQ(decode(Form::timespec, int64_t{2}, int64_t{5}), 2'000'000'005u);
  EXPECT_EQ(decode(Form::timespec32, int32_t{2}, int32_t{5}), 2'000'000'005u);
  EXPECT_EQ(decode(Form::timeval, int64_t{2}, int64_t{5}), 2'000'005'000u);
  EXPECT_EQ(decode(Form::timeval, int64_t{0}, int64_t{3'000'000}), 3'000'000'000u);
  EXPECT_EQ(decode(Form::timespec, int64_t{2}, int64_t{1'000'000'000}), std::nullopt);
  EXPECT_EQ(decode(Form::timespec, int64_t{-1}, int64_t{5}), std::nullopt);
  EXPECT_EQ(decode(Form::timespec, INT64_MAX, int64_t{5}), uint64_t{INT64_MAX});
  EXPECT_EQ(decode(Form::timespec, int64_t{2}), std::nullopt);
  EXPECT_EQ(decode(Form::none, int64_t{2}, int64_t{5}), std::nullopt);
}

TEST(WaitCall, EveryKindHasAWord) {
  EXPECT_STREQ(to_string(WaitKind::lock), "lock");
  EXPECT_STREQ(to_string(WaitKind::wait_child), "wait_child");
  EXPECT_STREQ(to_string(WaitKind::other), "other");
  EXPECT_STREQ(to_string(FutexOperation::wait2), "futex_wait");
}

// --- kernel stacks ---

struct Refined {
  WaitCall call;
  std::string detail;
};

Refined refine(const loiter_thread& thread, std::vector<std::string> stack) {
  Refined refined{wait_call_of(thread), {}};
  refine_by_kernel_stack(refined.call, stack, refined.detail, &thread);
  return refined;
}

TEST(KernelStack, AReadThatWaitsForThePageOfAFile) {
  const auto [call, detail] = refine(record(SYS_read, {3}, false, 0x2),
                                     {"io_schedule+0x46/0x80", "folio_wait_bit_common+0x13d/0x350",
                                      "filemap_update_page+0x2f0/0x370", "ext4_file_read_iter+0x1/0x2"});
  EXPECT_EQ(call.kind, WaitKind::disk);
  EXPECT_EQ(call.fd, 3);
  EXPECT_EQ(detail, "a page of a file, in folio_wait_bit_common");
}

TEST(KernelStack, ALockOfTheKernelIsNamedByWhoWantsIt) {
  const auto [call, detail] = refine(
      record(SYS_unlinkat, {3}, false, 0x2),
      {"schedule+0x5e/0xd0", "schedule_preempt_disabled+0x15/0x30", "rwsem_down_write_slowpath+0x1/0x2",
       "down_write+0x5b/0x60", "do_unlinkat.isra.0+0xf5/0x2d0", "ext4_unlink+0x1/0x2"});
  EXPECT_EQ(call.kind, WaitKind::lock);
  EXPECT_EQ(detail, "a reader-writer lock of the kernel, in do_unlinkat");
}

TEST(KernelStack, AFrozenFileSystemIsNoLockOfTheKernel) {
  const loiter_thread writer = record(SYS_write, {3}, false, 0x2);
  const auto [call, detail] =
      refine(writer, {"percpu_rwsem_wait+0x15f/0x1d0", "vfs_write+0x3f0/0x450", "ksys_write+0x66/0xe0"});
  EXPECT_EQ(call.kind, WaitKind::disk);
  EXPECT_EQ(call.fd, 3);
  EXPECT_EQ(detail, "a frozen file system, in vfs_write");
  const Refined fault =
      refine(record(-1, {}, false, 0x2), {"percpu_rwsem_wait+0x1/0x2", "__percpu_down_read+0x1/0x2",
                                          "ext4_page_mkwrite+0x1/0x2", "handle_mm_fault+0x1/0x2"});
  EXPECT_EQ(fault.call.kind, WaitKind::page_fault);
  EXPECT_EQ(fault.detail, "a frozen file system, in ext4_page_mkwrite");
  const Refined others = refine(writer, {"percpu_rwsem_wait+0x1/0x2", "ext4_writepages+0x1/0x2"});
  EXPECT_EQ(others.call.kind, WaitKind::lock);
  EXPECT_EQ(others.detail, "a reader-writer lock of the kernel, in ext4_writepages");
}

TEST(KernelStack, WhatHoldsForTheThreadAsAWhole) {
  EXPECT_EQ(refine(record(SYS_read, {3}), {"do_freezer_trap+0x1/0x2", "get_signal+0x1/0x2"}).call.kind,
            WaitKind::frozen);
  EXPECT_EQ(
      refine(record(SYS_clock_nanosleep), {"get_signal+0x38e/0x840", "arch_do_signal_or_restart+0x26/0x250"})
          .call.kind,
      WaitKind::frozen)
      << "inlined, as on Linux 6.18";
  const WaitCall frozen = refine(record(SYS_futex, {0x7000, FUTEX_WAIT_PRIVATE, 2}),
                                 {"do_freezer_trap+0x1/0x2", "get_signal+0x1/0x2"})
                              .call;
  EXPECT_EQ(frozen.kind, WaitKind::frozen);
  EXPECT_FALSE(frozen.futex) << "of no matter until it is thawed";
  EXPECT_EQ(refine(record(SYS_read, {}, false, 0x2), {"do_exit+0x1/0x2", "get_signal+0x38e/0x840"}).call.kind,
            WaitKind::read);
  EXPECT_EQ(refine(record(435, {1}, false, 0x102), {"wait_for_vfork_done+0x1/0x2"}).call.kind,
            WaitKind::vfork);
  EXPECT_EQ(refine(record(SYS_read, {3}), {"handle_userfault+0x1/0x2", "do_anonymous_page+0x1/0x2",
                                           "handle_mm_fault+0x1/0x2", "exc_page_fault+0x1/0x2"})
                .call.kind,
            WaitKind::page_fault);
  EXPECT_EQ(refine(record(SYS_read, {3}), {"pipe_read+0x1/0x2"}).detail, "") << "the call has said it";
}

TEST(KernelStack, AFaultThatReadsAFile) {
  const auto [call, detail] =
      refine(record(-1, {}, false, 0x102), {"folio_wait_bit_common+0x1/0x2", "filemap_fault+0x1/0x2",
                                            "handle_mm_fault+0x1/0x2", "do_user_addr_fault+0x1/0x2"});
  EXPECT_EQ(call.kind, WaitKind::page_fault);
  EXPECT_EQ(detail, "a page of a file, in folio_wait_bit_common");
}

TEST(KernelStack, ARestartedCallIsKnownAgain) {
  const auto [call, detail] = refine(
      record(SYS_restart_syscall, {0x7000, FUTEX_WAIT_PRIVATE, 2, 0x8000}),
      {"futex_do_wait+0x1/0x2", "__futex_wait+0x1/0x2", "futex_wait+0x1/0x2", "futex_wait_restart+0x1/0x2"});
  EXPECT_TRUE(call.restarted);
  EXPECT_EQ(call.kind, WaitKind::futex);
  ASSERT_TRUE(call.futex);
  EXPECT_EQ(call.futex->address, 0x7000u);
  EXPECT_EQ(refine(record(SYS_restart_syscall), {"do_nanosleep+0x1/0x2"}).call.kind, WaitKind::sleep);
  EXPECT_EQ(refine(record(SYS_restart_syscall), {}).call.kind, WaitKind::other);
}

TEST(KernelStack, WhatIsNotKnownIsNamedAndNoMore) {
  const auto [call, detail] =
      refine(record(9999, {}, false, 0x2), {"schedule+0x1/0x2", "some_driver_wait+0x1/0x2"});
  EXPECT_EQ(call.kind, WaitKind::other);
  EXPECT_EQ(detail, "in some_driver_wait");
  EXPECT_EQ(refine(record(9999, {}, false, 0x2), {"", "+0x1", "   "}).call.kind, WaitKind::other);
  EXPECT_EQ(refine(record(9999, {}, false, 0x2), std::vector<std::string>(10'000, "schedule+0x1")).detail,
            "");
}

}  // namespace
}  // namespace loiter
