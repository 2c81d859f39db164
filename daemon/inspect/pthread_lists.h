// glibc's lists of thread descriptors: who is in them, and what became of each. They hold also the threads
// that ended and were never joined, of which the kernel knows nothing any more.
//
// The lists change while they are read, without anybody being stopped. What that may do to a walk: it sits on
// a descriptor that is taken out and put into another list, and so comes out elsewhere; then the ring does
// not close, or its links do not agree, and the walk is made again. A descriptor that stays in its list all
// the while is met by every walk that closes: the way from a node leads to whatever follows it, and new ones
// are put in at the front (nptl/nptl-stack.h, allocatestack.c).
//
// Owned by the inspector's thread; fate_of() is pure. What is read is not trusted: all of it is bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "daemon/base/result.h"
#include "daemon/inspect/inspection.h"
#include "daemon/inspect/maps.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/pthread_layout.h"

namespace loiter {

// A descriptor, as it was read.
struct PthreadEntry {
  uint64_t descriptor = 0;
  uint32_t tid = 0;  // in its own pid namespace; 0 before it is made, and once the kernel has let it go
  uint32_t cancelhandling = 0;
  uint64_t joinid = 0;
  uint64_t start_routine = 0;
  uint64_t argument = 0;
  uint64_t stack = 0;  // lowest address of its stack, with the guard
  uint64_t stack_size = 0;
  bool user_stack = false;  // the program gave it; the list says so
};

enum class PthreadFate : uint8_t {
  live,      // not ended, joinable, and nobody joins it yet
  detached,  // not ended, and nobody has to join it
  joining,   // somebody waits for its end right now, or is about to take note of it, by its joinid
  unjoined,  // ended, joinable, and nobody has joined it
  gone,      // joined, or ended detached: on its way out of the list
  unclear,   // being made at this moment, ended by a bare system call, or it makes no sense
};

// `joiner_is_listed`: its joinid is another descriptor of the same process.
PthreadFate fate_of(const PthreadEntry& entry, bool joiner_is_listed);

// Indices of those that are unjoined, as they were read: candidates, no more.
std::vector<size_t> unjoined_of(const std::vector<PthreadEntry>& entries);

class PthreadListReader {
 public:
  PthreadListReader(const SharedMemory& memory, Opener& opener) : memory_(memory), opener_(opener) {}

  // All in use, as of one moment of the call but for what changed meanwhile. An error says why it cannot be
  // told.
  Result<std::vector<PthreadEntry>> read(uint32_t pid, const PthreadLayout& layout);

  // Which of these are unjoined still, of indices of `entries`. Reads them once more.
  Result<std::vector<size_t>> still_unjoined(uint32_t pid, const PthreadLayout& layout,
                                             const std::vector<PthreadEntry>& entries,
                                             const std::vector<size_t>& candidates);

 private:
  Result<FollowedList> follow(uint32_t pid, const PthreadLayout& layout, uint64_t head, bool user_stack,
                              std::vector<PthreadEntry>& entries);

  const SharedMemory& memory_;
  Opener& opener_;
};

// Whether all that a stack is said to be is mapped, without a file, and holds its own descriptor.
bool is_plausible_stack(const PthreadEntry& entry, const std::vector<Mapping>& mappings);

// The futexes that threads are in a call for, asleep or on their way in or out.
using Futexes = std::unordered_set<uint64_t>;
void add_futexes(const loiter_thread& record, Futexes& futexes);

// Whether somebody is in pthread_join() for it. glibc 2.34 to 2.36 at least never write the joiner into
// joinid (nptl/pthread_join_common.c exchanges it with NULL): he is told by what he sleeps at, the tid.
bool is_waited_for(const PthreadEntry& entry, const PthreadLayout& layout, const Futexes& futexes);

// Puts together what the lists of a process tell. `unjoined`: of those of the entries this is certain.
PthreadCounts count_pthreads(const PthreadLayout& layout, const std::vector<PthreadEntry>& entries,
                             const std::vector<size_t>& unjoined, const Futexes& futexes,
                             const std::vector<Mapping>& mappings);

// At least one thread of the process is in the lists by its own number: they are what they are taken for.
bool hold_its_threads(const std::vector<PthreadEntry>& entries, const PthreadLayout& layout,
                      const std::vector<InspectedThread>& threads);

}  // namespace loiter
