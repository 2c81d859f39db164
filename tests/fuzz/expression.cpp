// DWARF expressions of any operations over a small stack: they end, and read nothing but the stack.
#include "daemon/inspect/parser/expression.h"

#include <memory>

#include "tests/fuzz/fuzz.h"

using namespace loiter;

namespace {

constexpr size_t kStackSize = 64;
constexpr uint64_t kStart = 0x1000;

struct __attribute__((packed)) Written {
  uint8_t atom;
  int16_t number;
  uint8_t number2;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  // On the heap, where the sanitizer sees each byte behind its end.
  const auto bytes = std::make_unique<std::byte[]>(kStackSize);
  for (size_t i = 0; i < kStackSize; i += 8) bytes[i] = static_cast<std::byte>(input.take<uint8_t>());
  Registers registers;
  registers.set(7, kStart);
  registers.set(6, kStart + 32);
  registers.set(16, input.take<uint64_t>());
  std::vector<Dwarf_Op> ops;
  while (!input.empty()) {
    const auto op = input.take<Written>();
    ops.push_back(
        {.atom = op.atom, .number = static_cast<uint64_t>(int64_t{op.number}), .number2 = op.number2});
  }
  const std::optional<Expression> expression = compile_expression(ops);
  if (!expression) return 0;
  const StackMemory memory{kStart, {bytes.get(), kStackSize}, false};
  const ExpressionResult result = evaluate(*expression, registers, memory, kStart + 16);
  if (result.status == ExpressionResult::Status::beyond) {
    FUZZ_CHECK(result.value + 8 > kStart + kStackSize);
    if constexpr (fuzz::kPlantedBug) {  // believes that there is one more
      volatile auto byte = bytes[kStackSize];
      (void)byte;
    }
  }
  return 0;
}
