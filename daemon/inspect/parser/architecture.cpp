#include "daemon/inspect/parser/architecture.h"

#include <elf.h>

#include <cstring>

namespace loiter {
namespace {

constexpr uint64_t bits(unsigned first, unsigned last) {
  return ((uint64_t{1} << (last - first + 1)) - 1) << first;
}

// System V ABI, AMD64 supplement, figure 3.36: DWARF numbers. 16 is the return address.
enum : unsigned {
  kRdx = 1,
  kRcx = 2,
  kRbx = 3,
  kRsi = 4,
  kRdi = 5,
  kRbp = 6,
  kRsp = 7,
  kR8 = 8,
  kR12 = 12,
  kRip = 16
};

// In a system call the arguments are what the kernel took, and rcx is the return address (SYSCALL leaves
// it there).
Registers load_x86_64(const loiter_regs& regs) {
  Registers to;
  to.set(kRip, regs.ip);
  to.set(kRsp, regs.sp);
  to.set(kRbp, regs.fp);
  to.set(kRbx, regs.saved[0]);
  for (unsigned i = 0; i < 4; ++i) to.set(kR12 + i, regs.saved[1 + i]);
  if (regs.syscall < 0) return to;
  to.set(kRdi, regs.args[0]);
  to.set(kRsi, regs.args[1]);
  to.set(kRdx, regs.args[2]);
  to.set(kR8 + 2, regs.args[3]);
  to.set(kR8, regs.args[4]);
  to.set(kR8 + 1, regs.args[5]);
  to.set(kRcx, regs.ip);
  return to;
}

// E8 and a distance from the next instruction.
std::optional<uint64_t> call_target_x86_64(std::span<const std::byte> instruction, uint64_t return_address) {
  if (instruction.size() != 5 || instruction[0] != std::byte{0xe8}) return std::nullopt;
  int32_t distance = 0;
  std::memcpy(&distance, instruction.data() + 1, sizeof(distance));
  return return_address + static_cast<uint64_t>(int64_t{distance});
}

// DWARF for the Arm 64-bit Architecture: x0-x30 are 0-30, sp is 31. pc has no number that GCC uses: 32 is
// ours.
enum : unsigned { kX19 = 19, kX29 = 29, kX30 = 30, kSp = 31, kPc = 32 };

Registers load_aarch64(const loiter_regs& regs) {
  Registers to;
  to.set(kPc, regs.ip);
  to.set(kSp, regs.sp);
  to.set(kX29, regs.fp);
  to.set(kX30, regs.lr);
  for (unsigned i = 0; i < LOITER_SAVED_REGS; ++i) to.set(kX19 + i, regs.saved[i]);
  if (regs.syscall < 0) return to;
  for (unsigned i = 1; i < LOITER_SYSCALL_ARGS; ++i) to.set(i, regs.args[i]);
  return to;
}

// BL: 100101 and a distance in words of four bytes.
std::optional<uint64_t> call_target_aarch64(std::span<const std::byte> instruction, uint64_t return_address) {
  uint32_t word = 0;
  if (instruction.size() != sizeof(word)) return std::nullopt;
  std::memcpy(&word, instruction.data(), sizeof(word));
  if (word >> 26 != 0x25) return std::nullopt;
  const int32_t distance = static_cast<int32_t>(word << 6) >> 4;
  return return_address - sizeof(word) + static_cast<uint64_t>(int64_t{distance});
}

}  // namespace

const Architecture kX86_64 = {
    .elf_machine = EM_X86_64,
    .registers = 17,
    .stack_pointer = kRsp,
    .program_counter = kRip,
    .preserved = uint64_t{1} << kRbx | uint64_t{1} << kRbp | bits(kR12, 15),
    .address_bits = ~uint64_t{0},
    .call_pushes = true,
    .link_register = kRip,
    .call_size = 5,
    .load = load_x86_64,
    .call_target = call_target_x86_64,
};

const Architecture kAArch64 = {
    .elf_machine = EM_AARCH64,
    .registers = 32,
    .stack_pointer = kSp,
    .program_counter = kPc,
    .preserved = bits(kX19, kX30),
    .address_bits = bits(0, 47),
    .call_pushes = false,
    .link_register = kX30,
    .call_size = 4,
    .load = load_aarch64,
    .call_target = call_target_aarch64,
};

const Architecture& native_architecture() {
#if defined(__x86_64__)
  return kX86_64;
#elif defined(__aarch64__)
  return kAArch64;
#else
#error "no unwinding on this architecture"
#endif
}

}  // namespace loiter
