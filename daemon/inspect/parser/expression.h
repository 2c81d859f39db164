// DWARF expressions as unwinding rules hold them: of the PLT, of signal frames, of realigned stacks.
//
// Pure functions over values, any thread. Expressions are hostile: no jumps, so that an evaluation takes as
// many steps as there are operations, and both their number and the stack are bounded.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/stack_memory.h"

namespace loiter {

struct ExpressionOp {
  uint8_t atom = 0;  // DW_OP_*
  uint64_t number = 0;
  uint64_t number2 = 0;
};

struct Expression {
  std::vector<ExpressionOp> ops;
  bool is_value = false;  // it gives the value itself (DW_OP_stack_value), else the address where it is
};

// nullopt: longer than is believed, or with an operation that is not evaluated here (jumps, calls, pieces).
std::optional<Expression> compile_expression(std::span<const Dwarf_Op> ops);

struct ExpressionResult {
  enum class Status : uint8_t {
    done,
    broken,   // an operand is missing, a division by zero, a register that is not known
    beyond,   // memory behind what was read is wanted: `value` is its address
    outside,  // memory that is none of the stack is wanted
  };
  Status status = Status::broken;
  uint64_t value = 0;
};

// `cfa`: what DW_OP_call_frame_cfa gives; nullopt while the CFA itself is evaluated.
ExpressionResult evaluate(const Expression& expression, const Registers& registers, const StackMemory& memory,
                          std::optional<uint64_t> cfa);

}  // namespace loiter
