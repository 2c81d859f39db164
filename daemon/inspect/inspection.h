// One look inside a process: its threads at a moment, what the blocked ones wait for and on whom, their
// stacks. A plain value: made by the inspector, immutable from then on, read by any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/records.h"
#include "daemon/inspect/futex_object.h"
#include "daemon/inspect/origin_types.h"
#include "daemon/inspect/stack_types.h"
#include "daemon/inspect/wait_call.h"

namespace loiter {

// A process at the other end of a pipe or a local socket.
struct Peer {
  uint32_t pid = 0;
  int fd = -1;  // its descriptor there
  friend bool operator==(const Peer&, const Peer&) = default;
};

struct Holder {
  HolderState state = HolderState::inapplicable;
  uint32_t tid = 0;  // 0: unknown, or the process as a whole
  uint32_t pid = 0;
};

struct Wait {
  WaitKind kind = WaitKind::other;
  std::string object;              // bytes; empty: none
  std::string detail;              // a phrase for people; may be empty
  std::optional<bool> is_private;  // of a futex
  int fd = -1;
  Holder holder;
  std::optional<bool> bounded;  // nullopt: could not be told
  std::optional<uint64_t> timeout_left_ns;
  std::optional<uint64_t> timeout_ns;  // the whole length, where the call tells it
  std::vector<Peer> peers;
  // Its process alone is at the other end, has no other thread, and catches no signal: nobody can end it.
  bool only_itself = false;
};

// Where a thread began to run the program's code.
struct StartRoutine {
  std::string symbol;    // empty: it has no name
  ModuleKey module = 0;  // 0: in no known file
  uint64_t offset = 0;   // in the module; without one, the address
  std::string callable;  // what std::thread runs; empty: it is none of its threads, or that is not known
  bool operator==(const StartRoutine&) const = default;
};

// A thread that ended and was never joined: its descriptor and its stack are still there.
struct UnjoinedThread {
  uint64_t thread_pointer = 0;  // as its birth told it
  uint64_t start_routine = 0;
  std::optional<uint32_t> routine;      // index into Inspection::routines
  std::optional<uint64_t> stack_bytes;  // of address space, with the guard; nothing where that is not certain
  bool user_stack = false;              // the program gave the stack
};

// The threads that glibc keeps descriptors of.
struct PthreadCounts {
  uint64_t live = 0;      // joinable, and nobody joins it yet; the main thread is one
  uint64_t detached = 0;  // not ended
  uint64_t joining = 0;   // somebody joins it right now
  uint64_t unclear = 0;   // being made at this moment, or ended by a bare system call
  std::vector<UnjoinedThread> unjoined;
};

struct InspectedThread {
  loiter_thread record{};  // with tls base
  uint32_t ns_tid = 0;
  bool blocked = false;             // it slept all the time it was looked at
  std::optional<FutexShape> shape;  // of a futex wait
  std::optional<Wait> wait;
  std::optional<uint32_t> stack;  // index into Inspection::stacks.stacks
  std::string cut;                // why there is none, or why it ends early; empty: it is whole
  std::vector<std::string> kernel_stack;
  std::optional<uint32_t> routine;  // index into Inspection::routines; nothing for the leader, or not known
};

inline FutexShape shape_of(const InspectedThread& thread) {
  return thread.shape.value_or(FutexShape::unknown);
}

struct Inspection {
  uint32_t pid = 0;
  uint32_t memory_tid = 0;  // whose /proc shows its memory: the leader's, or another's where that has ended
  uint64_t start_boot_ns = 0;
  uint64_t mono_ns = 0;  // of the end of the look: Wait::timeout_left_ns counts from here
  std::string failure;   // not empty: why it could not be looked inside; threads may be there nevertheless
  bool gone = false;     // there is no such process (any more)
  std::vector<InspectedThread> threads;  // ascending tid
  UnwindReply stacks;
  std::vector<StartRoutine> routines;        // each once
  std::optional<PthreadCounts> pthreads;     // where they were asked for
  std::string pthreads_failure;              // why there are none
  std::map<ModuleKey, std::string> modules;  // paths, bytes

  const InspectedThread* find(uint32_t tid) const;
  // A start routine of `routines`, by the name of its module; nothing where it is not known.
  std::optional<SiteFrame> routine_frame(const std::optional<uint32_t>& index) const;
};

using InspectionPtr = std::shared_ptr<const Inspection>;

}  // namespace loiter
