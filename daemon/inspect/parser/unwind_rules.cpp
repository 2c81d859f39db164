#include "daemon/inspect/parser/unwind_rules.h"

#include <dwarf.h>

#include <cstdlib>
#include <memory>
#include <span>
#include <utility>

namespace loiter {
namespace {

using Kind = RegisterRule::Kind;

struct Free {
  void operator()(Dwarf_Frame* frame) const { std::free(frame); }
};

UnwindRule problem(Cut cut) {
  UnwindRule rule;
  rule.problem = cut;
  return rule;
}

// libdw writes the plain rules as expressions of one to three operations: CFA, + offset, stack_value.
std::optional<RegisterRule> as_plain(std::span<const Dwarf_Op> ops) {
  if (ops.size() == 1 && ops[0].atom == DW_OP_regx && ops[0].number < Registers::kMost)
    return RegisterRule{.kind = Kind::other, .value = static_cast<int64_t>(ops[0].number)};
  if (ops[0].atom != DW_OP_call_frame_cfa) return std::nullopt;
  RegisterRule rule{.kind = Kind::at_cfa};
  size_t used = 1;
  if (used < ops.size() && ops[used].atom == DW_OP_plus_uconst)
    rule.value = static_cast<int64_t>(ops[used++].number);
  if (used < ops.size() && ops[used].atom == DW_OP_stack_value) {
    rule.kind = Kind::cfa_plus;
    ++used;
  }
  return used == ops.size() ? std::optional(rule) : std::nullopt;
}

}  // namespace

UnwindRules::UnwindRules(Elf* elf, const Architecture& architecture, std::function<Dwarf*()> frames)
    : elf_(elf), architecture_(architecture), open_frames_(std::move(frames)) {}

UnwindRules::~UnwindRules() {
  if (eh_frame_) dwarf_cfi_end(eh_frame_);
}

const UnwindRule& UnwindRules::find(uint64_t address) {
  auto found = rules_.find(address);
  if (found == rules_.end()) found = rules_.emplace(address, make(address)).first;
  return found->second;
}

UnwindRule UnwindRules::make(uint64_t address) {
  if (!std::exchange(opened_eh_frame_, true)) eh_frame_ = dwarf_getcfi_elf(elf_);
  Dwarf_Frame* frame = nullptr;
  if (eh_frame_ && dwarf_cfi_addrframe(eh_frame_, address, &frame) == 0)
    return compile(std::unique_ptr<Dwarf_Frame, Free>(frame).get());
  if (!std::exchange(opened_debug_frame_, true))
    if (Dwarf* frames = open_frames_()) debug_frame_ = dwarf_getcfi(frames);
  if (debug_frame_ && dwarf_cfi_addrframe(debug_frame_, address, &frame) == 0)
    return compile(std::unique_ptr<Dwarf_Frame, Free>(frame).get());
  return problem(Cut::no_rules);
}

UnwindRule UnwindRules::compile(Dwarf_Frame* frame) const {
  UnwindRule rule;
  const int return_register = dwarf_frame_info(frame, nullptr, nullptr, &rule.signal_frame);
  if (return_register < 0 || static_cast<unsigned>(return_register) >= architecture_.registers)
    return problem(Cut::bad_rules);
  rule.return_register = static_cast<uint8_t>(return_register);
  if (!compile_cfa(frame, rule)) return problem(Cut::bad_rules);
  for (unsigned number = 0; number < architecture_.registers; ++number)
    if (!compile_register(frame, number, rule)) return problem(Cut::bad_rules);
  rule.registers.shrink_to_fit();
  return rule;
}

bool UnwindRules::compile_cfa(Dwarf_Frame* frame, UnwindRule& rule) const {
  Dwarf_Op* ops = nullptr;
  size_t count = 0;
  if (dwarf_frame_cfa(frame, &ops, &count) || count == 0) return false;
  const Dwarf_Op& first = ops[0];
  const bool by_number = first.atom == DW_OP_bregx;
  const bool by_name = first.atom >= DW_OP_breg0 && first.atom <= DW_OP_breg31;
  if (count == 1 && (by_number || by_name)) {
    const uint64_t number = by_number ? first.number : first.atom - DW_OP_breg0;
    if (number >= architecture_.registers) return false;
    rule.cfa_register = static_cast<uint8_t>(number);
    rule.cfa_offset = static_cast<int64_t>(by_number ? first.number2 : first.number);
    return true;
  }
  std::optional<Expression> expression = compile_expression({ops, count});
  if (!expression) return false;
  rule.cfa_by_expression = true;
  rule.expressions.push_back(std::move(*expression));
  return true;
}

// Only what differs from the default is kept (unwind_rules.h).
bool UnwindRules::compile_register(Dwarf_Frame* frame, unsigned number, UnwindRule& rule) const {
  Dwarf_Op memory[3];
  Dwarf_Op* ops = nullptr;
  size_t count = 0;
  if (dwarf_frame_register(frame, static_cast<int>(number), memory, &ops, &count)) return false;
  RegisterRule plain;
  if (count == 0) {
    plain.kind = ops ? Kind::undefined : Kind::same;
    const bool preserved = architecture_.preserved >> number & 1;
    // Where the return address is undefined says a rule: that this is the outermost frame.
    if (preserved == (plain.kind == Kind::same) && number != rule.return_register) return true;
  } else if (std::optional<RegisterRule> simple = as_plain({ops, count})) {
    plain = *simple;
  } else {
    std::optional<Expression> expression = compile_expression({ops, count});
    if (!expression) return false;
    plain = {.kind = Kind::by_expression, .value = static_cast<int64_t>(rule.expressions.size())};
    rule.expressions.push_back(std::move(*expression));
  }
  plain.number = static_cast<uint8_t>(number);
  rule.registers.push_back(plain);
  return true;
}

}  // namespace loiter
