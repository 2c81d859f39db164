#include "daemon/inspect/parser/signal_return.h"

#include <dwarf.h>
#include <elf.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace loiter {
namespace {

// mov $15,%eax or %rax (rt_sigreturn), syscall.
constexpr std::array<uint8_t, 7> kShort{0xb8, 15, 0, 0, 0, 0x0f, 0x05};
constexpr std::array<uint8_t, 9> kLong{0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};

template <size_t kSize>
bool begins_with(std::span<const std::byte> code, const std::array<uint8_t, kSize>& bytes) {
  return code.size() >= kSize && !std::memcmp(code.data(), bytes.data(), kSize);
}

// DWARF numbers in the order of struct sigcontext (arch/x86/include/uapi/asm/sigcontext.h): r8 to r15, di,
// si, bp, bx, dx, ax, cx, sp, ip. It begins 40 bytes behind the stack pointer (struct ucontext: flags, link,
// stack).
constexpr std::array<uint8_t, 17> kSaved{8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};
constexpr uint64_t kContext = 40;
constexpr uint8_t kRsp = 7, kRip = 16;

Expression at_stack_pointer(uint64_t offset) {
  return {.ops = {{.atom = DW_OP_breg0 + kRsp, .number = offset}}};
}

}  // namespace

std::optional<UnwindRule> signal_return_rule(const Architecture& architecture,
                                             std::span<const std::byte> code) {
  if (architecture.elf_machine != EM_X86_64 || !(begins_with(code, kShort) || begins_with(code, kLong)))
    return std::nullopt;
  UnwindRule rule;
  rule.from_code = true;
  rule.signal_frame = true;
  rule.return_register = kRip;
  rule.cfa_register = kRsp;
  for (size_t i = 0; i < kSaved.size(); ++i) {
    rule.expressions.push_back(at_stack_pointer(kContext + 8 * i));
    rule.registers.push_back(
        {.number = kSaved[i], .kind = RegisterRule::Kind::by_expression, .value = static_cast<int64_t>(i)});
  }
  return rule;
}

}  // namespace loiter
