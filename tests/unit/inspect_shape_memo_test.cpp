// Waits told again by where their return addresses lie: only if all of them do, and never code of no file.
#include "daemon/inspect/shape_memo.h"

#include <gtest/gtest.h>

#include <cstring>

namespace loiter {
namespace {

// A wait three functions deep: at 0x1000, called by 0x2000, called by 0x3000.
struct Seen {
  std::vector<CodePlace> places{
      {.pc = 0x1000, .module = 1, .offset = 0, .export_name = {}, .reached_from = {}, .lines = {}},
      {.pc = 0x2000, .module = 1, .offset = 0, .export_name = {}, .reached_from = {}, .lines = {}},
      {.pc = 0x3000, .module = 2, .offset = 0, .export_name = {}, .reached_from = {}, .lines = {}}};
  Stack stack;
  FutexEvidence evidence{.shape = FutexShape::condvar, .functions = 3};
  Seen() {
    stack.places = {0, 1, 2};
    stack.slots = {8, 40};
  }
};

std::vector<std::byte> memory_with(uint64_t at8, uint64_t at40) {
  std::vector<std::byte> memory(48);
  std::memcpy(memory.data() + 8, &at8, 8);
  std::memcpy(memory.data() + 40, &at40, 8);
  return memory;
}

const FutexEvidence* find(const ShapeMemo& memo, uint64_t ip, const std::vector<std::byte>& stack) {
  loiter_regs regs{};
  regs.ip = ip;
  return memo.find(regs, stack);
}

TEST(ShapeMemo, KnowsWhoHasTheSameReturnAddresses) {
  const Seen seen;
  ShapeMemo memo;
  EXPECT_FALSE(memo.reach(0x1000));
  ASSERT_TRUE(memo.learn(seen.stack, seen.places, 3, seen.evidence));
  EXPECT_EQ(memo.reach(0x1000), 48u);
  const FutexEvidence* found = find(memo, 0x1000, memory_with(0x2000, 0x3000));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->shape, FutexShape::condvar);
  EXPECT_FALSE(find(memo, 0x1001, memory_with(0x2000, 0x3000)));
  EXPECT_FALSE(find(memo, 0x1000, memory_with(0x2000, 0x3001)));
  EXPECT_FALSE(find(memo, 0x1000, memory_with(0x2001, 0x3000)));
  EXPECT_FALSE(find(memo, 0x1000, {})) << "unread memory tells nothing";
}

TEST(ShapeMemo, AsksForNoMoreThanTheEvidenceRestsOn) {
  const Seen seen;
  ShapeMemo memo;
  ASSERT_TRUE(memo.learn(seen.stack, seen.places, 1, seen.evidence));
  EXPECT_EQ(memo.reach(0x1000), 0u);
  EXPECT_TRUE(find(memo, 0x1000, {}));
  ShapeMemo of_two;
  ASSERT_TRUE(of_two.learn(seen.stack, seen.places, 2, seen.evidence));
  EXPECT_TRUE(find(of_two, 0x1000, memory_with(0x2000, 0)));
}

TEST(ShapeMemo, LearnsNothingThatIsNotFixed) {
  Seen seen;
  ShapeMemo memo;
  EXPECT_FALSE(memo.learn(seen.stack, seen.places, 0, seen.evidence));
  seen.stack.slots = {8};  // the second frame is counted from another register
  EXPECT_FALSE(memo.learn(seen.stack, seen.places, 3, seen.evidence));
  EXPECT_TRUE(memo.learn(seen.stack, seen.places, 2, seen.evidence));
  seen = Seen();
  seen.places[1].module = 0;  // compiled at run time: another function may be there next time
  EXPECT_FALSE(memo.learn(seen.stack, seen.places, 3, seen.evidence));
  seen = Seen();
  seen.stack.slots[1] = 1 << 20;
  EXPECT_FALSE(memo.learn(seen.stack, seen.places, 3, seen.evidence));
}

TEST(ShapeMemo, IsBoundedInWaysAndPlaces) {
  Seen seen;
  ShapeMemo memo;
  size_t learnt = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    seen.places[1].pc = 0x2000 + i;
    learnt += memo.learn(seen.stack, seen.places, 3, seen.evidence);
  }
  EXPECT_LT(learnt, 100u);
  for (uint64_t i = 0; i < 1000; ++i) {
    seen.places[0].pc = 0x100000 + i;
    learnt += memo.learn(seen.stack, seen.places, 3, seen.evidence);
  }
  EXPECT_LT(learnt, 500u);
}

}  // namespace
}  // namespace loiter
