// What kind of object a futex belongs to: from the functions on the stack of a thread that waits at it, and,
// where they do not tell, from the call itself. Which functions are whose: KERNEL_GLIBC.md section 3.
//
// Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/inspect/wait_call.h"

namespace loiter {

enum class FutexShape : uint8_t {
  unknown,
  glibc_mutex,
  glibc_parked,  // on a word of its own: the kernel refused to let it wait for its mutex (EDEADLK)
  glibc_rwlock_read,
  glibc_rwlock_write,
  stdio_lock,
  libc_lock,  // inside libc: of malloc, of the loader
  join,
  condvar,
  semaphore,
  barrier,
  once,
  cxx_guard,  // of a static variable that is being initialised
  future,
  musl_mutex,
  musl_file,  // of its stdio
  musl_rwlock,
  musl_join,
  musl_other,  // perhaps a join
  rust_lock,
  rust_once,
  rust_condvar,
  rust_barrier,
  rust_channel,
  rust_park,
  latch,
  go_idle,
  raw_pi,  // LOCK_PI without a function that is known: the kernel itself demands the owner in the word
};

// A function on a stack.
struct StackFunction {
  std::string_view name;  // mangled or not; empty: it has none
  // Of a static function of a libc without symbols (CodePlace::reached_from).
  std::span<const std::string> reached_from = {};
};

// What the functions on a stack say of a futex wait.
struct FutexEvidence {
  std::optional<FutexShape> shape;  // nullopt: none of them told; then the call itself may
  bool behind_condvar = false;      // of a static function that only waits for a condition lead to
  bool inside_libc = false;
  bool musl = false;
  size_t functions = 0;  // how many of them were looked at: all, or those up to the one that told
};

// `functions`: those on the stack, innermost first, a few of them. `musl`: the process has musl mapped; what
// no function tells of its waits, the values that they expect may.
FutexEvidence futex_evidence(std::span<const StackFunction> functions, bool musl);

FutexShape shape_of(const FutexCall& call, const FutexEvidence& evidence);
inline FutexShape shape_of(const FutexCall& call, std::span<const StackFunction> functions,
                           bool musl = false) {
  return shape_of(call, futex_evidence(functions, musl));
}

inline bool is_pi(const FutexCall& call) {
  return call.operation == FutexOperation::lock_pi || call.operation == FutexOperation::lock_pi2;
}

// Whether an exported function is one of libc's whose name tells what it waits for.
bool is_libc_wait(std::string_view name);

// Whether a function is one of musl's own: of a static program, which has no musl mapped.
bool is_of_musl(std::string_view function);

}  // namespace loiter
