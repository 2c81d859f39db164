// Takes the stacks of blocked threads of one process: memory by the opener, frames and names by the parser.
//
// Owned by the inspector's thread. Whether a thread ran meanwhile is for the caller to check.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/inspect/maps.h"
#include "daemon/inspect/modules.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

struct StackWish {
  uint32_t pid = 0;
  ModuleKey perf_map = 0;
  bool with_lines = true;
  std::vector<uint64_t> addresses = {};  // to be named besides
  bool whole = true;  // false: the innermost few frames do, what needs more memory stays cut
};

class StackTaker {
 public:
  StackTaker(const SharedMemory& memory, Opener& opener, Parser& parser, Modules& modules)
      : memory_(memory), opener_(opener), parser_(parser), modules_(modules) {}

  // One stack for each of `regs`, in their order. An error: the process is gone, or cannot be read, or two
  // parsers died of it.
  Result<UnwindReply> take(const StackWish& wish, const std::vector<Mapping>& mappings,
                           std::span<const loiter_regs* const> regs);

  // The same of memory that lies in the shared memory already, as far as it goes.
  Result<UnwindReply> unwind(const StackWish& wish, const std::vector<Mapping>& mappings,
                             std::span<const SharedJob> jobs);

 private:
  struct Slice {
    size_t index = 0;  // of regs
    uint64_t start = 0;
    uint64_t end = 0;          // wanted
    uint64_t limit = 0;        // of its mapping
    uint64_t other_start = 0;  // of a second stack; 0: none
    uint64_t other_end = 0;
  };
  // What is to be read next for a stack that was cut; false: there is no more to be had.
  static bool grow(Slice& slice, const Stack& stack, const std::vector<Mapping>& mappings);
  std::vector<Slice> first_slices(const StackWish& wish, const std::vector<Mapping>& mappings,
                                  std::span<const loiter_regs* const> regs) const;
  Result<UnwindReply> take_batch(const StackWish& wish, const std::vector<Mapping>& mappings,
                                 std::span<const loiter_regs* const> regs, std::span<const Slice> batch);

  const SharedMemory& memory_;
  Opener& opener_;
  Parser& parser_;
  Modules& modules_;
};

}  // namespace loiter
