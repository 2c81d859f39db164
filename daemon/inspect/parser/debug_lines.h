// File, line and inlined functions of an address, from DWARF 4 or 5 by elfutils' libdw.
//
// Owned by a CodeImage, one thread; the Dwarf is the owner's. Debug information is hostile: libdw checks its
// bounds, the walks here are bounded in depth and in the number of entries looked at, and where a bound is
// met the answer is "unknown".
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace loiter {

// One function at an address.
struct DebugLine {
  std::string name;  // as the linker knows it, else as the source has it; empty: unknown
  std::string file;
  uint32_t line = 0;
  bool inlined = false;
};

class DebugLines {
 public:
  explicit DebugLines(Dwarf* dwarf) : dwarf_(dwarf) {}

  // Innermost function first, the one that has code of its own last; empty: nothing is known of that address.
  std::vector<DebugLine> find(uint64_t address);

 private:
  struct Range {
    uint64_t start, end;
    Dwarf_Off die;  // a unit's, or a function's
  };
  using Ranges = std::vector<Range>;

  // How many entries may still be looked at.
  class Budget;

  void read_units();
  const Ranges& functions_of(Dwarf_Die& unit, Dwarf_Off offset);
  static void add_ranges(Dwarf_Die& die, Ranges& ranges, Budget& budget);
  static void add_functions(Dwarf_Die& parent, int depth, Ranges& ranges, Budget& budget);
  static void sort(Ranges& ranges);
  static std::optional<Dwarf_Off> find_in(const Ranges& ranges, uint64_t address);
  static bool covers(Dwarf_Die& die, uint64_t address, Budget& budget);
  static bool find_inner(Dwarf_Die& parent, uint64_t address, Budget& budget, Dwarf_Die& inner);
  static std::vector<DebugLine> chain(Dwarf_Die& unit, Dwarf_Die function, uint64_t address);

  Dwarf* dwarf_;
  bool read_units_ = false;
  Ranges units_;
  std::unordered_map<Dwarf_Off, Ranges> functions_;  // by unit
};

}  // namespace loiter
