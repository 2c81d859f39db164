#include "daemon/inspect/parser/frame_step.h"

#include <algorithm>

namespace loiter {
namespace {

using Kind = RegisterRule::Kind;
using Read = StackMemory::Read;

StepResult cut(Cut reason, uint64_t wanted_end = 0) {
  return {.cut = reason, .wanted_end = wanted_end};
}

StepResult of_failure(const ExpressionResult& result) {
  switch (result.status) {
    case ExpressionResult::Status::beyond:
      return cut(Cut::needs_memory, result.value + sizeof(uint64_t));
    case ExpressionResult::Status::outside:
      return cut(Cut::no_memory);
    default:
      return cut(Cut::bad_rules);
  }
}

StepResult load(const StackMemory& memory, uint64_t address, uint64_t& value) {
  switch (memory.read(address, sizeof(value), value)) {
    case Read::done:
      return {};
    case Read::beyond:
      return cut(Cut::needs_memory, address + sizeof(value));
    default:
      return cut(Cut::no_memory);
  }
}

class Step {
 public:
  Step(const UnwindRule& rule, const StackMemory& memory, const Registers& callee)
      : rule_(rule), memory_(memory), callee_(callee) {}

  StepResult find_cfa() {
    if (rule_.cfa_by_expression) return run(0, std::nullopt, cfa_);
    if (!callee_.known(rule_.cfa_register)) return cut(Cut::bad_rules);
    cfa_ = callee_.get(rule_.cfa_register) + static_cast<uint64_t>(rule_.cfa_offset);
    return {};
  }

  uint64_t cfa() const { return cfa_; }

  // The caller's value; `known` false where it is lost.
  StepResult find(const RegisterRule& rule, uint64_t& value, bool& known) {
    const uint64_t at = cfa_ + static_cast<uint64_t>(rule.value);
    known = true;
    switch (rule.kind) {
      case Kind::at_cfa:
        return load(memory_, at, value);
      case Kind::cfa_plus:
        value = at;
        return {};
      case Kind::by_expression:
        return run(static_cast<size_t>(rule.value), cfa_, value);
      case Kind::undefined:
        known = false;
        return {};
      default:
        return copy(rule.kind == Kind::same ? rule.number : static_cast<unsigned>(rule.value), value, known);
    }
  }

 private:
  StepResult copy(unsigned number, uint64_t& value, bool& known) const {
    known = callee_.known(number);
    if (known) value = callee_.get(number);
    return {};
  }

  StepResult run(size_t index, std::optional<uint64_t> cfa, uint64_t& value) const {
    const Expression& expression = rule_.expressions[index];
    const ExpressionResult result = evaluate(expression, callee_, memory_, cfa);
    if (result.status != ExpressionResult::Status::done) return of_failure(result);
    value = result.value;
    // A CFA is what its expression gives, never what is there (DWARF 5, 6.4.2.2).
    if (!cfa || expression.is_value) return {};
    return load(memory_, result.value, value);
  }

  const UnwindRule& rule_;
  const StackMemory& memory_;
  const Registers& callee_;
  uint64_t cfa_ = 0;
};

// What keeps the walk going up: each call takes some of the stack. A signal may have come in on another one.
bool goes_up(const UnwindRule& rule, const Architecture& architecture, bool interrupted, uint64_t from,
             uint64_t to) {
  if (rule.signal_frame) return true;
  return interrupted && !architecture.call_pushes ? to >= from : to > from;
}

bool is_outermost(const UnwindRule& rule) {
  return std::any_of(rule.registers.begin(), rule.registers.end(), [&](const RegisterRule& of) {
    return of.number == rule.return_register && of.kind == Kind::undefined;
  });
}

}  // namespace

StepResult step(const UnwindRule& rule, const Architecture& architecture, const StackMemory& memory,
                bool interrupted, Registers& registers) {
  if (is_outermost(rule)) return {.outermost = true};
  Step step(rule, memory, registers);
  if (StepResult result = step.find_cfa(); result.cut != Cut::none) return result;
  if (!goes_up(rule, architecture, interrupted, registers.get(architecture.stack_pointer), step.cfa()))
    return cut(Cut::bad_rules);
  Registers caller = registers;
  caller.keep(architecture.preserved);
  caller.set(architecture.stack_pointer, step.cfa());
  // A link register that was left alone tells of who called last: of an interrupted frame that is its caller.
  bool has_return = interrupted && caller.known(rule.return_register);
  for (const RegisterRule& of : rule.registers) {
    const bool is_return = of.number == rule.return_register;
    uint64_t value = 0;
    bool known = false;
    StepResult result = step.find(of, value, known);
    if (result.cut != Cut::none && (is_return || result.cut == Cut::needs_memory)) return result;
    if (result.cut != Cut::none) known = false;  // lost; whoever needs it will say so
    if (is_return && of.kind != Kind::same) has_return = known;
    if (known)
      caller.set(of.number, value);
    else
      caller.keep(~(uint64_t{1} << of.number));
  }
  if (!has_return || !caller.known(architecture.stack_pointer)) return cut(Cut::bad_rules);
  caller.set(architecture.program_counter, caller.get(rule.return_register) & architecture.address_bits);
  registers = caller;
  return {};
}

std::optional<FixedFrame> fixed_frame(const UnwindRule& rule, const Architecture& architecture) {
  constexpr int64_t kLargest = 1 << 20;  // of frames that anybody looks for
  if (rule.signal_frame || rule.cfa_by_expression || rule.cfa_register != architecture.stack_pointer)
    return std::nullopt;
  std::optional<int64_t> slot;
  for (const RegisterRule& of : rule.registers) {
    const bool is_cfa = of.kind == Kind::cfa_plus && of.value == 0;
    if (of.number == architecture.stack_pointer && !is_cfa) return std::nullopt;
    if (of.number == rule.return_register && of.kind == Kind::at_cfa) slot = rule.cfa_offset + of.value;
  }
  if (!slot || *slot < 0 || *slot > kLargest || rule.cfa_offset < 0 || rule.cfa_offset > kLargest)
    return std::nullopt;
  return FixedFrame{static_cast<uint32_t>(*slot), static_cast<uint32_t>(rule.cfa_offset)};
}

StepResult step_out_of_leaf(const Architecture& architecture, const StackMemory& memory,
                            Registers& registers) {
  Registers caller = registers;
  caller.keep(architecture.preserved | uint64_t{1} << architecture.stack_pointer);
  uint64_t target = registers.get(architecture.link_register);
  if (architecture.call_pushes) {
    const uint64_t top = registers.get(architecture.stack_pointer);
    if (StepResult result = load(memory, top, target); result.cut != Cut::none) return result;
    caller.set(architecture.stack_pointer, top + sizeof(target));
  }
  caller.set(architecture.program_counter, target & architecture.address_bits);
  registers = caller;
  return {};
}

}  // namespace loiter
