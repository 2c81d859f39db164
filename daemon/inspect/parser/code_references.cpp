#include "daemon/inspect/parser/code_references.h"

#include <elf.h>

#include <cstring>

namespace loiter {
namespace {

// A distance of four bytes counts from behind them: of call, jmp and Jcc, and of lea with no operand behind.
// Code that is position-independent, as libraries are, holds an address in no other way.
void find_x86_64(std::span<const std::byte> code, uint64_t address, const AddressSet& wanted,
                 std::vector<CodeReference>& found) {
  for (size_t i = 0; i + 1 < code.size(); ++i) {
    const auto opcode = static_cast<uint8_t>(code[i]);
    const bool is_short = opcode == 0xeb || (opcode & 0xf0) == 0x70 || (opcode & 0xfc) == 0xe0;
    if (is_short) {
      const uint64_t target =
          address + i + 2 + static_cast<uint64_t>(int64_t{static_cast<int8_t>(code[i + 1])});
      if (wanted.contains(target)) found.push_back({address + i, target});
    }
    int32_t distance = 0;
    if (code.size() - i < sizeof(distance)) continue;
    std::memcpy(&distance, code.data() + i, sizeof(distance));
    const uint64_t target = address + i + sizeof(distance) + static_cast<uint64_t>(int64_t{distance});
    if (wanted.contains(target)) found.push_back({address + i, target});
  }
}

}  // namespace

bool find_references(const Architecture& architecture, std::span<const std::byte> code, uint64_t address,
                     const AddressSet& wanted, std::vector<CodeReference>& found) {
  if (architecture.elf_machine != EM_X86_64) return false;
  find_x86_64(code, address, wanted, found);
  return true;
}

}  // namespace loiter
