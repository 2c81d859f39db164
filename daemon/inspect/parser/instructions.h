// One machine instruction at a time: how long it is, where the code goes on, and what becomes of registers
// and of the stack, as far as unwinding needs it. Capstone does the decoding and stays behind this.
//
// InstructionReader is owned by the module store, one thread. The bytes are hostile: what is no instruction
// is told as such, and what an instruction does beyond the little that is followed loses a value, never keeps
// a wrong one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "daemon/inspect/parser/architecture.h"

namespace loiter {

// Registers by DWARF number.
struct Change {
  enum class Kind : uint8_t {
    sum,    // reg = base + value
    load,   // reg = the eight bytes at base + value
    store,  // the `size` bytes at base + value = reg; kNone: something that is not followed
  };
  static constexpr uint8_t kNone = 255;

  Kind kind = Kind::sum;
  uint8_t reg = kNone;
  uint8_t base = kNone;
  uint16_t size = 8;
  int64_t value = 0;
};

struct Instruction {
  enum class Flow : uint8_t {
    next,
    branch,  // to the target or on
    jump,
    call,  // and on, where it comes back
    back,  // to the caller
    stop,  // not on: a trap, or what no function does
  };

  uint8_t size = 0;
  Flow flow = Flow::next;
  std::optional<uint64_t> target;     // of a branch, jump or call; without: it is not in the instruction
  std::optional<uint64_t> refers_to;  // an address that it has as a distance from itself
  uint8_t change_count = 0;
  std::array<Change, 4> changes;  // one after the other
  uint64_t lost = 0;              // mask of the registers with another value after that

  std::span<const Change> all_changes() const { return {changes.data(), change_count}; }
};

class InstructionReader {
 public:
  explicit InstructionReader(const Architecture& architecture);
  ~InstructionReader();
  InstructionReader(const InstructionReader&) = delete;
  InstructionReader& operator=(const InstructionReader&) = delete;

  // The one that these bytes begin with. nullopt: none that is known, or an architecture whose code is not
  // followed here.
  std::optional<Instruction> read(std::span<const std::byte> code, uint64_t address);

  // True where a call ends right before `address`, `before` being the bytes that end there.
  bool ends_with_call(std::span<const std::byte> before, uint64_t address);

 private:
  struct Engine;
  const Architecture& architecture_;
  std::unique_ptr<Engine> engine_;  // when first wanted
};

}  // namespace loiter
