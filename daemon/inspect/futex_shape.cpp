#include "daemon/inspect/futex_shape.h"

#include <linux/futex.h>

#include <algorithm>
#include <array>

#include "daemon/inspect/futex_rust.h"

namespace loiter {
namespace {

// "__GI___pthread_mutex_lock.part.0" and "pthread_mutex_lock" are one function.
std::string_view plain(std::string_view name) {
  while (true) {
    size_t before = name.size();
    while (name.starts_with('_')) name.remove_prefix(1);
    if (name.starts_with("GI_")) name.remove_prefix(3);
    if (name.size() == before) break;
  }
  return name.substr(0, name.find_first_of(".@("));
}

struct Known {
  std::string_view name;
  FutexShape shape;
};

constexpr std::array<Known, 39> kGlibc{{
    {"pthread_mutex_lock", FutexShape::glibc_mutex},
    {"pthread_mutex_lock_full", FutexShape::glibc_mutex},
    {"pthread_mutex_cond_lock", FutexShape::glibc_mutex},
    {"pthread_mutex_cond_lock_full", FutexShape::glibc_mutex},
    {"pthread_mutex_timedlock", FutexShape::glibc_mutex},
    {"pthread_mutex_clocklock", FutexShape::glibc_mutex},
    {"pthread_mutex_clocklock_common", FutexShape::glibc_mutex},
    {"pthread_rwlock_rdlock", FutexShape::glibc_rwlock_read},
    {"pthread_rwlock_timedrdlock", FutexShape::glibc_rwlock_read},
    {"pthread_rwlock_clockrdlock", FutexShape::glibc_rwlock_read},
    {"pthread_rwlock_rdlock_full64", FutexShape::glibc_rwlock_read},
    {"pthread_rwlock_wrlock", FutexShape::glibc_rwlock_write},
    {"pthread_rwlock_timedwrlock", FutexShape::glibc_rwlock_write},
    {"pthread_rwlock_clockwrlock", FutexShape::glibc_rwlock_write},
    {"pthread_rwlock_wrlock_full64", FutexShape::glibc_rwlock_write},
    {"pthread_cond_wait", FutexShape::condvar},
    {"pthread_cond_timedwait", FutexShape::condvar},
    {"pthread_cond_clockwait", FutexShape::condvar},
    {"pthread_cond_wait_common", FutexShape::condvar},
    {"cnd_wait", FutexShape::condvar},
    {"cnd_timedwait", FutexShape::condvar},
    {"sem_wait", FutexShape::semaphore},
    {"new_sem_wait", FutexShape::semaphore},
    {"new_sem_wait_slow64", FutexShape::semaphore},
    {"sem_timedwait", FutexShape::semaphore},
    {"sem_clockwait", FutexShape::semaphore},
    {"pthread_barrier_wait", FutexShape::barrier},
    {"pthread_barrier_wait_common", FutexShape::barrier},
    {"pthread_once", FutexShape::once},
    {"pthread_once_slow", FutexShape::once},
    {"pthread_once_full", FutexShape::once},
    {"pthread_join", FutexShape::join},
    {"pthread_timedjoin_np", FutexShape::join},
    {"pthread_clockjoin_np", FutexShape::join},
    {"pthread_tryjoin_np", FutexShape::join},
    {"pthread_clockjoin_ex", FutexShape::join},
    {"pthread_timedjoin_ex", FutexShape::join},
    {"mtx_lock", FutexShape::glibc_mutex},
    {"thrd_join", FutexShape::join},
}};

// Functions of stdio that lock the FILE themselves.
constexpr std::array<std::string_view, 40> kStdio{
    "flockfile", "fputs",    "fputc",   "putc",   "putchar", "puts",    "fwrite",  "fprintf",
    "vfprintf",  "printf",   "vprintf", "fgets",  "fgetc",   "getc",    "getchar", "fread",
    "getline",   "getdelim", "fflush",  "fclose", "fseek",   "fseeko",  "ftell",   "ftello",
    "rewind",    "fscanf",   "vfscanf", "scanf",  "setvbuf", "ungetc",  "fgetpos", "fsetpos",
    "perror",    "fputws",   "fputwc",  "fgetws", "fgetwc",  "freopen", "fopen",   "vfprintf_chk"};

bool is_stdio(std::string_view name) {
  if (name.starts_with("IO_")) return true;
  if (name.ends_with("_chk")) name.remove_suffix(4);
  return std::find(kStdio.begin(), kStdio.end(), name) != kStdio.end();
}

// "void std::__atomic_wait<int>(int const*)" is std::__atomic_wait: what it takes and returns says nothing of
// what it waits for.
std::string_view qualified(std::string_view name) {
  name = name.substr(0, name.find_first_of("(<"));
  return name.substr(name.rfind(' ') + 1);
}

bool is_of_cxx(std::string_view name) {
  return qualified(name).starts_with("std::") || name.starts_with("_ZNSt") || name.starts_with("_ZNKSt") ||
         name.starts_with("_ZSt");
}

// Inlined into the caller where there is debug information; else only the `syscall` frame is left.
std::optional<FutexShape> cxx_shape(std::string_view full) {
  if (full.find("_M_futex_wait_until") != full.npos) return FutexShape::future;
  // Waits by syscall() (libsupc++/guard.cc).
  if (plain(full) == "cxa_guard_acquire") return FutexShape::cxx_guard;
  const std::string_view name = qualified(full);
  auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  if (has("std::latch::wait") || has("std::barrier") || has("tree_barrier")) return FutexShape::latch;
  if (has("std::counting_semaphore") || has("__atomic_semaphore")) return FutexShape::semaphore;
  return std::nullopt;
}

// musl's futex waits by the value they expect (src/thread/__lock.c, pthread_mutex_timedlock.c,
// src/stdio/__lockfile.c): the owner's tid, or EBUSY where a normal mutex names none, with a bit for waiters.
constexpr uint32_t kMuslWaiters = 0x80000000;
constexpr uint32_t kMuslFileWaiters = 0x40000000;
constexpr uint32_t kMuslHighestOwner = 0x40000000;  // FUTEX_OWNER_DIED alone: of one that ended

FutexShape musl_shape(const FutexCall& call) {
  if (call.operation == FutexOperation::lock_pi || call.operation == FutexOperation::lock_pi2)
    return FutexShape::musl_mutex;
  if (call.operation != FutexOperation::wait) return FutexShape::unknown;
  auto value = static_cast<uint32_t>(call.value);
  uint32_t rest = value & ~kMuslWaiters;
  if (value & kMuslWaiters)
    return rest && rest <= kMuslHighestOwner ? FutexShape::musl_mutex : FutexShape::unknown;
  return value & kMuslFileWaiters ? FutexShape::musl_file : FutexShape::musl_other;
}

std::optional<FutexShape> glibc_shape(std::string_view name) {
  auto found = std::find_if(kGlibc.begin(), kGlibc.end(), [&](const Known& k) { return k.name == name; });
  if (found == kGlibc.end()) return std::nullopt;
  return found->shape;
}

// What stands between a lock of libc and the kernel, in whatever version.
bool waits_in_libc(std::string_view name) {
  constexpr std::array<std::string_view, 6> kPrefixes{"futex_",   "lll_",          "pthread_",
                                                      "syscall_", "do_futex_wait", "internal_syscall"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Woken up, pthread_cond_wait takes its mutex back (__pthread_mutex_cond_lock; nptl/pthread_cond_wait.c, 2.25
// to 2.40), in functions that without libc's debug symbols have no name, by calls that its condition never
// makes: that is a WAIT_BITSET (nptl/futex-internal.c), a mutex expects 2, and a robust one the owner with a
// mark.
bool waits_for_mutex(const FutexCall& call) {
  if (is_pi(call)) return true;
  return call.operation == FutexOperation::wait && (call.value == 2 || (call.value & FUTEX_WAITERS));
}

// The same functions, in musl: other layouts, and other values.
FutexShape shape_in_musl(FutexShape shape) {
  switch (shape) {
    case FutexShape::glibc_mutex:
      return FutexShape::musl_mutex;
    case FutexShape::glibc_rwlock_read:
    case FutexShape::glibc_rwlock_write:
      return FutexShape::musl_rwlock;
    case FutexShape::join:
      return FutexShape::musl_join;
    default:
      return shape;
  }
}

// Of a function without a name: the shape of all the functions that lead to it, where it is one.
std::optional<FutexShape> shape_of_static(std::span<const std::string> reached_from) {
  std::optional<FutexShape> common;
  for (const std::string& name : reached_from) {
    const auto shape = glibc_shape(plain(name));
    if (!shape || (common && *common != *shape)) return std::nullopt;
    common = shape;
  }
  return common;
}

}  // namespace

bool is_of_musl(std::string_view function) {
  std::string_view name = plain(function);
  return name == "timedwait_cp" || name == "timedwait" || name == "syscall_cp_c" ||
         name == "syscall_cp_asm" || name == "sccp" || name == "lockfile";
}

bool is_libc_wait(std::string_view name) {
  return glibc_shape(plain(name)).has_value();
}

namespace {

// What a function of libc or of Go says; `behind`: those between it and the kernel.
struct Behind {
  bool direct = false;   // by syscall(), as no function of libc itself does
  bool foreign = false;  // a function of neither libc nor std
};
std::optional<FutexShape> shape_of_named(std::string_view full, const Behind& behind, bool inside_libc) {
  std::string_view name = plain(full);
  if (full == "runtime.futex" || full.starts_with("runtime.futex.")) return FutexShape::go_idle;
  // The very function that waits: stdio calls malloc, whose locks are others.
  if (inside_libc) return is_stdio(name) ? FutexShape::stdio_lock : FutexShape::libc_lock;
  if (!behind.direct) {
    const std::optional<FutexShape> shape = glibc_shape(name);
    // What pthread_once calls waits, not itself.
    if (shape && !(shape == FutexShape::once && behind.foreign)) return shape;
  }
  return std::nullopt;
}

// Of one of the C++ or the Rust library's; then `evidence` also counts what was looked at behind it.
std::optional<FutexShape> shape_of_library(std::span<const StackFunction> functions, bool foreign,
                                           FutexEvidence& evidence) {
  if (const std::optional<RustEvidence> found = rust_evidence(functions)) {
    evidence.functions += found->functions - 1;
    return found->shape;
  }
  return foreign ? std::nullopt : cxx_shape(functions.front().name);
}

// nptl/pthread_mutex_lock.c, "Delay the thread indefinitely": a WAIT_BITSET that expects 0. A mutex that is
// waited for is never 0.
bool is_parked(const FutexCall& call) {
  return call.operation == FutexOperation::wait_bitset && call.is_private && call.value == 0;
}

}  // namespace

FutexEvidence futex_evidence(std::span<const StackFunction> functions, bool musl) {
  FutexEvidence evidence{.shape = {}, .musl = musl};
  Behind behind;
  for (size_t i = 0; i < functions.size(); ++i) {
    const StackFunction& function = functions[i];
    ++evidence.functions;
    std::string_view name = plain(function.name);
    if (is_of_musl(function.name)) evidence.musl = true;
    if (name == "lll_lock_wait_private") {
      evidence.inside_libc = true;
    } else if (name == "syscall") {
      behind.direct = true;
    } else if (function.name.empty()) {
      evidence.shape = shape_of_static(function.reached_from);
      if (evidence.shape && evidence.inside_libc) evidence.shape = FutexShape::libc_lock;
      evidence.behind_condvar = evidence.shape == FutexShape::condvar;
    } else {
      evidence.shape = shape_of_named(function.name, behind, evidence.inside_libc);
      if (!evidence.shape) evidence.shape = shape_of_library(functions.subspan(i), behind.foreign, evidence);
      behind.foreign = behind.foreign || !(is_of_cxx(function.name) || waits_in_libc(name));
    }
    if (!evidence.shape) continue;
    if (evidence.musl) evidence.shape = shape_in_musl(*evidence.shape);
    break;
  }
  return evidence;
}

FutexShape shape_of(const FutexCall& call, const FutexEvidence& evidence) {
  if (evidence.shape == FutexShape::condvar && !evidence.musl && waits_for_mutex(call))
    return FutexShape::glibc_mutex;
  // On a deadlock that it finds __pthread_mutex_cond_lock waits for good, on a word of its own stack.
  if (evidence.behind_condvar) return FutexShape::unknown;
  if (evidence.shape == FutexShape::glibc_mutex && is_parked(call)) return FutexShape::glibc_parked;
  if (evidence.shape) return *evidence.shape;
  if (evidence.inside_libc) return FutexShape::libc_lock;
  if (evidence.musl) return musl_shape(call);
  return is_pi(call) ? FutexShape::raw_pi : FutexShape::unknown;
}

}  // namespace loiter
