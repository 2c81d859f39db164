// The evaluator of DWARF expressions.
#include "daemon/inspect/parser/expression.h"

#include <dwarf.h>
#include <gtest/gtest.h>

#include <cstring>

namespace loiter {
namespace {

using Outcome = ExpressionResult::Status;

Dwarf_Op op(unsigned atom, uint64_t number = 0, uint64_t number2 = 0) {
  return {.atom = static_cast<uint8_t>(atom), .number = number, .number2 = number2, .offset = 0};
}

uint64_t negative(int64_t value) {
  return static_cast<uint64_t>(value);
}

struct Frame {
  Registers registers;
  std::vector<std::byte> bytes = std::vector<std::byte>(32);
  StackMemory memory{0x1000, bytes, false};
  std::optional<uint64_t> cfa = 0x1010;

  Frame() {
    registers.set(6, 0x1008);
    registers.set(7, 0x1000);
    for (uint64_t i = 0; i < 4; ++i) {
      const uint64_t value = 0x1122334455667700 + i;
      std::memcpy(bytes.data() + 8 * i, &value, sizeof(value));
    }
  }
  ExpressionResult run(const std::vector<Dwarf_Op>& ops) const {
    const std::optional<Expression> expression = compile_expression(ops);
    return expression ? evaluate(*expression, registers, memory, cfa) : ExpressionResult{};
  }
  std::optional<uint64_t> value(const std::vector<Dwarf_Op>& ops) const {
    const ExpressionResult result = run(ops);
    return result.status == Outcome::done ? std::optional(result.value) : std::nullopt;
  }
};

TEST(Expression, RegistersAndConstants) {
  const Frame frame;
  EXPECT_EQ(frame.value({op(DW_OP_breg7, 8)}), 0x1008u);
  EXPECT_EQ(frame.value({op(DW_OP_breg6, negative(-16))}), 0xff8u);
  EXPECT_EQ(frame.value({op(DW_OP_bregx, 6, 1)}), 0x1009u);
  EXPECT_EQ(frame.value({op(DW_OP_lit0)}), 0u);
  EXPECT_EQ(frame.value({op(DW_OP_lit31)}), 31u);
  EXPECT_EQ(frame.value({op(DW_OP_const1s, negative(-2))}), negative(-2));
  EXPECT_EQ(frame.value({op(DW_OP_call_frame_cfa), op(DW_OP_plus_uconst, 5)}), 0x1015u);
}

TEST(Expression, MemoryIsThatOfTheStack) {
  const Frame frame;
  EXPECT_EQ(frame.value({op(DW_OP_breg7, 8), op(DW_OP_deref)}), 0x1122334455667701u);
  EXPECT_EQ(frame.value({op(DW_OP_breg7, 8), op(DW_OP_deref_size, 2)}), 0x7701u);
  const ExpressionResult beyond = frame.run({op(DW_OP_breg7, 25), op(DW_OP_deref)});
  EXPECT_EQ(beyond.status, Outcome::beyond);
  EXPECT_EQ(beyond.value, 0x1019u);
  EXPECT_EQ(frame.run({op(DW_OP_breg7, negative(-1)), op(DW_OP_deref)}).status, Outcome::outside);
  EXPECT_EQ(frame.run({op(DW_OP_consts, negative(-4)), op(DW_OP_deref)}).status, Outcome::outside);
  Frame whole;
  whole.memory.whole = true;
  EXPECT_EQ(whole.run({op(DW_OP_breg7, 25), op(DW_OP_deref)}).status, Outcome::outside);
}

TEST(Expression, Arithmetic) {
  const Frame frame;
  const auto binary = [&](unsigned atom, uint64_t a, uint64_t b) {
    return frame.value({op(DW_OP_constu, a), op(DW_OP_constu, b), op(atom)});
  };
  EXPECT_EQ(binary(DW_OP_and, 12, 10), 8u);
  EXPECT_EQ(binary(DW_OP_or, 12, 10), 14u);
  EXPECT_EQ(binary(DW_OP_xor, 12, 10), 6u);
  EXPECT_EQ(binary(DW_OP_plus, UINT64_MAX, 2), 1u);
  EXPECT_EQ(binary(DW_OP_minus, 3, 5), negative(-2));
  EXPECT_EQ(binary(DW_OP_mul, negative(-3), 5), negative(-15));
  EXPECT_EQ(binary(DW_OP_div, negative(-15), 5), negative(-3));
  EXPECT_EQ(binary(DW_OP_mod, 17, 5), 2u);
  EXPECT_EQ(binary(DW_OP_shl, 3, 4), 48u);
  EXPECT_EQ(binary(DW_OP_shl, 3, 64), 0u);
  EXPECT_EQ(binary(DW_OP_shr, negative(-1), 63), 1u);
  EXPECT_EQ(binary(DW_OP_shra, negative(-8), 2), negative(-2));
  EXPECT_EQ(binary(DW_OP_shra, negative(-8), 200), negative(-1));
  EXPECT_EQ(binary(DW_OP_ge, negative(-1), 1), 0u) << "comparisons are signed";
  EXPECT_EQ(binary(DW_OP_ge, 1, 1), 1u);
  EXPECT_EQ(binary(DW_OP_gt, 1, 1), 0u);
  EXPECT_EQ(binary(DW_OP_le, 1, 1), 1u);
  EXPECT_EQ(binary(DW_OP_lt, negative(-1), 1), 1u);
  EXPECT_EQ(binary(DW_OP_eq, 1, 1), 1u);
  EXPECT_EQ(binary(DW_OP_ne, 1, 1), 0u);
  EXPECT_EQ(frame.value({op(DW_OP_lit5), op(DW_OP_neg)}), negative(-5));
  EXPECT_EQ(frame.value({op(DW_OP_lit5), op(DW_OP_not)}), ~uint64_t{5});
  EXPECT_EQ(frame.value({op(DW_OP_const1s, negative(-5)), op(DW_OP_abs)}), 5u);
}

TEST(Expression, TheStackIsMovedAsDwarfSays) {
  const Frame frame;
  const auto after = [&](unsigned atom, uint64_t number = 0) {
    // 1 2 3 on the stack, then the operation, then the two upper ones as a number of two digits
    return frame.value({op(DW_OP_lit1), op(DW_OP_lit2), op(DW_OP_lit3), op(atom, number), op(DW_OP_swap),
                        op(DW_OP_lit10), op(DW_OP_mul), op(DW_OP_plus)});
  };
  EXPECT_EQ(after(DW_OP_nop), 23u);
  EXPECT_EQ(after(DW_OP_swap), 32u);
  EXPECT_EQ(after(DW_OP_rot), 12u);
  EXPECT_EQ(after(DW_OP_dup), 33u);
  EXPECT_EQ(after(DW_OP_over), 32u);
  EXPECT_EQ(after(DW_OP_pick, 2), 31u);
  EXPECT_EQ(after(DW_OP_drop), 12u);
}

// What ld writes for .plt: the stack is one word deeper from the third instruction of an entry on.
TEST(Expression, TheRuleOfThePlt) {
  Frame frame;
  const std::vector<Dwarf_Op> plt{op(DW_OP_breg7, 8), op(DW_OP_breg7 + 9, 0), op(DW_OP_lit15),
                                  op(DW_OP_and),      op(DW_OP_lit11),        op(DW_OP_ge),
                                  op(DW_OP_lit3),     op(DW_OP_shl),          op(DW_OP_plus)};
  frame.registers.set(16, 0x400010);
  EXPECT_EQ(frame.value(plt), 0x1008u);
  frame.registers.set(16, 0x40001b);
  EXPECT_EQ(frame.value(plt), 0x1010u);
}

TEST(Expression, WhatMakesNoSenseIsBroken) {
  Frame frame;
  EXPECT_EQ(frame.run({op(DW_OP_plus)}).status, Outcome::broken);
  EXPECT_EQ(frame.run({op(DW_OP_lit1), op(DW_OP_plus)}).status, Outcome::broken);
  EXPECT_EQ(frame.run({op(DW_OP_lit1), op(DW_OP_drop)}).status, Outcome::broken) << "nothing is left";
  EXPECT_EQ(frame.run({op(DW_OP_lit1), op(DW_OP_lit0), op(DW_OP_div)}).status, Outcome::broken);
  EXPECT_EQ(frame.run({op(DW_OP_lit1), op(DW_OP_lit0), op(DW_OP_mod)}).status, Outcome::broken);
  EXPECT_EQ(frame.run({op(DW_OP_breg3)}).status, Outcome::broken) << "rbx is not known";
  EXPECT_EQ(frame.run({op(DW_OP_bregx, 1'000'000)}).status, Outcome::broken);
  EXPECT_EQ(frame.run({op(DW_OP_lit1), op(DW_OP_pick, 1)}).status, Outcome::broken);
  EXPECT_EQ(frame.run({op(DW_OP_lit1), op(DW_OP_deref_size, 9)}).status, Outcome::broken);
  EXPECT_EQ(frame.run(std::vector<Dwarf_Op>(33, op(DW_OP_lit1))).status, Outcome::broken) << "too deep";
  frame.cfa.reset();
  EXPECT_EQ(frame.run({op(DW_OP_call_frame_cfa)}).status, Outcome::broken) << "the CFA of itself";
}

TEST(Expression, WhatIsNotEvaluatedIsRefused) {
  EXPECT_FALSE(compile_expression({}));
  const std::vector<Dwarf_Op> alone{op(DW_OP_stack_value)};
  EXPECT_FALSE(compile_expression(alone));
  const std::vector<Dwarf_Op> many(129, op(DW_OP_nop));
  EXPECT_FALSE(compile_expression(many));
  for (const unsigned atom : {DW_OP_bra, DW_OP_skip, DW_OP_call2, DW_OP_piece, DW_OP_reg0, DW_OP_fbreg,
                              DW_OP_stack_value, DW_OP_xderef, DW_OP_form_tls_address}) {
    const std::vector<Dwarf_Op> ops{op(DW_OP_lit1), op(atom), op(DW_OP_lit1)};
    EXPECT_FALSE(compile_expression(ops)) << atom;
  }
  const std::vector<Dwarf_Op> value{op(DW_OP_lit1), op(DW_OP_stack_value)};
  EXPECT_TRUE(compile_expression(value)->is_value);
}

}  // namespace
}  // namespace loiter
