// What is known of a thread's stack: the bytes from its stack pointer upwards, as far as they were read; and
// of another one, where a signal was taken on an alternate stack.
//
// A view; used by the unwinder's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace loiter {

struct StackMemory {
  uint64_t start = 0;
  std::span<const std::byte> bytes;
  bool whole = false;  // nothing is mapped behind it
  uint64_t other_start = 0;
  std::span<const std::byte> other = {};

  enum class Read : uint8_t {
    done,
    beyond,   // it lies behind what was read, and near enough to be of the same stack
    outside,  // it is none of this memory
  };

  // `size` is 1 to 8; smaller ones are extended with zeros.
  Read read(uint64_t address, size_t size, uint64_t& value) const {
    if (address >= other_start && address - other_start <= other.size() &&
        other.size() - (address - other_start) >= size) {
      value = 0;
      std::memcpy(&value, other.data() + (address - other_start), size);
      return Read::done;
    }
    if (address < start) return Read::outside;
    const uint64_t at = address - start;
    if (at <= bytes.size() && bytes.size() - at >= size) {
      value = 0;
      std::memcpy(&value, bytes.data() + at, size);
      return Read::done;
    }
    return whole || at > kFarthest ? Read::outside : Read::beyond;
  }

  static constexpr uint64_t kFarthest = uint64_t{1}
                                        << 30;  // of a stack's end; what is asked for is bounded so
};

}  // namespace loiter
