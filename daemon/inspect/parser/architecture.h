// The registers of an architecture as unwinding rules number them, and how a call leaves its mark: one table
// for each architecture, so that the unwinder knows none of them by name.
//
// Plain values and constants, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "bpf/records.h"

namespace loiter {

// The registers of one frame, by DWARF number; of most frames only some are known.
class Registers {
 public:
  static constexpr unsigned kMost = 33;

  bool known(unsigned number) const { return number < kMost && (known_ >> number & 1); }
  uint64_t get(unsigned number) const { return values_[number]; }
  void set(unsigned number, uint64_t value) {
    values_[number] = value;
    known_ |= uint64_t{1} << number;
  }
  // Forgets all that are not in `mask`.
  void keep(uint64_t mask) { known_ &= mask; }

 private:
  std::array<uint64_t, kMost> values_{};
  uint64_t known_ = 0;
};

struct Architecture {
  uint16_t elf_machine;
  unsigned registers;        // DWARF numbers 0 to this, exclusive, may have rules
  unsigned stack_pointer;    // its number
  unsigned program_counter;  // likewise; where DWARF has none, one of our own behind the others
  uint64_t preserved;        // mask of those that a function hands back as it got them, by the ABI
  uint64_t
      address_bits;  // of a return address: the others may hold a signature (arm64's pointer authentication)
  bool call_pushes;  // a call puts the return address onto the stack: each frame takes some of it
  unsigned link_register;  // where a call leaves the return address otherwise
  size_t call_size;        // bytes of a direct call

  Registers (*load)(const loiter_regs& regs);
  // Where a direct call goes whose instruction these bytes are and whose return address that is.
  std::optional<uint64_t> (*call_target)(std::span<const std::byte> instruction, uint64_t return_address);
};

extern const Architecture kX86_64;
extern const Architecture kAArch64;
const Architecture& native_architecture();

}  // namespace loiter
