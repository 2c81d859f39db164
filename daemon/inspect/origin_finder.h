// Finds where threads were made: unwinds and names the slices of their creators' stacks, after the fact.
//
// A slot is given back, wiped, as soon as its slice lies in the shared memory, and that is wiped as soon as
// the parser has answered: names are kept, never bytes of a stack.
//
// The memory map of a process is kept for a second, so that a burst of births reads it once; it is read again
// where an address is in none of its files. Whether the process was still the one that made the thread is for
// the caller to check: FoundOrigin::looked_boot_ns.
//
// Owned by the inspector's thread, with the helpers that it shares with the Looker.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "daemon/inspect/maps.h"
#include "daemon/inspect/modules.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/origin_types.h"
#include "daemon/inspect/pthread_layout.h"
#include "daemon/inspect/stack_taker.h"
#include "daemon/sensors/slices.h"

namespace loiter {

class OriginFinder {
 public:
  static constexpr size_t kMostAtOnce = 64;  // slices of one call

  OriginFinder(const SharedMemory& memory, Opener& opener, Modules& modules, StackTaker& stacks,
               PthreadLayouts& layouts)
      : memory_(memory), opener_(opener), modules_(modules), stacks_(stacks), layouts_(layouts) {}

  // One answer for each of `births`, at most kMostAtOnce of them, in any order. All slots are given back.
  std::vector<FoundOrigin> find(std::span<const BirthSlice> births, Slices& slices);

 private:
  using Id = std::pair<uint32_t, uint32_t>;  // tgid, exec id
  struct Window {                            // of a thread's descriptor
    int64_t offset = 0;                      // of its first byte, from the thread pointer
    std::array<uint8_t, LOITER_TLS_WINDOW> bytes{};
  };
  using Code = std::vector<uint64_t>;  // of a stack: module and offset of each place, then its cut
  struct Process {
    std::vector<Mapping> code;
    uint64_t read_boot_ns = 0;  // when that was read; 0: it was not
    uint64_t read_cost_ns = 0;
    bool in_vain = false;  // it was read for a stack that led nowhere all the same
    uint64_t used = 0;
    std::map<Code, SiteStackPtr> stacks;  // those that were named already
    // Of the start routine in a thread's descriptor, from its thread pointer; nothing: not known.
    std::optional<int64_t> routine_offset;
    bool layout_sought = false;
    std::map<uint64_t, std::shared_ptr<const SiteFrame>> routines;  // by address
  };
  void find_in(const Id& id, std::span<const BirthSlice> births, Slices& slices,
               std::vector<FoundOrigin>& found);
  // False: there is no such process any more, or it hides its map.
  bool read_code(uint32_t pid, Process& process);
  Result<UnwindReply> unwind(uint32_t pid, std::span<const BirthSlice> births,
                             std::span<const SharedJob> jobs, std::vector<uint64_t> routines,
                             Process& process);
  void find_layout(uint32_t pid, Process& process);
  static uint64_t routine_in(const Window& window, const Process& process);
  void name_routines(const UnwindReply& reply, std::span<const uint64_t> addresses, Process& process);
  static std::span<const uint32_t> places_of(const UnwindReply& reply, const Stack& stack,
                                             const Process& process);
  SiteStackPtr stack_of(const UnwindReply& reply, const Stack& stack, Process& process);
  bool is_left_alone(uint32_t pid);
  void forget_old();

  const SharedMemory& memory_;
  Opener& opener_;
  Modules& modules_;
  StackTaker& stacks_;
  PthreadLayouts& layouts_;
  std::map<Id, Process> processes_;
  std::map<uint32_t, uint64_t> hung_until_;  // by pid: processes that made the opener hang
  uint64_t uses_ = 0;
};

}  // namespace loiter
