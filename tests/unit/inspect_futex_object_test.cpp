// From function names and words to kind and owner: each layout, and what must not be believed.
#include "daemon/inspect/futex_object.h"

#include <gtest/gtest.h>
#include <linux/futex.h>

#include <cstring>

namespace loiter::test {
namespace {

constexpr uint64_t kAddress = 0x7f0000001000;

FutexShape shape(const std::vector<std::string_view>& names, FutexOperation op = FutexOperation::wait) {
  std::vector<StackFunction> functions;
  for (const std::string_view name : names) functions.push_back({name});
  return shape_of({.operation = op, .address = kAddress, .value = 2, .is_private = true}, functions);
}

FutexShape shape_of_reached(const std::vector<std::string>& reached_from, const FutexCall& call,
                            std::string_view next = "f") {
  const std::vector<StackFunction> functions{{.name = {}, .reached_from = reached_from}, {next}};
  return shape_of(call, functions);
}

TEST(FutexShapes, OfAFunctionWithoutANameAreThoseOfAllThatLeadToIt) {
  const FutexCall wait{.operation = FutexOperation::wait, .address = kAddress, .value = 2};
  EXPECT_EQ(shape_of_reached({"pthread_mutex_lock"}, wait), FutexShape::glibc_mutex);
  EXPECT_EQ(shape_of_reached({"pthread_mutex_clocklock", "pthread_mutex_timedlock"}, wait),
            FutexShape::glibc_mutex);
  EXPECT_EQ(shape_of_reached({"pthread_mutex_lock", "sem_wait"}, wait), FutexShape::unknown);
  EXPECT_EQ(shape_of_reached({"pthread_mutex_lock", "f"}, wait), FutexShape::unknown);
  EXPECT_EQ(shape_of_reached({"pthread_mutex_lock", "sem_wait"}, wait, "sem_wait"), FutexShape::semaphore);
}

// What the waits of conditions alone call takes the mutex again.
TEST(FutexShapes, BehindAConditionAreTheMutexOrUnknown) {
  const std::vector<std::string> from{"pthread_cond_timedwait", "pthread_cond_wait"};
  const auto shape = [&](FutexOperation operation, uint64_t value) {
    return shape_of_reached(from, {.operation = operation, .address = kAddress, .value = value},
                            "pthread_cond_wait");
  };
  EXPECT_EQ(shape(FutexOperation::wait, 2), FutexShape::glibc_mutex);
  EXPECT_EQ(shape(FutexOperation::wait, 0x80000065), FutexShape::glibc_mutex);
  EXPECT_EQ(shape(FutexOperation::lock_pi, 0), FutexShape::glibc_mutex);
  EXPECT_EQ(shape(FutexOperation::wait_bitset, 0), FutexShape::unknown);
  EXPECT_EQ(shape(FutexOperation::wait, 0), FutexShape::unknown);
}

TEST(FutexShapes, OfALockInsideLibcAreNotThoseOfItsCaller) {
  EXPECT_EQ(shape({"__lll_lock_wait_private", "", "pthread_mutex_lock"}), FutexShape::libc_lock);
  EXPECT_EQ(shape({"__lll_lock_wait_private", "malloc", "pthread_once"}), FutexShape::libc_lock);
}

class FutexObjectTest : public ::testing::Test {
 protected:
  FutexObject examine(FutexShape shape, const std::vector<uint32_t>& words, bool is_private = true) {
    call_.is_private = is_private;
    FutexProcess process{&table_, 100, forked_};
    return examine_futex(shape, call_, std::as_bytes(std::span(words)), process);
  }
  // lock, count, owner, nusers, kind
  FutexObject mutex(uint32_t lock, uint32_t owner, uint32_t kind, bool is_private = true) {
    return examine(FutexShape::glibc_mutex, {lock, 0, owner, 1, kind}, is_private);
  }

  FutexCall call_{.operation = FutexOperation::wait, .address = kAddress, .value = 2, .is_private = true};
  bool forked_ = false;
  std::vector<PossibleOwner> owners_{{1100, 100, 0x1000}, {1101, 101, 0x2000}};
  OwnerTable table_{owners_};
};

TEST(FutexShapes, AreToldByTheInnermostFunctionThatIsKnown) {
  EXPECT_EQ(shape({"__lll_lock_wait", "___pthread_mutex_lock", "f"}), FutexShape::glibc_mutex);
  EXPECT_EQ(shape({"__lll_lock_wait", "__GI___pthread_mutex_lock.part.0"}), FutexShape::glibc_mutex);
  EXPECT_EQ(shape({"__lll_lock_wait", "__pthread_mutex_cond_lock", "pthread_cond_wait@@GLIBC_2.3.2"}),
            FutexShape::glibc_mutex);
  EXPECT_EQ(shape({"__futex_abstimed_wait_common", "pthread_cond_wait@@GLIBC_2.3.2", "f"},
                  FutexOperation::wait_bitset),
            FutexShape::condvar);
  EXPECT_EQ(shape({"__futex_abstimed_wait_common", "__new_sem_wait_slow64.constprop.0"}),
            FutexShape::semaphore);
  EXPECT_EQ(shape({"__futex_abstimed_wait_common", "__pthread_clockjoin_ex", "std::thread::join()"}),
            FutexShape::join);
  EXPECT_EQ(shape({"__lll_lock_wait_private", "_IO_fputs", "main"}), FutexShape::stdio_lock);
  EXPECT_EQ(shape({"__lll_lock_wait_private", "malloc", "main"}), FutexShape::libc_lock);
  EXPECT_EQ(shape({"syscall", "std::sys::sync::mutex::futex::Mutex::lock_contended"}), FutexShape::rust_lock);
  EXPECT_EQ(shape({"runtime.futex.abi0", "runtime.mPark"}), FutexShape::go_idle);
  EXPECT_EQ(shape({"__syscall_cp_asm", "__timedwait_cp", "pthread_mutex_timedlock"}), FutexShape::musl_mutex);
  EXPECT_EQ(shape({"__timedwait_cp", "pthread_rwlock_timedrdlock"}), FutexShape::musl_rwlock);
  EXPECT_EQ(shape({"__timedwait_cp", "pthread_timedjoin_np", "pthread_join"}), FutexShape::musl_join);
  EXPECT_EQ(shape({"__timedwait_cp", "sem_timedwait"}), FutexShape::semaphore);
}

TEST(FutexShapes, AFutexOfTheProgramsOwnIsNotThatOfWhatCalledIt) {
  EXPECT_EQ(shape({"syscall", "own_lock", "init", "__pthread_once_slow"}), FutexShape::unknown);
  EXPECT_EQ(shape({"own_lock", "init", "__pthread_once_slow", "pthread_once"}), FutexShape::unknown);
  EXPECT_EQ(shape({"futex_wait", "__pthread_once_slow", "f"}), FutexShape::once);
  // In a signal handler, on top of an interrupted wait for a mutex.
  EXPECT_EQ(
      shape({"syscall", "own_lock", "handler", "__restore_rt", "__lll_lock_wait", "___pthread_mutex_lock"}),
      FutexShape::unknown);
  EXPECT_EQ(shape({"syscall", "own_lock", "worker(std::barrier<std::__empty_completion>&)"}),
            FutexShape::unknown);
  EXPECT_EQ(shape({"syscall", "worker(std::counting_semaphore<3l>&)"}), FutexShape::unknown);
  EXPECT_EQ(shape({"syscall", "own_lock", "done()", "std::barrier<void (*)()>::arrive(long)"}),
            FutexShape::unknown);
  EXPECT_EQ(shape({"syscall", "void std::__detail::__platform_wait<int>(int const*, int)",
                   "std::latch::wait() const", "f"}),
            FutexShape::latch);
  EXPECT_EQ(
      shape({"syscall", "void std::__atomic_wait<int>(int*)", "std::counting_semaphore<3l>::acquire()"}),
      FutexShape::semaphore);
  EXPECT_EQ(shape({"syscall", "std::__atomic_futex_unsigned_base::_M_futex_wait_until(unsigned int*)"}),
            FutexShape::future);
}

TEST(FutexShapes, AConditionThatTakesItsMutexBackWithoutNamesIsAMutex) {
  const std::vector<StackFunction> functions{{"pthread_cond_wait"}, {"f"}};
  const auto shape = [&](FutexOperation operation, uint64_t value) {
    return shape_of({.operation = operation, .address = kAddress, .value = value}, functions);
  };
  EXPECT_EQ(shape(FutexOperation::wait_bitset, 2), FutexShape::condvar);
  EXPECT_EQ(shape(FutexOperation::wait, 2), FutexShape::glibc_mutex);
  EXPECT_EQ(shape(FutexOperation::wait, FUTEX_WAITERS | 4711), FutexShape::glibc_mutex);
  EXPECT_EQ(shape(FutexOperation::lock_pi, 0), FutexShape::glibc_mutex);
  EXPECT_EQ(shape(FutexOperation::wait, 7), FutexShape::condvar);  // of glibc before 2.25
}

TEST(FutexShapes, TheLockOfMallocIsNotThatOfTheFileItIsCalledFor) {
  EXPECT_EQ(shape({"__lll_lock_wait_private", "malloc", "_IO_file_doallocate", "fprintf"}),
            FutexShape::libc_lock);
  EXPECT_EQ(shape({"__lll_lock_wait_private", "__lll_lock_wait_private", "flockfile", "f"}),
            FutexShape::stdio_lock);
}

// As Rust 1.63 and 1.95 have them, with and without what debug information says of inlined functions.
TEST(FutexShapes, OfRustAreToldByAllOfStdThatStandsOnIt) {
  constexpr const char* kPark = "std::sys_common::thread_parker::futex::Parker::park";
  constexpr const char* kCondvar = "std::sys::unix::locks::futex::Condvar::wait";
  EXPECT_EQ(shape({"syscall", kPark, "std::thread::park", "f"}), FutexShape::rust_park);
  EXPECT_EQ(shape({"syscall", "std::sys::unix::futex::futex_wait", "std::thread::park_timeout", "f"}),
            FutexShape::rust_park);
  EXPECT_EQ(shape({"syscall", kPark, "std::sync::once::Once::call_inner", "f"}), FutexShape::rust_once);
  EXPECT_EQ(shape({"syscall", "std::sys::sync::once::futex::Once::call", "f"}), FutexShape::rust_once);
  EXPECT_EQ(shape({"syscall", kCondvar, "std::sync::barrier::Barrier::wait", "f"}), FutexShape::rust_barrier);
  EXPECT_EQ(shape({"syscall", "<std::sync::barrier::Barrier>::wait", "f"}), FutexShape::rust_barrier);
  EXPECT_EQ(shape({"syscall", kPark, "std::sync::mpsc::blocking::WaitToken::wait", "f"}),
            FutexShape::rust_channel);
  EXPECT_EQ(shape({"syscall", "_ZN3std6thread4park17h0123456789abcdefE",
                   "_ZN3std4sync4mpmc7context7Context10wait_until17h0123456789abcdefE"}),
            FutexShape::rust_channel);
}

TEST(FutexShapes, OfRustIgnoreWhoCallsTheCodeThatWaits) {
  constexpr const char* kCondvar = "std::sys::unix::locks::futex::Condvar::wait";
  EXPECT_EQ(shape({"syscall", kCondvar, "f", "std::sync::barrier::Barrier::wait"}), FutexShape::rust_condvar);
  EXPECT_EQ(shape({"syscall", "std::thread::park", "std::sync::once::Once::call_once::{{closure}}",
                   "std::sync::once::Once::call_inner"}),
            FutexShape::rust_park);
  EXPECT_EQ(
      shape({"syscall", "my_own_lock", "std::sys_common::backtrace::__rust_begin_short_backtrace::<Mutex>",
             "std::thread::Builder::spawn_unchecked_"}),
      FutexShape::unknown);
}

TEST(FutexShapes, AProgramsOwnFutexIsUnknown) {
  EXPECT_EQ(shape({"syscall", "my_own_lock", "main"}), FutexShape::unknown);
  EXPECT_EQ(shape({}), FutexShape::unknown);
  EXPECT_EQ(shape({"syscall", "f"}, FutexOperation::lock_pi), FutexShape::raw_pi);
}

TEST_F(FutexObjectTest, AMutexNamesItsOwner) {
  const FutexObject object = mutex(2, 101, 1);
  EXPECT_EQ(object.kind, WaitKind::lock);
  EXPECT_EQ(object.holder, HolderState::alive);
  EXPECT_EQ(object.owner_tid, 1101u);
  EXPECT_EQ(object.detail, "pthread_mutex_t, recursive");
}

TEST_F(FutexObjectTest, AnOwnerThatIsNoThreadOfTheProcessEnded) {
  EXPECT_EQ(mutex(2, 999, 0).holder, HolderState::ended);
  EXPECT_EQ(mutex(2, 999, 0).owner_tid, 0u);
}

TEST_F(FutexObjectTest, AfterAForkAnOlderNumberIsTheParents) {
  forked_ = true;
  EXPECT_EQ(mutex(2, 99, 0).holder, HolderState::inherited);
  EXPECT_EQ(mutex(2, 120, 0).holder, HolderState::ended);
}

TEST_F(FutexObjectTest, WhatIsNoMutexNamesNobody) {
  EXPECT_EQ(mutex(2, 101, 0xdeadbeef).holder, HolderState::unknown);
  EXPECT_EQ(mutex(0, 101, 0).holder, HolderState::unknown);
  EXPECT_EQ(mutex(2, 0, 0).holder, HolderState::unknown);  // between two owners
  EXPECT_EQ(examine(FutexShape::glibc_mutex, {2, 0, 101}).holder, HolderState::unknown);
  EXPECT_EQ(examine(FutexShape::glibc_mutex, {}).holder, HolderState::unknown);
}

TEST_F(FutexObjectTest, ASharedMutexMayBelongToAnotherProcess) {
  const FutexObject object = mutex(2, 999, 0x80, false);
  EXPECT_EQ(object.holder, HolderState::unknown);
  EXPECT_EQ(object.owner_ns_tid, 999u);
  EXPECT_EQ(mutex(2, 101, 0x80, false).holder, HolderState::alive);
}

TEST_F(FutexObjectTest, RobustAndPiMutexesHaveTheOwnerInTheWord) {
  EXPECT_EQ(mutex(FUTEX_WAITERS | 101, 101, 0x20).owner_tid, 1101u);
  EXPECT_EQ(mutex(FUTEX_WAITERS | 101, 0, 0x10).owner_tid, 1101u);
  EXPECT_EQ(mutex(FUTEX_WAITERS | 101, 100, 0x10).holder, HolderState::unknown);  // they disagree
}

TEST_F(FutexObjectTest, ARwlockNamesItsWriterAndNoReaders) {
  const auto rwlock = [&](FutexShape shape, uint32_t readers, uint32_t writer) {
    return examine(shape, {readers, 0, 3, 3, 0, 0, writer});
  };
  EXPECT_EQ(rwlock(FutexShape::glibc_rwlock_read, 3, 101).owner_tid, 1101u);
  EXPECT_EQ(rwlock(FutexShape::glibc_rwlock_write, 2 << 3 | 2, 0).holder, HolderState::none);
  EXPECT_EQ(rwlock(FutexShape::glibc_rwlock_read, 1 << 3 | 4 | 2, 0).holder, HolderState::none);
  // Between two writers, with readers who wait as well.
  EXPECT_EQ(rwlock(FutexShape::glibc_rwlock_write, 3, 0).holder, HolderState::unknown);
  EXPECT_EQ(rwlock(FutexShape::glibc_rwlock_write, 2 << 3 | 3, 0).holder, HolderState::unknown);
}

TEST(FutexWordsOf, ARwlockAreAllOfIt) {
  const auto words = [](FutexShape shape, uint64_t address, uint64_t value) {
    return words_for(shape, {.operation = FutexOperation::wait_bitset, .address = address, .value = value})
        .address;
  };
  EXPECT_EQ(words(FutexShape::glibc_rwlock_read, kAddress + 8, 3), kAddress);
  EXPECT_EQ(words(FutexShape::glibc_rwlock_read, kAddress, 1 << 3 | 4 | 2), kAddress);
  EXPECT_EQ(words(FutexShape::glibc_rwlock_write, kAddress + 8, 2), kAddress);
  EXPECT_EQ(words(FutexShape::glibc_rwlock_write, kAddress + 12, 3), kAddress);
}

TEST_F(FutexObjectTest, AFileLockNamesItsOwnersThreadDescriptor) {
  EXPECT_EQ(examine(FutexShape::stdio_lock, {2, 1, 0x2000, 0}).owner_tid, 1101u);
  EXPECT_EQ(examine(FutexShape::stdio_lock, {2, 1, 0x3000, 0}).holder, HolderState::unknown);
}

TEST_F(FutexObjectTest, AJoinWaitsForTheThreadInItsValue) {
  call_.value = 101;
  const FutexObject object = examine(FutexShape::join, {}, false);
  EXPECT_EQ(object.kind, WaitKind::join);
  EXPECT_EQ(object.owner_tid, 1101u);
  call_.value = 555;
  EXPECT_EQ(examine(FutexShape::join, {}, false).holder, HolderState::unknown);
}

TEST_F(FutexObjectTest, AJoinIsToldWithoutANameToo) {
  call_.operation = FutexOperation::wait_bitset;
  call_.value = 101;
  call_.address = 0x2000 + 720;  // the tid of the second thread, in its descriptor
  EXPECT_EQ(examine(FutexShape::unknown, {}, false).kind, WaitKind::join);
  EXPECT_EQ(examine(FutexShape::unknown, {}, false).owner_tid, 1101u);
  EXPECT_EQ(examine(FutexShape::unknown, {}, true).kind, WaitKind::futex);
  call_.address = 0x1000 + 720;  // another's
  EXPECT_EQ(examine(FutexShape::unknown, {}, false).kind, WaitKind::futex);
}

TEST_F(FutexObjectTest, AMuslMutexNamesItsOwnerUnlessItIsANormalOne) {
  EXPECT_EQ(examine(FutexShape::musl_mutex, {1, 0x80000000U | 101}).owner_tid, 1101u);
  EXPECT_EQ(examine(FutexShape::musl_mutex, {0, 0x80000010U}).holder, HolderState::none);
  EXPECT_EQ(examine(FutexShape::musl_mutex, {0, 0x80000044U}).kind, WaitKind::futex);  // is none
  EXPECT_EQ(examine(FutexShape::musl_mutex, {0x1234, 0x80000010U}).kind, WaitKind::futex);
}

TEST_F(FutexObjectTest, MuslsOtherWaitsAreToldByTheirValues) {
  const std::vector<StackFunction> none;
  const auto shape = [&] { return shape_of(call_, none, true); };
  call_.value = 0x80000010;
  EXPECT_EQ(shape(), FutexShape::musl_mutex);
  call_.value = 0xffffffff;  // an rwlock or an old semaphore: not to be told apart
  EXPECT_EQ(shape(), FutexShape::unknown);
  call_.value = 0x40000000 | 101;
  EXPECT_EQ(shape(), FutexShape::musl_file);
  EXPECT_EQ(examine(FutexShape::musl_file, {}).owner_tid, 1101u);
  call_.value = 2;
  call_.address = 0x2000 + 56;  // in the second thread's struct pthread
  EXPECT_EQ(shape(), FutexShape::musl_other);
  EXPECT_EQ(examine(FutexShape::musl_other, {}).kind, WaitKind::join);
  EXPECT_EQ(examine(FutexShape::musl_other, {}).owner_tid, 1101u);
  EXPECT_EQ(examine(FutexShape::musl_join, {}).owner_tid, 1101u);
  call_.address = 0x9000;
  EXPECT_EQ(examine(FutexShape::musl_other, {}).kind, WaitKind::futex);
  EXPECT_EQ(examine(FutexShape::musl_join, {}).kind, WaitKind::join);
  EXPECT_EQ(examine(FutexShape::musl_join, {}).holder, HolderState::unknown);
}

TEST_F(FutexObjectTest, AMuslRwlockNamesNoOwner) {
  EXPECT_EQ(examine(FutexShape::musl_rwlock, {}).kind, WaitKind::lock);
  EXPECT_EQ(examine(FutexShape::musl_rwlock, {}).holder, HolderState::none);
}

TEST_F(FutexObjectTest, ConditionsAndSemaphoresHaveNoHolder) {
  for (FutexShape shape :
       {FutexShape::condvar, FutexShape::semaphore, FutexShape::barrier, FutexShape::future})
    EXPECT_EQ(examine(shape, {}).holder, HolderState::inapplicable);
  EXPECT_EQ(examine(FutexShape::unknown, {}).kind, WaitKind::futex);
}

}  // namespace
}  // namespace loiter::test
