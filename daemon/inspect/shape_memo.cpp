#include "daemon/inspect/shape_memo.h"

#include <algorithm>
#include <cstring>

namespace loiter {
namespace {

// Bounds for a process that makes up ever new ways to wait; a program has a handful.
constexpr size_t kMostPlaces = 256;
constexpr size_t kMostPatterns = 64;
constexpr uint32_t kFarthestSlot = 2048;  // more memory a thread would cost what it saves

bool holds(std::span<const std::byte> memory, uint32_t slot, uint64_t pc) {
  uint64_t word = 0;
  if (slot + sizeof(word) > memory.size()) return false;
  std::memcpy(&word, memory.data() + slot, sizeof(word));
  return word == pc;
}

}  // namespace

bool ShapeMemo::learn(const Stack& stack, const std::vector<CodePlace>& all, size_t places,
                      const FutexEvidence& evidence) {
  if (places == 0 || places > stack.places.size() || stack.slots.size() + 1 < places) return false;
  Pattern pattern{.words = {}, .evidence = evidence};
  uint32_t reach = 0;
  for (size_t i = 0; i < places; ++i) {
    const CodePlace& place = all[stack.places[i]];
    if (place.module == 0) return false;  // code in no file may be another one next time
    if (i == 0) continue;
    uint32_t slot = stack.slots[i - 1];
    if (slot > kFarthestSlot) return false;
    pattern.words.push_back({slot, place.pc});
    reach = std::max(reach, slot + static_cast<uint32_t>(sizeof(uint64_t)));
  }
  uint64_t ip = all[stack.places[0]].pc;
  if (places_.size() >= kMostPlaces && !places_.contains(ip)) return false;
  Place& place = places_[ip];
  if (place.patterns.size() >= kMostPatterns) return false;
  place.patterns.push_back(std::move(pattern));
  place.reach = std::max(place.reach, reach);
  return true;
}

const FutexEvidence* ShapeMemo::find(const loiter_regs& regs, std::span<const std::byte> memory) const {
  auto place = places_.find(regs.ip);
  if (place == places_.end()) return nullptr;
  for (const Pattern& pattern : place->second.patterns) {
    bool fits = std::all_of(pattern.words.begin(), pattern.words.end(),
                            [&](const Word& word) { return holds(memory, word.slot, word.pc); });
    if (fits) return &pattern.evidence;
  }
  return nullptr;
}

std::optional<uint32_t> ShapeMemo::reach(uint64_t ip) const {
  auto place = places_.find(ip);
  if (place == places_.end()) return std::nullopt;
  return place->second.reach;
}

}  // namespace loiter
