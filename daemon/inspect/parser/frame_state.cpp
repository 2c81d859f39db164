#include "daemon/inspect/parser/frame_state.h"

#include <algorithm>

namespace loiter {
namespace {

constexpr size_t kMostSlots = 128;
constexpr int64_t kFarthest = int64_t{1} << 31;  // no frame is as large

using Kind = FrameValue::Kind;

// Offsets come from foreign code.
FrameValue plus(const FrameValue& value, int64_t offset) {
  if (value.kind != Kind::sum || offset > kFarthest || offset < -kFarthest) return {};
  const int64_t sum = value.offset + offset;
  if (sum > kFarthest || sum < -kFarthest) return {};
  return {.kind = Kind::sum, .base = value.base, .offset = sum};
}

}  // namespace

FrameState::FrameState(uint64_t known) {
  for (unsigned number = 0; number < kRegisters; ++number)
    if (known >> number & 1)
      registers_[number] = {.kind = Kind::sum, .base = static_cast<uint8_t>(number), .offset = 0};
}

void FrameState::keep(uint64_t registers) {
  for (unsigned number = 0; number < kRegisters; ++number)
    if (!(registers >> number & 1)) registers_[number] = {};
}

// What it covers is gone; what it covers a part of has no value that is known.
bool FrameState::store(const FrameValue& address, uint16_t size, const FrameValue& value) {
  const int64_t start = address.offset, end = start + size;
  const auto overlaps = [&](const Slot& slot) {
    return slot.base == address.base && slot.offset < end && slot.offset + slot.size > start;
  };
  std::erase_if(slots_, [&](const Slot& slot) {
    return overlaps(slot) && slot.offset >= start && slot.offset + slot.size <= end;
  });
  for (Slot& slot : slots_)
    if (overlaps(slot)) slot.value = {};
  if (slots_.size() >= kMostSlots) return false;
  slots_.push_back({address.base, size, start, size == 8 ? value : FrameValue{}});
  return true;
}

FrameValue FrameState::load(const FrameValue& address) const {
  if (address.kind != Kind::sum) return {};
  FrameValue value{.kind = Kind::loaded, .base = address.base, .offset = address.offset};
  size_t found = 0;
  for (const Slot& slot : slots_) {
    if (slot.base != address.base || slot.offset >= address.offset + 8 ||
        slot.offset + slot.size <= address.offset)
      continue;
    const bool exact = slot.offset == address.offset && slot.size == 8;
    value = exact && found++ == 0 ? slot.value : FrameValue{};
  }
  return value;
}

std::optional<int64_t> FrameState::find(const FrameValue& value, const FrameValue& lowest) const {
  for (const Slot& slot : slots_)
    if (slot.value == value && slot.base == lowest.base && slot.offset >= lowest.offset) return slot.offset;
  return std::nullopt;
}

bool FrameState::apply(const Instruction& instruction) {
  for (const Change& change : instruction.all_changes()) {
    if (change.base >= kRegisters) continue;
    const FrameValue address = plus(registers_[change.base], change.value);
    const bool has_register = change.reg < kRegisters;
    switch (change.kind) {
      case Change::Kind::sum:
        if (has_register) registers_[change.reg] = address;
        break;
      case Change::Kind::load:
        if (has_register) registers_[change.reg] = load(address);
        break;
      case Change::Kind::store:
        if (address.kind == Kind::sum &&
            !store(address, change.size, has_register ? registers_[change.reg] : FrameValue{}))
          return false;
        break;
    }
  }
  for (unsigned number = 0; number < kRegisters; ++number)
    if (instruction.lost >> number & 1) registers_[number] = {};
  return true;
}

// A slot that only one of them has written: the other has there what was there before.
bool FrameState::meet(const FrameState& other) {
  const FrameState before = *this;
  for (unsigned number = 0; number < kRegisters; ++number)
    if (registers_[number] != other.registers_[number]) registers_[number] = {};
  const auto same_place = [](const Slot& a, const Slot& b) {
    return a.base == b.base && a.offset == b.offset && a.size == b.size;
  };
  for (Slot& slot : slots_) {
    const auto found = std::find_if(other.slots_.begin(), other.slots_.end(),
                                    [&](const Slot& of) { return same_place(of, slot); });
    if (found == other.slots_.end() || found->value != slot.value) slot.value = {};
  }
  for (const Slot& slot : other.slots_)
    if (std::none_of(slots_.begin(), slots_.end(), [&](const Slot& of) { return same_place(of, slot); }))
      slots_.push_back({slot.base, slot.size, slot.offset, {}});
  return registers_ != before.registers_ || slots_ != before.slots_;
}

}  // namespace loiter
