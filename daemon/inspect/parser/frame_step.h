// One step of unwinding: from a frame to its caller, by a rule.
//
// Pure functions over values, any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/stack_memory.h"
#include "daemon/inspect/parser/unwind_rules.h"

namespace loiter {

// Goes on to the caller, whose registers are in it from then on. An end that is not `none` leaves it as it
// was.
struct StepResult {
  bool outermost = false;   // there is no caller
  Cut cut = Cut::none;      // needs_memory, no_memory or bad_rules
  uint64_t wanted_end = 0;  // with needs_memory
};

// `interrupted`: the frame did not call: it is the innermost, or a signal came in between.
StepResult step(const UnwindRule& rule, const Architecture& architecture, const StackMemory& memory,
                bool interrupted, Registers& registers);

// How far up from the stack pointer a frame's return address and its caller's stack pointer lie, where that
// is the same for everybody who comes to this place. In bytes.
struct FixedFrame {
  uint32_t return_slot = 0;
  uint32_t size = 0;
};
std::optional<FixedFrame> fixed_frame(const UnwindRule& rule, const Architecture& architecture);

// Steps out of a function that has touched neither stack nor link register, as the caller knows it to be.
StepResult step_out_of_leaf(const Architecture& architecture, const StackMemory& memory,
                            Registers& registers);

}  // namespace loiter
