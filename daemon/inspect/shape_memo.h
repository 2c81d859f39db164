// How the futex waits of one process look on the stack: who sleeps at the same instruction with the same
// return addresses in the same slots came there by the same functions, and need not be unwound to tell.
//
// Owned by the inspector's thread. Exact as long as the process has the same code mapped (StackTaker's slots
// tell only what rules that count from the stack pointer say): the owner forgets it when that changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "bpf/records.h"
#include "daemon/inspect/futex_object.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

class ShapeMemo {
 public:
  // `stack`: unwound with slots. `places`: how many of its places had to be
  // looked at for the evidence, at least one. False: they cannot be told again.
  bool learn(const Stack& stack, const std::vector<CodePlace>& all, size_t places,
             const FutexEvidence& evidence);

  // `memory`: of a thread, from its stack pointer upwards.
  // Null: it is not known. Valid until the next learn().
  const FutexEvidence* find(const loiter_regs& regs, std::span<const std::byte> memory) const;

  // How much memory the patterns of that instruction want, in bytes; nullopt: there are none.
  std::optional<uint32_t> reach(uint64_t ip) const;

 private:
  struct Word {
    uint32_t slot = 0;
    uint64_t pc = 0;
  };
  struct Pattern {
    std::vector<Word> words;
    FutexEvidence evidence;
  };
  struct Place {  // patterns of threads at one instruction
    std::vector<Pattern> patterns;
    uint32_t reach = 0;
  };
  std::unordered_map<uint64_t, Place> places_;  // by ip
};

}  // namespace loiter
