// Single steps from a frame to its caller, on both architectures, and what a leaf function gives away.
#include "daemon/inspect/parser/frame_step.h"

#include <dwarf.h>
#include <gtest/gtest.h>

#include <cstring>

namespace loiter {
namespace {

using Kind = RegisterRule::Kind;

constexpr unsigned kRbx = 3, kRbp = 6, kRsp = 7, kRip = 16;
constexpr unsigned kX19 = 19, kX29 = 29, kX30 = 30, kSp = 31, kPc = 32;

struct Words {
  std::vector<std::byte> bytes;
  StackMemory memory;
  explicit Words(std::vector<uint64_t> words, bool whole = false) : bytes(words.size() * 8) {
    std::memcpy(bytes.data(), words.data(), bytes.size());
    memory = {0x1000, bytes, whole};
  }
};

Registers x86_registers() {
  loiter_regs regs{};
  regs.ip = 0x400000;
  regs.sp = 0x1000;
  regs.fp = 0x1010;
  regs.saved[0] = 0xb;
  regs.syscall = 0;
  return kX86_64.load(regs);
}

UnwindRule x86_rule(int64_t cfa_offset) {
  return {.cfa_register = kRsp,
          .return_register = kRip,
          .cfa_offset = cfa_offset,
          .registers = {{kRip, Kind::at_cfa, -8}},
          .expressions = {}};
}

TEST(FrameStep, TakesTheReturnAddressAndWhatWasSaved) {
  const Words stack({1, 2, 0xeb9, 0x401000, 5});
  UnwindRule rule = x86_rule(32);
  rule.registers.push_back({kRbp, Kind::at_cfa, -16});
  Registers registers = x86_registers();
  const StepResult result = step(rule, kX86_64, stack.memory, true, registers);
  EXPECT_EQ(result.cut, Cut::none);
  EXPECT_FALSE(result.outermost);
  EXPECT_EQ(registers.get(kRip), 0x401000u);
  EXPECT_EQ(registers.get(kRsp), 0x1020u);
  EXPECT_EQ(registers.get(kRbp), 0xeb9u);
  EXPECT_EQ(registers.get(kRbx), 0xbu) << "left alone";
  EXPECT_FALSE(registers.known(5)) << "a call preserves no rdi";
}

TEST(FrameStep, EndsWhereTheReturnAddressIsUndefined) {
  const Words stack({1, 2});
  UnwindRule rule = x86_rule(8);
  rule.registers = {{kRip, Kind::undefined, 0}};
  Registers registers = x86_registers();
  EXPECT_TRUE(step(rule, kX86_64, stack.memory, true, registers).outermost);
  EXPECT_EQ(registers.get(kRip), 0x400000u);
}

TEST(FrameStep, SaysWhichMemoryIsMissing) {
  const Words part({1, 2}), whole({1, 2}, true);
  Registers registers = x86_registers();
  const StepResult more = step(x86_rule(64), kX86_64, part.memory, true, registers);
  EXPECT_EQ(more.cut, Cut::needs_memory);
  EXPECT_EQ(more.wanted_end, 0x1040u);
  EXPECT_EQ(step(x86_rule(64), kX86_64, whole.memory, true, registers).cut, Cut::no_memory);
  EXPECT_EQ(step(x86_rule(int64_t{1} << 40), kX86_64, part.memory, true, registers).cut, Cut::no_memory);
  EXPECT_EQ(registers.get(kRip), 0x400000u) << "as it was";
}

TEST(FrameStep, NeverGoesDownOrStands) {
  const Words stack({1, 2, 3, 4});
  UnwindRule rule = x86_rule(0);
  rule.registers = {{kRip, Kind::at_cfa, 0}};
  Registers registers = x86_registers();
  EXPECT_EQ(step(rule, kX86_64, stack.memory, true, registers).cut, Cut::bad_rules);
  rule.cfa_offset = -8;
  EXPECT_EQ(step(rule, kX86_64, stack.memory, true, registers).cut, Cut::bad_rules);
  rule.signal_frame = true;  // of a handler on a stack of its own
  rule.registers = {{kRip, Kind::cfa_plus, 0}};
  EXPECT_EQ(step(rule, kX86_64, stack.memory, true, registers).cut, Cut::none);
}

TEST(FrameStep, NeedsRegistersThatAreKnown) {
  const Words stack({1, 2, 3, 4});
  Registers registers = x86_registers();
  UnwindRule rule = x86_rule(16);
  rule.cfa_register = 0;
  EXPECT_EQ(step(rule, kX86_64, stack.memory, true, registers).cut, Cut::bad_rules);
  rule = x86_rule(16);
  rule.registers = {{kRip, Kind::other, 0}};
  EXPECT_EQ(step(rule, kX86_64, stack.memory, true, registers).cut, Cut::bad_rules);
  rule.registers = {};
  EXPECT_EQ(step(rule, kX86_64, stack.memory, true, registers).cut, Cut::bad_rules);
}

TEST(FrameStep, AFrameIsFixedWhereItIsCountedFromTheStackPointer) {
  UnwindRule rule = x86_rule(32);
  auto frame = fixed_frame(rule, kX86_64);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->return_slot, 24u);
  EXPECT_EQ(frame->size, 32u);
  rule.registers.push_back({kRsp, Kind::cfa_plus, 0});
  EXPECT_TRUE(fixed_frame(rule, kX86_64));
  rule.registers.back() = {kRsp, Kind::at_cfa, -16};
  EXPECT_FALSE(fixed_frame(rule, kX86_64)) << "the caller's stack is another one";
  rule = x86_rule(32);
  rule.cfa_register = kRbp;
  EXPECT_FALSE(fixed_frame(rule, kX86_64)) << "as large as the frame pointer says";
  rule = x86_rule(32);
  rule.signal_frame = true;
  EXPECT_FALSE(fixed_frame(rule, kX86_64));
  rule = x86_rule(32);
  rule.cfa_by_expression = true;
  EXPECT_FALSE(fixed_frame(rule, kX86_64));
  rule = x86_rule(32);
  rule.registers[0] = {kRip, Kind::other, kRbx};
  EXPECT_FALSE(fixed_frame(rule, kX86_64)) << "in no memory";
  EXPECT_FALSE(fixed_frame(x86_rule(int64_t{1} << 40), kX86_64));
  EXPECT_FALSE(fixed_frame(x86_rule(-16), kX86_64));
}

Registers arm_registers() {
  loiter_regs regs{};
  regs.ip = 0x400000;
  regs.sp = 0x1000;
  regs.fp = 0x1010;
  regs.lr = 0x401004;
  regs.saved[0] = 19;
  regs.saved[9] = 28;
  return kAArch64.load(regs);
}

TEST(FrameStep, OnArm64ALeafReturnsByTheLinkRegister) {
  const Words stack({1, 2});
  const UnwindRule leaf{.cfa_register = kSp, .return_register = kX30, .registers = {}, .expressions = {}};
  Registers registers = arm_registers();
  EXPECT_EQ(registers.get(kX19), 19u);
  EXPECT_EQ(registers.get(28), 28u);
  EXPECT_EQ(step(leaf, kAArch64, stack.memory, true, registers).cut, Cut::none);
  EXPECT_EQ(registers.get(kPc), 0x401004u);
  EXPECT_EQ(registers.get(kSp), 0x1000u);
  EXPECT_EQ(step(leaf, kAArch64, stack.memory, false, registers).cut, Cut::bad_rules)
      << "it called, so the link register is no longer its own";
}

TEST(FrameStep, OnArm64ASavedReturnAddressLosesItsSignature) {
  const Words stack({0xeb9, 0x0055'0000'0040'2008});
  const UnwindRule rule{.cfa_register = kX29,
                        .return_register = kX30,
                        .cfa_offset = 0,
                        .registers = {{kX29, Kind::at_cfa, -16}, {kX30, Kind::at_cfa, -8}},
                        .expressions = {}};
  Registers registers = arm_registers();
  EXPECT_EQ(step(rule, kAArch64, stack.memory, true, registers).cut, Cut::none);
  EXPECT_EQ(registers.get(kPc), 0x402008u);
  EXPECT_EQ(registers.get(kX29), 0xeb9u);
  EXPECT_EQ(registers.get(kSp), 0x1010u);
}

TEST(LeafStep, OutOfAFunctionThatTouchedNothing) {
  const Words stack({0x401005, 2});
  Registers registers = x86_registers();
  EXPECT_EQ(step_out_of_leaf(kX86_64, stack.memory, registers).cut, Cut::none);
  EXPECT_EQ(registers.get(kRip), 0x401005u);
  EXPECT_EQ(registers.get(kRsp), 0x1008u);
  Registers arm = arm_registers();
  EXPECT_EQ(step_out_of_leaf(kAArch64, stack.memory, arm).cut, Cut::none);
  EXPECT_EQ(arm.get(kPc), 0x401004u);
  EXPECT_EQ(arm.get(kSp), 0x1000u);
}

TEST(LeafStep, CallsTellWhereTheyGo) {
  const unsigned char call[] = {0xe8, 0xfb, 0xff, 0xff, 0xff}, jump[] = {0xe9, 0, 0, 0, 0};
  EXPECT_EQ(kX86_64.call_target(std::as_bytes(std::span(call)), 0x1005), 0x1000u);
  EXPECT_EQ(kX86_64.call_target(std::as_bytes(std::span(jump)), 0x1005), std::nullopt);
  EXPECT_EQ(kX86_64.call_target({}, 0x1005), std::nullopt);
  const uint32_t bl[] = {0x97ffffff}, b[] = {0x17ffffff};  // back by one word
  EXPECT_EQ(kAArch64.call_target(std::as_bytes(std::span(bl)), 0x1004), 0xffcu);
  EXPECT_EQ(kAArch64.call_target(std::as_bytes(std::span(b)), 0x1004), std::nullopt);
}

}  // namespace
}  // namespace loiter
