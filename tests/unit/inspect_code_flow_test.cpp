#include "daemon/inspect/parser/code_flow.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "daemon/inspect/parser/code_rules.h"

namespace loiter::test {
namespace {

constexpr uint64_t kStart = 0x1000;
constexpr uint8_t kRbx = 3, kRbp = 6, kRsp = 7, kRip = 16;

#define PUSH_RBX 0x53
#define POP_RBX 0x5b
#define RET 0xc3
#define HLT 0xf4
#define POP_RBP 0x5d
#define LEAVE 0xc9
#define ADD_RSP_16 0x48, 0x83, 0xc4, 0x10
#define SUB_RSP_16 0x48, 0x83, 0xec, 0x10
#define CALL(distance) 0xe8, distance, 0, 0, 0
#define JZ(distance) 0x74, distance
#define JMP(distance) 0xeb, distance

class Code {
 public:
  Code(std::initializer_list<int> bytes)
      : reader_(kX86_64),
        flow_(
            kX86_64, reader_, [this](uint64_t address) { return from(address); }, 1'000'000) {
    for (const int byte : bytes) bytes_.push_back(static_cast<std::byte>(byte));
  }

  CodeFlow& flow() { return flow_; }
  CodeFlow::Result back_from(uint64_t offset) { return flow_.to_return(kStart + offset, ~uint64_t{0}); }

  // That of the only state there is.
  std::optional<UnwindRule> rule_from(uint64_t offset) {
    const CodeFlow::Result result = back_from(offset);
    if (!result.agreed || result.states.size() != 1) return std::nullopt;
    return rule_at_return(kX86_64, result.states.front());
  }
  std::optional<UnwindRule> rule_at(uint64_t offset) {
    const CodeFlow::Result result = flow_.to_place(kStart, kStart + offset);
    if (!result.agreed || result.states.size() != 1) return std::nullopt;
    return rule_from_beginning(kX86_64, result.states.front());
  }

 private:
  std::span<const std::byte> from(uint64_t address) const {
    if (address < kStart || address - kStart >= bytes_.size()) return {};
    return std::span(bytes_).subspan(address - kStart);
  }

  std::vector<std::byte> bytes_;
  InstructionReader reader_;
  CodeFlow flow_;
};

const RegisterRule* find(const UnwindRule& rule, unsigned number) {
  for (const RegisterRule& of : rule.registers)
    if (of.number == number) return &of;
  return nullptr;
}

void expect_at_cfa(const UnwindRule& rule, unsigned number, int64_t offset) {
  const RegisterRule* of = find(rule, number);
  ASSERT_NE(of, nullptr) << number;
  EXPECT_EQ(of->kind, RegisterRule::Kind::at_cfa) << number;
  EXPECT_EQ(of->value, offset) << number;
}

TEST(CodeFlow, CountsWhatIsGivenBack) {
  Code code{PUSH_RBX, SUB_RSP_16, CALL(0x40), ADD_RSP_16, POP_RBX, RET};
  const auto rule = code.rule_from(10);
  ASSERT_TRUE(rule);
  EXPECT_TRUE(rule->from_code);
  EXPECT_EQ(rule->cfa_register, kRsp);
  EXPECT_EQ(rule->cfa_offset, 32);
  expect_at_cfa(*rule, kRip, -8);
  expect_at_cfa(*rule, kRbx, -16);
  EXPECT_EQ(find(*rule, kRbp), nullptr) << "left alone";
}

TEST(CodeFlow, KnowsAFrameByItsPointer) {
  Code code{0x48, 0x29, 0xc4 /* sub rsp, rax */, LEAVE, RET};
  const auto rule = code.rule_from(0);
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->cfa_register, kRbp);
  EXPECT_EQ(rule->cfa_offset, 16);
  expect_at_cfa(*rule, kRbp, -16);
}

TEST(CodeFlow, SeesWhatItSavedItself) {
  Code code{PUSH_RBX, 0x48, 0x89, 0xc3 /* mov rbx, rax */, POP_RBX, RET};
  const auto rule = code.rule_from(0);
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->cfa_offset, 8);
  EXPECT_EQ(find(*rule, kRbx), nullptr) << "as it was";
}

TEST(CodeFlow, GoesBothWaysOfABranch) {
  Code code{JZ(5), ADD_RSP_16, RET, ADD_RSP_16, RET};
  const auto result = code.back_from(0);
  EXPECT_TRUE(result.agreed);
  ASSERT_EQ(result.states.size(), 2u);
  EXPECT_EQ(result.states[0].get(kRsp), result.states[1].get(kRsp));
}

TEST(CodeFlow, SeesThatWaysDisagreeWhereTheyMeet) {
  Code code{JZ(4), ADD_RSP_16, RET};
  EXPECT_FALSE(code.back_from(0).agreed);
}

TEST(CodeFlow, FollowsJumpsAndEndsInLoops) {
  Code code{JMP(2), HLT, HLT, POP_RBX, RET};
  EXPECT_EQ(code.rule_from(0)->cfa_offset, 16);
  Code loop{0x90, JMP(0xfd)};
  const auto result = loop.back_from(0);
  EXPECT_TRUE(result.states.empty());
  EXPECT_FALSE(result.ends);
}

TEST(CodeFlow, LeavesOutWhatItCannotFollow) {
  Code code{JZ(2), 0xff, 0xe0 /* jmp rax */, POP_RBX, RET};
  ASSERT_TRUE(code.rule_from(0));
  EXPECT_EQ(code.rule_from(0)->cfa_offset, 16);
}

TEST(CodeFlow, DoesNotGoOnBehindACallThatNeverComesBack) {
  // jz over, call the last one, and then what is another function's where that does not come back.
  Code returns{JZ(8), CALL(5), POP_RBX, RET, 0x90, POP_RBP, RET, RET};
  EXPECT_EQ(returns.back_from(0).states.size(), 2u);
  Code code{JZ(8), CALL(5), POP_RBX, RET, 0x90, POP_RBP, RET, HLT};
  EXPECT_FALSE(code.flow().may_return(kStart + 12));
  const auto rule = code.rule_from(0);
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->cfa_offset, 16);
  expect_at_cfa(*rule, kRbp, -16);
  EXPECT_EQ(find(*rule, kRbx), nullptr);
}

TEST(CodeFlow, BelievesNoReturnAddressThatWasWrittenOver) {
  Code code{0x48, 0x89, 0x04, 0x24 /* mov [rsp], rax */, RET};
  const auto rule = code.rule_from(0);
  // Where it would go is known, by that register; what the stack had is not asked.
  ASSERT_TRUE(rule);
  EXPECT_EQ(find(*rule, kRip)->kind, RegisterRule::Kind::other);
  Code half{0xc7, 0x04, 0x24, 0, 0, 0, 0 /* mov dword [rsp], 0 */, RET};
  EXPECT_FALSE(half.rule_from(0));
}

// As vfork does: push rdx, where the return address had been put.
TEST(CodeFlow, FollowsAReturnAddressIntoARegister) {
  Code code{0x52, RET};
  const auto rule = code.rule_from(0);
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->cfa_offset, 0);
  EXPECT_EQ(find(*rule, kRip)->kind, RegisterRule::Kind::other);
  EXPECT_EQ(find(*rule, kRip)->value, 1);
}

TEST(CodeFlow, TellsWhereNothingGoesOn) {
  Code code{0x89, 0xc7, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05, HLT};
  EXPECT_TRUE(code.back_from(0).ends);
  Code calls{CALL(0), HLT};
  EXPECT_FALSE(calls.back_from(0).ends);
}

TEST(CodeFlow, LeadsFromABeginningToAPlace) {
  Code code{PUSH_RBX, SUB_RSP_16, CALL(0), HLT};
  const auto rule = code.rule_at(10);
  EXPECT_FALSE(rule) << "that call pushes what follows it";
  Code good{PUSH_RBX, 0x48, 0x89, 0xfb /* mov rbx, rdi */, SUB_RSP_16, CALL(1), HLT, RET};
  const auto known = good.rule_at(13);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->cfa_register, kRsp);
  EXPECT_EQ(known->cfa_offset, 32);
  expect_at_cfa(*known, kRip, -8);
  expect_at_cfa(*known, kRbx, -16);
}

// More than it gave: its caller's frame is not where the stack pointer says.
TEST(CodeFlow, BelievesNoBeginningThatIsOffTheStack) {
  Code code{POP_RBX, CALL(1), HLT, RET};
  EXPECT_FALSE(code.rule_at(6));
}

TEST(InstructionReader, KnowsACallByItsEnd) {
  InstructionReader reader(kX86_64);
  const auto ends = [&](std::initializer_list<int> list) {
    std::vector<std::byte> bytes;
    for (const int byte : list) bytes.push_back(static_cast<std::byte>(byte));
    return reader.ends_with_call(bytes, kStart);
  };
  EXPECT_TRUE(ends({0x90, 0x90, 0x90, CALL(0)}));
  EXPECT_TRUE(ends({0x90, 0x41, 0xff, 0xd1}));  // call r9
  EXPECT_TRUE(ends({0xff, 0x15, 1, 2, 3, 0}));  // call [rip + …]
  EXPECT_FALSE(ends({0x90, 0x90, 0x90, 0xe9, 0, 0, 0, 0}));
  EXPECT_FALSE(ends({}));
}

TEST(InstructionReader, LosesWhatItDoesNotFollow) {
  InstructionReader reader(kX86_64);
  const std::byte xchg[] = {std::byte{0x48}, std::byte{0x87}, std::byte{0xe3}};  // xchg rbx, rsp
  const auto instruction = reader.read(xchg, kStart);
  ASSERT_TRUE(instruction);
  EXPECT_EQ(instruction->lost, uint64_t{1} << kRsp | uint64_t{1} << kRbx);
  EXPECT_FALSE(reader.read({}, kStart));
}

}  // namespace
}  // namespace loiter::test
