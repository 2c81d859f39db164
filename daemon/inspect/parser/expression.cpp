#include "daemon/inspect/parser/expression.h"

#include <dwarf.h>

#include <array>

namespace loiter {
namespace {

constexpr size_t kMostOps = 128;  // glibc's signal frames need 2, the PLT 11
constexpr size_t kDeepest = 32;

bool is_between(uint8_t atom, unsigned first, unsigned last) {
  return atom >= first && atom <= last;
}

bool is_constant(uint8_t atom) {
  return atom == DW_OP_addr || is_between(atom, DW_OP_const1u, DW_OP_consts);
}

bool is_binary(uint8_t atom) {
  switch (atom) {
    case DW_OP_and:
    case DW_OP_div:
    case DW_OP_minus:
    case DW_OP_mod:
    case DW_OP_mul:
    case DW_OP_or:
    case DW_OP_plus:
    case DW_OP_shl:
    case DW_OP_shr:
    case DW_OP_shra:
    case DW_OP_xor:
      return true;
    default:
      return is_between(atom, DW_OP_eq, DW_OP_ne);
  }
}

bool is_known(uint8_t atom) {
  switch (atom) {
    case DW_OP_dup:
    case DW_OP_drop:
    case DW_OP_over:
    case DW_OP_pick:
    case DW_OP_swap:
    case DW_OP_rot:
    case DW_OP_abs:
    case DW_OP_neg:
    case DW_OP_not:
    case DW_OP_plus_uconst:
    case DW_OP_deref:
    case DW_OP_deref_size:
    case DW_OP_bregx:
    case DW_OP_call_frame_cfa:
    case DW_OP_nop:
      return true;
    default:
      return is_constant(atom) || is_binary(atom) || is_between(atom, DW_OP_lit0, DW_OP_lit31) ||
             is_between(atom, DW_OP_breg0, DW_OP_breg31);
  }
}

// DWARF 5, 2.5.1.4: wrapping arithmetic; div and the comparisons are signed, mod and shr are not.
std::optional<uint64_t> apply(uint8_t atom, uint64_t a, uint64_t b) {
  const auto signed_a = static_cast<int64_t>(a), signed_b = static_cast<int64_t>(b);
  switch (atom) {
    case DW_OP_and:
      return a & b;
    case DW_OP_or:
      return a | b;
    case DW_OP_xor:
      return a ^ b;
    case DW_OP_plus:
      return a + b;
    case DW_OP_minus:
      return a - b;
    case DW_OP_mul:
      return a * b;
    case DW_OP_div:
      if (b == 0 || (signed_a == INT64_MIN && signed_b == -1)) return std::nullopt;
      return static_cast<uint64_t>(signed_a / signed_b);
    case DW_OP_mod:
      if (b == 0) return std::nullopt;
      return a % b;
    case DW_OP_shl:
      return b < 64 ? a << b : 0;
    case DW_OP_shr:
      return b < 64 ? a >> b : 0;
    case DW_OP_shra:
      return static_cast<uint64_t>(signed_a >> (b < 64 ? b : 63));
    case DW_OP_eq:
      return a == b;
    case DW_OP_ne:
      return a != b;
    case DW_OP_ge:
      return signed_a >= signed_b;
    case DW_OP_gt:
      return signed_a > signed_b;
    case DW_OP_le:
      return signed_a <= signed_b;
    case DW_OP_lt:
      return signed_a < signed_b;
    default:
      return std::nullopt;
  }
}

using Status = ExpressionResult::Status;

class Machine {
 public:
  Machine(const Registers& registers, const StackMemory& memory, std::optional<uint64_t> cfa)
      : registers_(registers), memory_(memory), cfa_(cfa) {}

  Status run(const ExpressionOp& op) {
    const uint8_t atom = op.atom;
    if (is_between(atom, DW_OP_lit0, DW_OP_lit31)) return push(atom - DW_OP_lit0);
    if (is_between(atom, DW_OP_breg0, DW_OP_breg31)) return push_register(atom - DW_OP_breg0, op.number);
    if (is_constant(atom)) return push(op.number);
    if (is_binary(atom)) return run_binary(atom);
    return run_other(op);
  }

  std::optional<uint64_t> top() const {
    return depth_ > 0 ? std::optional(stack_[depth_ - 1]) : std::nullopt;
  }
  uint64_t missing() const { return missing_; }

 private:
  Status push(uint64_t value) {
    if (depth_ == kDeepest) return Status::broken;
    stack_[depth_++] = value;
    return Status::done;
  }

  Status push_register(uint64_t number, uint64_t offset) {
    if (number >= Registers::kMost || !registers_.known(static_cast<unsigned>(number))) return Status::broken;
    return push(registers_.get(static_cast<unsigned>(number)) + offset);
  }

  Status run_binary(uint8_t atom) {
    if (depth_ < 2) return Status::broken;
    const std::optional<uint64_t> result = apply(atom, stack_[depth_ - 2], stack_[depth_ - 1]);
    if (!result) return Status::broken;
    stack_[--depth_ - 1] = *result;
    return Status::done;
  }

  Status run_other(const ExpressionOp& op) {
    switch (op.atom) {
      case DW_OP_nop:
        return Status::done;
      case DW_OP_bregx:
        return push_register(op.number, op.number2);
      case DW_OP_call_frame_cfa:
        return cfa_ ? push(*cfa_) : Status::broken;
      case DW_OP_over:
        return pick(1);
      case DW_OP_pick:
        return pick(op.number);
      default:
        return depth_ > 0 ? run_on_top(op, stack_[depth_ - 1]) : Status::broken;
    }
  }

  Status pick(uint64_t index) { return index < depth_ ? push(stack_[depth_ - 1 - index]) : Status::broken; }

  Status run_on_top(const ExpressionOp& op, uint64_t& top) {
    switch (op.atom) {
      case DW_OP_dup:
        return push(top);
      case DW_OP_drop:
        --depth_;
        return Status::done;
      case DW_OP_abs:
        if (static_cast<int64_t>(top) < 0) top = 0 - top;
        return Status::done;
      case DW_OP_neg:
        top = 0 - top;
        return Status::done;
      case DW_OP_not:
        top = ~top;
        return Status::done;
      case DW_OP_plus_uconst:
        top += op.number;
        return Status::done;
      case DW_OP_deref:
        return load(top, sizeof(uint64_t));
      case DW_OP_deref_size:
        return op.number >= 1 && op.number <= sizeof(uint64_t) ? load(top, op.number) : Status::broken;
      default:
        return exchange(op.atom);
    }
  }

  Status exchange(uint8_t atom) {
    const size_t taken = atom == DW_OP_swap ? 2 : 3;
    if (depth_ < taken) return Status::broken;
    const uint64_t last = stack_[depth_ - 1];
    for (size_t i = depth_ - 1; i > depth_ - taken; --i) stack_[i] = stack_[i - 1];
    stack_[depth_ - taken] = last;
    return Status::done;
  }

  Status load(uint64_t& top, size_t size) {
    const uint64_t address = top;
    switch (memory_.read(address, size, top)) {
      case StackMemory::Read::done:
        return Status::done;
      case StackMemory::Read::beyond:
        missing_ = address;
        return Status::beyond;
      default:
        return Status::outside;
    }
  }

  const Registers& registers_;
  const StackMemory& memory_;
  std::optional<uint64_t> cfa_;
  std::array<uint64_t, kDeepest> stack_{};
  size_t depth_ = 0;
  uint64_t missing_ = 0;
};

}  // namespace

std::optional<Expression> compile_expression(std::span<const Dwarf_Op> ops) {
  Expression expression;
  if (!ops.empty() && ops.back().atom == DW_OP_stack_value) {
    expression.is_value = true;
    ops = ops.first(ops.size() - 1);
  }
  if (ops.empty() || ops.size() > kMostOps) return std::nullopt;
  expression.ops.reserve(ops.size());
  for (const Dwarf_Op& op : ops) {
    if (!is_known(op.atom)) return std::nullopt;
    expression.ops.push_back({op.atom, op.number, op.number2});
  }
  return expression;
}

ExpressionResult evaluate(const Expression& expression, const Registers& registers, const StackMemory& memory,
                          std::optional<uint64_t> cfa) {
  Machine machine(registers, memory, cfa);
  for (const ExpressionOp& op : expression.ops) {
    const Status status = machine.run(op);
    if (status != Status::done) return {status, machine.missing()};
  }
  const std::optional<uint64_t> top = machine.top();
  return top ? ExpressionResult{Status::done, *top} : ExpressionResult{};
}

}  // namespace loiter
