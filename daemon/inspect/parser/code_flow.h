// Follows machine code from a place on all ways that it can take, to where it returns: how much of the stack
// it gives back and which registers it restores on the way tell the frame of its caller. Every way to a
// function's return has the same effect, or there would be no returning: so one that cannot be followed (a
// jump through a register) may be left out, and where two disagree nothing is believed.
//
// CodeFlow is owned by a CodeRules, one thread. The code is hostile: the number of instructions is bounded.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/frame_state.h"
#include "daemon/inspect/parser/instructions.h"

namespace loiter {

class CodeFlow {
 public:
  // The code from an address on, or nothing.
  using Code = std::function<std::span<const std::byte>(uint64_t address)>;

  // `most`: instructions that it looks at, in all walks together.
  CodeFlow(const Architecture& architecture, InstructionReader& reader, Code code, uint64_t most)
      : architecture_(architecture), reader_(reader), code_(std::move(code)), most_(most) {}

  // What is known where a walk comes to its goal.
  struct Result {
    bool agreed = true;  // all ways that came there; and the bounds were kept
    bool ends = false;   // the only way leads straight to where nothing goes on: no call, no return
    std::vector<FrameState> states;  // one for each return, or that at the goal; empty: no way leads there
  };
  // From `start` to where it returns.
  Result to_return(uint64_t start, uint64_t known);
  // From `start` to `goal`, an instruction of the same function.
  Result to_place(uint64_t start, uint64_t goal);

  // Whether a function may return, as far as its code tells within bounds: true where that is not known.
  bool may_return(uint64_t function);

  // Instructions that were looked at so far.
  uint64_t instructions() const { return instructions_; }

 private:
  class Walk;
  bool may_return(uint64_t function, unsigned depth);
  bool finds_return(uint64_t function, unsigned depth);
  std::optional<Instruction> read(uint64_t address);
  void begin();
  bool is_exhausted() const { return instructions_ >= exhausted_at_; }

  const Architecture& architecture_;
  InstructionReader& reader_;
  Code code_;
  uint64_t most_;
  uint64_t instructions_ = 0;
  uint64_t exhausted_at_ = 0;
  struct Known {
    bool returns;
    unsigned depth;  // that it was looked at from: the deeper, the more was taken for granted
  };
  std::unordered_map<uint64_t, Known> may_return_;
};

}  // namespace loiter
