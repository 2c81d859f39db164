#include "daemon/inspect/futex_object.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

namespace loiter {
namespace {

// glibc: sysdeps/nptl/bits/struct_mutex.h, nptl/pthreadP.h (2.36): what the word at +16 says of a mutex.
constexpr uint32_t kMutexKindMask = 0x3;  // normal, recursive, errorcheck, adaptive
constexpr uint32_t kMutexRobust = 0x10;
constexpr uint32_t kMutexPi = 0x20;
constexpr uint32_t kMutexPp = 0x40;
constexpr uint32_t kMutexShared = 0x80;
constexpr uint32_t kMutexElision = 0x300;
constexpr size_t kMutexWords = 20;
constexpr uint32_t kTidMask = 0x3fffffff;  // FUTEX_TID_MASK

// glibc: sysdeps/x86/nptl/bits/struct_rwlock.h and aarch64's: __readers at 0, __wrphase_futex at 8,
// __writers_futex at 12, __cur_writer at 24; nptl/pthreadP.h: bits of __readers.
constexpr uint64_t kRwlockPhase = 8;
constexpr uint64_t kRwlockWriters = 12;
constexpr size_t kRwlockWriter = 24;
constexpr size_t kRwlockWords = 28;
constexpr uint32_t kRwlockWritePhase = 1;
constexpr uint32_t kRwlockReaderShift = 3;

// musl: src/internal/pthread_impl.h (_m_type at 0, _m_lock at 4): the low bits of the type.
constexpr uint32_t kMuslTypeMask = 15;
constexpr uint32_t kMuslWaiters = 0x80000000;
constexpr uint32_t kMuslOwnerDied = 0x40000000;  // FUTEX_OWNER_DIED: the kernel writes it when the owner ends
constexpr uint32_t kMuslBusy = 16;               // EBUSY: locked, where a normal mutex names no owner
constexpr uint64_t kMuslThreadBytes = 256;  // struct pthread begins at the tls base; detach_state is in it

uint32_t word_at(std::span<const std::byte> words, size_t offset) {
  uint32_t word = 0;
  if (offset + sizeof(word) <= words.size()) std::memcpy(&word, words.data() + offset, sizeof(word));
  return word;
}

uint64_t long_at(std::span<const std::byte> words, size_t offset) {
  uint64_t word = 0;
  if (offset + sizeof(word) <= words.size()) std::memcpy(&word, words.data() + offset, sizeof(word));
  return word;
}

// The number is in the word, so it holds, held, or was copied by a fork. Numbers rise: one below the leader's
// is of a thread from before the process, and so the parent's.
void judge_owner(FutexObject& object, uint32_t ns_tid, bool shared, const FutexProcess& process) {
  object.owner_ns_tid = ns_tid;
  object.is_shared = shared;
  object.is_forked = process.forked_without_exec;
  object.holder = HolderState::unknown;
  if (ns_tid == 0) return;  // on its way from one owner to the next
  if (const PossibleOwner* owner = process.owners->by_ns_tid(ns_tid)) {
    object.holder = HolderState::alive;
    object.owner_tid = owner->tid;
  } else if (!shared) {
    bool before = process.forked_without_exec && ns_tid < process.leader_ns_tid;
    object.holder = before ? HolderState::inherited : HolderState::ended;
  }
}

std::string mutex_words(uint32_t kind) {
  static constexpr std::array<const char*, 4> kKinds{"normal", "recursive", "errorcheck", "adaptive"};
  std::string words = std::string("pthread_mutex_t, ") + kKinds[kind & kMutexKindMask];
  if (kind & kMutexRobust) words += ", robust";
  if (kind & kMutexPi) words += ", priority inheritance";
  if (kind & kMutexPp) words += ", priority protection";
  if (kind & kMutexShared) words += ", process-shared";
  return words;
}

void examine_mutex(FutexObject& object, const FutexCall& call, std::span<const std::byte> words,
                   const FutexProcess& process) {
  object.detail = "pthread_mutex_t";
  object.holder = HolderState::unknown;
  if (words.size() < kMutexWords) return;
  uint32_t kind = word_at(words, 16);
  constexpr uint32_t kKnown =
      kMutexKindMask | kMutexRobust | kMutexPi | kMutexPp | kMutexShared | kMutexElision;
  uint32_t word = word_at(words, 0);
  if ((kind & ~kKnown) || word == 0) return;
  object.detail = mutex_words(kind);
  uint32_t owner = word_at(words, 8) & kTidMask;
  if (kind & (kMutexRobust | kMutexPi)) {
    uint32_t in_word = word & kTidMask;
    if (owner != 0 && owner != in_word && in_word != 0) return;  // between two owners
    owner = in_word;
  }
  judge_owner(object, owner, (kind & kMutexShared) || !call.is_private, process);
  if ((kind & kMutexRobust) && !(kind & kMutexShared) && object.holder == HolderState::unknown)
    judge_owner(object, owner, false, process);
}

void examine_join(FutexObject& object, const FutexCall& call, const FutexProcess& process) {
  object.kind = WaitKind::join;
  object.detail = "pthread_join";
  object.holder = HolderState::unknown;
  uint32_t joined = static_cast<uint32_t>(call.value);
  const PossibleOwner* owner = process.owners->by_ns_tid(joined);
  if (!owner) return;
  object.holder = HolderState::alive;
  object.owner_tid = owner->tid;
  object.owner_ns_tid = joined;
}

bool is_join(const FutexCall& call, const FutexProcess& process) {
  constexpr uint64_t kDescriptorBytes = 4096;  // struct pthread of glibc 2.36: 2368
  if (call.operation != FutexOperation::wait_bitset || call.is_private) return false;
  const PossibleOwner* owner = process.owners->by_ns_tid(static_cast<uint32_t>(call.value));
  return owner && owner->tls_base && call.address > owner->tls_base &&
         call.address - owner->tls_base < kDescriptorBytes;
}

void examine_rwlock(FutexObject& object, FutexShape shape, const FutexCall& call,
                    std::span<const std::byte> words, const FutexProcess& process) {
  object.detail =
      shape == FutexShape::glibc_rwlock_read ? "pthread_rwlock_t, to read" : "pthread_rwlock_t, to write";
  object.holder = HolderState::unknown;
  if (words.size() < kRwlockWords) return;
  uint32_t readers = word_at(words, 0), writer = word_at(words, kRwlockWriter);
  // The names of readers nobody keeps. In the write phase they wait as well: without a writer it is then on
  // its way from one to the next.
  if (writer == 0 && !(readers & kRwlockWritePhase) && readers >> kRwlockReaderShift) {
    object.detail += ", readers hold it";
    object.holder = HolderState::none;
    return;
  }
  judge_owner(object, writer, !call.is_private, process);
}

void examine_stdio(FutexObject& object, std::span<const std::byte> words, const FutexProcess& process) {
  object.detail = "FILE";
  object.holder = HolderState::unknown;
  uint64_t owner = long_at(words, 8);
  if (owner == 0) return;
  const PossibleOwner* thread = process.owners->by_tls_base(owner);
  if (!thread) return;
  object.holder = HolderState::alive;
  object.owner_tid = thread->tid;
  object.owner_ns_tid = thread->ns_tid;
}

// type, lock: believed where both are what musl writes, since its shape was told by a value alone.
void examine_musl_mutex(FutexObject& object, std::span<const std::byte> words, const FutexProcess& process) {
  object.kind = WaitKind::futex;
  object.holder = HolderState::unknown;
  if (words.size() < 8) return;
  uint32_t type = word_at(words, 0), lock = word_at(words, 4);
  constexpr uint32_t kKnown = kMuslTypeMask | 128;
  if ((type & ~kKnown) || (type & 3) == 3 || lock == 0) return;
  static constexpr std::array<const char*, 3> kKinds{"normal", "recursive", "errorcheck"};
  std::string detail = std::string("pthread_mutex_t of musl, ") + kKinds[type & 3];
  if (type & 4) detail += ", robust";
  if (type & 8) detail += ", priority inheritance";
  if (type & 128) detail += ", process-shared";
  if ((type & kMuslTypeMask) == 0) {
    if ((lock & ~kMuslWaiters) != kMuslBusy) return;
    object.holder = HolderState::none;
    detail += ": names no owner";
  } else if (lock & kMuslOwnerDied) {
    object.holder = HolderState::ended;
  } else {
    judge_owner(object, lock & kTidMask, type & 128, process);
  }
  object.kind = WaitKind::lock;
  object.detail = detail;
}

void examine_musl_file(FutexObject& object, const FutexCall& call, const FutexProcess& process) {
  object.kind = WaitKind::futex;
  object.holder = HolderState::unknown;
  const PossibleOwner* owner = process.owners->by_ns_tid(static_cast<uint32_t>(call.value) & kTidMask);
  if (!owner) return;
  object.kind = WaitKind::lock;
  object.detail = "FILE of musl";
  object.holder = HolderState::alive;
  object.owner_tid = owner->tid;
  object.owner_ns_tid = owner->ns_tid;
}

// `shape`: a join, or what may be one.
void examine_musl_join(FutexObject& object, FutexShape shape, const FutexCall& call,
                       const FutexProcess& process) {
  object.kind = shape == FutexShape::musl_join ? WaitKind::join : WaitKind::futex;
  if (shape == FutexShape::musl_join) object.detail = "pthread_join";
  object.holder = HolderState::unknown;
  const PossibleOwner* owner = process.owners->by_address(call.address, kMuslThreadBytes);
  if (!owner) return;
  object.kind = WaitKind::join;
  object.detail = "pthread_join";
  object.holder = HolderState::alive;
  object.owner_tid = owner->tid;
  object.owner_ns_tid = owner->ns_tid;
}

void examine_raw_pi(FutexObject& object, const FutexCall& call, std::span<const std::byte> words,
                    size_t offset, const FutexProcess& process) {
  object.kind = WaitKind::lock;
  object.detail = "futex, priority inheritance";
  object.holder = HolderState::unknown;
  if (words.size() < offset + 4) return;
  judge_owner(object, word_at(words, offset) & kTidMask, !call.is_private, process);
}

struct Plain {
  FutexShape shape;
  WaitKind kind;
  HolderState holder;
  const char* detail;
};

constexpr std::array<Plain, 17> kOwnerless{{
    {FutexShape::condvar, WaitKind::condvar, HolderState::inapplicable, "pthread_cond_t"},
    {FutexShape::semaphore, WaitKind::semaphore, HolderState::inapplicable, "semaphore"},
    {FutexShape::barrier, WaitKind::barrier, HolderState::inapplicable, "pthread_barrier_t"},
    {FutexShape::latch, WaitKind::barrier, HolderState::inapplicable, "std::latch or std::barrier"},
    {FutexShape::once, WaitKind::lock, HolderState::none, "pthread_once: names no owner"},
    {FutexShape::cxx_guard, WaitKind::lock, HolderState::none,
     "initialisation of a static variable: names no owner"},
    {FutexShape::glibc_parked, WaitKind::lock, HolderState::deadlocked,
     "pthread_mutex_t, priority inheritance: the kernel refused, it would have closed a circle"},
    {FutexShape::libc_lock, WaitKind::lock, HolderState::none, "a lock inside libc: names no owner"},
    {FutexShape::musl_rwlock, WaitKind::lock, HolderState::none, "pthread_rwlock_t of musl: names no owner"},
    {FutexShape::future, WaitKind::condvar, HolderState::inapplicable, "std::future"},
    {FutexShape::rust_lock, WaitKind::lock, HolderState::none, "a lock of Rust's std: names no owner"},
    {FutexShape::rust_once, WaitKind::lock, HolderState::none, "Once of Rust's std: names no owner"},
    {FutexShape::rust_condvar, WaitKind::condvar, HolderState::inapplicable, "Condvar of Rust's std"},
    {FutexShape::rust_barrier, WaitKind::barrier, HolderState::inapplicable, "Barrier of Rust's std"},
    {FutexShape::rust_channel, WaitKind::condvar, HolderState::inapplicable, "a channel of Rust's std"},
    {FutexShape::rust_park, WaitKind::condvar, HolderState::inapplicable, "thread::park of Rust's std"},
    {FutexShape::go_idle, WaitKind::futex, HolderState::inapplicable, "an idle thread of Go's runtime"},
}};

}  // namespace

OwnerTable::OwnerTable(std::span<const PossibleOwner> threads) {
  by_ns_tid_.reserve(threads.size());
  by_tls_base_.reserve(threads.size());
  for (const PossibleOwner& thread : threads) {
    by_ns_tid_.emplace_back(thread.ns_tid, &thread);
    by_tls_base_.emplace_back(thread.tls_base, &thread);
  }
  std::sort(by_ns_tid_.begin(), by_ns_tid_.end());
  std::sort(by_tls_base_.begin(), by_tls_base_.end());
}

namespace {

// The last entry that does not lie behind the key, or null.
template <typename Key>
const std::pair<Key, const PossibleOwner*>* at_or_before(
    const std::vector<std::pair<Key, const PossibleOwner*>>& sorted, Key key) {
  auto after = std::upper_bound(sorted.begin(), sorted.end(), key,
                                [](Key value, const auto& entry) { return value < entry.first; });
  return after == sorted.begin() ? nullptr : &*std::prev(after);
}

}  // namespace

const PossibleOwner* OwnerTable::by_ns_tid(uint32_t ns_tid) const {
  auto found = at_or_before(by_ns_tid_, ns_tid);
  return ns_tid && found && found->first == ns_tid ? found->second : nullptr;
}

const PossibleOwner* OwnerTable::by_address(uint64_t address, uint64_t bytes) const {
  auto found = at_or_before(by_tls_base_, address);
  return found && address - found->first < bytes ? found->second : nullptr;
}

const PossibleOwner* OwnerTable::by_tls_base(uint64_t tls_base) const {
  auto found = at_or_before(by_tls_base_, tls_base);
  return tls_base && found && found->first == tls_base ? found->second : nullptr;
}

FutexWords words_for(FutexShape shape, const FutexCall& call) {
  switch (shape) {
    case FutexShape::glibc_mutex:
      return {call.address, kMutexWords};
    case FutexShape::stdio_lock:
      return {call.address, 16};
    case FutexShape::raw_pi:
      return {call.address, 4};
    case FutexShape::musl_mutex:
      return {call.address - 4, 8};
    // At the phase, which is 2 or 3; behind a writer that goes first, at __readers itself, which is more.
    case FutexShape::glibc_rwlock_read:
      if (call.value > 3) return {call.address, kRwlockWords};
      return {call.address - kRwlockPhase, kRwlockWords};
    case FutexShape::glibc_rwlock_write:
      return {call.address - (call.value == 2 ? kRwlockPhase : kRwlockWriters), kRwlockWords};
    default:
      return {};
  }
}

FutexObject examine_futex(FutexShape shape, const FutexCall& call, std::span<const std::byte> words,
                          const FutexProcess& process) {
  FutexObject object;
  for (const Plain& known : kOwnerless) {
    if (known.shape != shape) continue;
    object.kind = known.kind;
    object.holder = known.holder;
    object.detail = known.detail;
    return object;
  }
  object.kind = WaitKind::lock;
  switch (shape) {
    case FutexShape::glibc_mutex:
      examine_mutex(object, call, words, process);
      break;
    case FutexShape::glibc_rwlock_read:
    case FutexShape::glibc_rwlock_write:
      examine_rwlock(object, shape, call, words, process);
      break;
    case FutexShape::stdio_lock:
      examine_stdio(object, words, process);
      break;
    case FutexShape::musl_mutex:
      examine_musl_mutex(object, words, process);
      if (object.kind == WaitKind::futex && is_pi(call)) examine_raw_pi(object, call, words, 4, process);
      break;
    case FutexShape::musl_file:
      examine_musl_file(object, call, process);
      break;
    case FutexShape::musl_join:
    case FutexShape::musl_other:
      examine_musl_join(object, shape, call, process);
      break;
    case FutexShape::raw_pi:
      examine_raw_pi(object, call, words, 0, process);
      break;
    case FutexShape::join:
      examine_join(object, call, process);
      break;
    default:
      object.kind = WaitKind::futex;
      object.holder = HolderState::unknown;
      // A libc without symbols leaves no name of a join on the stack; but nothing else waits for the tid in
      // the descriptor of the very thread that bears it.
      if (is_join(call, process)) examine_join(object, call, process);
  }
  return object;
}

}  // namespace loiter
