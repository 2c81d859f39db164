// Machine code of any content, followed from any place: each walk ends within its bounds, and the rules that
// come of it lead up the stack and read nothing but the stack.
#include "daemon/inspect/parser/code_flow.h"

#include <memory>

#include "daemon/inspect/parser/code_rules.h"
#include "daemon/inspect/parser/frame_step.h"
#include "tests/fuzz/fuzz.h"

using namespace loiter;

namespace {

constexpr uint64_t kCode = 0x10000, kStack = 0x7000'0000;
constexpr size_t kStackSize = 256;
constexpr uint64_t kMostSteps = 60'000;  // of both walks

struct Target {
  std::unique_ptr<std::byte[]> stack;
  Registers registers;
};

// Registers that point into the stack, near it, or anywhere.
Target make_target(fuzz::Input& input) {
  Target target{.stack = std::make_unique<std::byte[]>(kStackSize), .registers = {}};
  for (size_t i = 0; i < kStackSize; i += 8) target.stack[i] = static_cast<std::byte>(input.take<uint8_t>());
  for (unsigned number = 0; number <= 16; ++number)
    target.registers.set(number, kStack + static_cast<uint64_t>(int64_t{input.take<int8_t>()}));
  target.registers.set(7, kStack);
  return target;
}

void check(const UnwindRule& rule, const Target& target, bool interrupted) {
  const StackMemory memory{kStack, {target.stack.get(), kStackSize}, true};
  Registers registers = target.registers;
  const StepResult result = step(rule, kX86_64, memory, interrupted, registers);
  if (result.outermost || result.cut != Cut::none) return;
  const uint64_t top = registers.get(7);
  FUZZ_CHECK(interrupted ? top >= kStack : top > kStack);
  FUZZ_CHECK(registers.known(16));
  if constexpr (fuzz::kPlantedBug) {  // takes it that some of the stack follows each frame
    if (top - kStack < kStackSize / 2) return;
    volatile auto byte = target.stack[kStackSize];
    (void)byte;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static InstructionReader reader(kX86_64);
  fuzz::Input input(data, size);
  const uint64_t start = kCode + input.take<uint8_t>();
  const uint64_t goal = kCode + input.take<uint8_t>();
  const bool interrupted = input.take<uint8_t>() & 1;
  const Target target = make_target(input);
  // On the heap, where the sanitizer sees each byte behind its end.
  const auto rest = input.rest();
  const auto bytes = std::make_unique<std::byte[]>(rest.size());
  std::memcpy(bytes.get(), rest.data(), rest.size());
  CodeFlow flow(
      kX86_64, reader,
      [&](uint64_t address) -> std::span<const std::byte> {
        if (address < kCode || address - kCode >= rest.size()) return {};
        return std::span<const std::byte>(bytes.get(), rest.size()).subspan(address - kCode);
      },
      kMostSteps);
  const CodeFlow::Result back = flow.to_return(start, ~uint64_t{0});
  for (const FrameState& state : back.states)
    if (const auto rule = rule_at_return(kX86_64, state)) check(*rule, target, interrupted);
  const CodeFlow::Result there = flow.to_place(start, goal);
  FUZZ_CHECK(there.states.size() <= 1);
  for (const FrameState& state : there.states)
    if (const auto rule = rule_from_beginning(kX86_64, state)) check(*rule, target, interrupted);
  FUZZ_CHECK(flow.instructions() <= kMostSteps);
  (void)reader.ends_with_call(std::span<const std::byte>(bytes.get(), std::min<size_t>(rest.size(), 8)),
                              start);
  return 0;
}
