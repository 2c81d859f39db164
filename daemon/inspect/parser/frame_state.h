// What is known of registers and stack while code is followed: each value in terms of the registers where the
// walk began, or of the memory as it was then.
//
// Plain values, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/inspect/parser/instructions.h"

namespace loiter {

struct FrameValue {
  enum class Kind : uint8_t {
    unknown,
    sum,     // that register's value at the beginning + offset
    loaded,  // what was in memory there
  };
  Kind kind = Kind::unknown;
  uint8_t base = 0;
  int64_t offset = 0;
  bool operator==(const FrameValue&) const = default;
};

class FrameState {
 public:
  static constexpr unsigned kRegisters = 32;

  // `known`: mask of the registers that count as known at the beginning.
  explicit FrameState(uint64_t known);

  // False: it writes more of the stack than is kept.
  bool apply(const Instruction& instruction);
  // Forgets all registers but these, as a call does.
  void keep(uint64_t registers);
  // What holds in both. True: that is less than it was.
  bool meet(const FrameState& other);

  const FrameValue& get(unsigned number) const { return registers_[number]; }
  // The eight bytes at an address of kind `sum`.
  FrameValue load(const FrameValue& address) const;
  // Where the stack holds this value, at or above `lowest` and in terms of the same register.
  std::optional<int64_t> find(const FrameValue& value, const FrameValue& lowest) const;

 private:
  struct Slot {
    uint8_t base;
    uint16_t size;
    int64_t offset;
    FrameValue value;
    bool operator==(const Slot&) const = default;
  };
  bool store(const FrameValue& address, uint16_t size, const FrameValue& value);

  std::array<FrameValue, kRegisters> registers_;
  std::vector<Slot> slots_;  // written since, by base and offset; not overlapping
};

}  // namespace loiter
