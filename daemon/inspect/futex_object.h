// Who holds what a futex belongs to: from the words around it, once its shape is known. Knows glibc's and
// musl's layouts (KERNEL_GLIBC.md section 3).
//
// Pure, any thread. The words come from a process that is not trusted: an owner is believed only where the
// function is known, the kind of lock is one that has owners, and a thread of that process bears the number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/inspect/futex_shape.h"
#include "daemon/inspect/wait_call.h"

namespace loiter {

struct FutexWords {
  uint64_t address = 0;  // what is to be read of the target…
  uint32_t size = 0;     // … 0: nothing
};
FutexWords words_for(FutexShape shape, const FutexCall& call);

// Threads of the process as the words may name them.
struct PossibleOwner {
  uint32_t tid = 0;
  uint32_t ns_tid = 0;
  uint64_t tls_base = 0;
};

enum class HolderState : uint8_t {
  inapplicable,  // such waits have no holder
  alive,
  ended,       // it ended while it held the lock
  inherited,   // a thread of the parent process held it when it forked
  deadlocked,  // waiting for it would have closed a circle, the kernel said, and so it waits for good
  none,        // this kind of object names no owner
  unknown,     // it has one, which could not be told for certain
};

// Finds owners by what the words call them. The threads stay the caller's.
class OwnerTable {
 public:
  explicit OwnerTable(std::span<const PossibleOwner> threads);
  const PossibleOwner* by_ns_tid(uint32_t ns_tid) const;
  const PossibleOwner* by_tls_base(uint64_t tls_base) const;
  // The thread at whose tls base, or less than `bytes` behind it, the address lies.
  const PossibleOwner* by_address(uint64_t address, uint64_t bytes) const;

 private:
  // Sorted: 20,000 threads take a fifth of the time that maps would.
  std::vector<std::pair<uint32_t, const PossibleOwner*>> by_ns_tid_;
  std::vector<std::pair<uint64_t, const PossibleOwner*>> by_tls_base_;
};

struct FutexObject {
  WaitKind kind = WaitKind::futex;
  std::string detail;  // "pthread_mutex_t, recursive"
  HolderState holder = HolderState::inapplicable;
  uint32_t owner_tid = 0;     // of the host, with `alive` and a thread of this very process
  uint32_t owner_ns_tid = 0;  // as the word has it; also of ended and foreign owners
  bool is_shared = false;     // between processes: whose numbers its owner's is one of, is not told
  bool is_forked = false;     // the process may have it from its parent
};

struct FutexProcess {
  const OwnerTable* owners = nullptr;  // never null where it is used
  uint32_t leader_ns_tid = 0;
  bool forked_without_exec = false;
};

// `words`: what was read at words_for(); shorter: it could not be. A lock that is shared between processes
// and whose owner is not of this one comes back as unknown, with owner_ns_tid set, for the caller to look
// elsewhere.
FutexObject examine_futex(FutexShape shape, const FutexCall& call, std::span<const std::byte> words,
                          const FutexProcess& process);

}  // namespace loiter
