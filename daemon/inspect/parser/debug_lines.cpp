#include "daemon/inspect/parser/debug_lines.h"

#include <dwarf.h>

#include <algorithm>
#include <utility>

#include "daemon/inspect/parser/debug_names.h"

namespace loiter {
namespace {

constexpr size_t kMostUnitEntries = 8'000'000;      // ranges of all units of a file (Chrome has some 300,000)
constexpr size_t kMostFunctionEntries = 4'000'000;  // entries of one unit
constexpr size_t kMostInnerEntries = 1'000'000;     // entries within one function
constexpr int kDeepestScope = 64;                   // namespaces and classes around a function
constexpr size_t kDeepestInlining = 256;            // blocks and functions within one
constexpr size_t kDeepestOverlap = 16;

std::string text_of(const char* text) {
  return text ? text : "";
}

uint64_t number_of(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  return dwarf_attr(&die, name, &attribute) && dwarf_formudata(&attribute, &value) == 0 ? value : 0;
}

std::string file_of(Dwarf_Die& unit, uint64_t index) {
  Dwarf_Files* files = nullptr;
  size_t count = 0;
  if (dwarf_getsrcfiles(&unit, &files, &count) || index >= count) return {};
  return text_of(dwarf_filesrc(files, index, nullptr, nullptr));
}

bool holds_functions(int tag) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
      return true;
    default:
      return false;
  }
}

}  // namespace

class DebugLines::Budget {
 public:
  explicit Budget(size_t entries) : left_(entries) {}
  bool spend() { return left_ > 0 && left_-- > 0; }

 private:
  size_t left_;
};

void DebugLines::add_ranges(Dwarf_Die& die, Ranges& ranges, Budget& budget) {
  const Dwarf_Off offset = dwarf_dieoffset(&die);
  Dwarf_Addr base = 0, start = 0, end = 0;
  ptrdiff_t next = 0;
  while (budget.spend() && (next = dwarf_ranges(&die, next, &base, &start, &end)) > 0)
    // What the linker dropped begins at 0, or at 1 in lists that 0 would end.
    if (start > 1 && start < end) ranges.push_back({start, end, offset});
}

void DebugLines::sort(Ranges& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.start < b.start; });
  ranges.shrink_to_fit();
}

std::optional<Dwarf_Off> DebugLines::find_in(const Ranges& ranges, uint64_t address) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), address,
                                [](uint64_t value, const Range& range) { return value < range.start; });
  for (size_t i = 0; i < kDeepestOverlap && after != ranges.begin(); ++i)
    if ((--after)->end > address) return after->die;
  return std::nullopt;
}

void DebugLines::read_units() {
  if (std::exchange(read_units_, true)) return;
  Budget budget(kMostUnitEntries);
  Dwarf_CU* unit = nullptr;
  Dwarf_Die die;
  uint8_t type = 0;
  while (budget.spend() && dwarf_get_units(dwarf_, unit, &unit, nullptr, &type, &die, nullptr) == 0)
    if (type == DW_UT_compile) add_ranges(die, units_, budget);
  sort(units_);
}

void DebugLines::add_functions(Dwarf_Die& parent, int depth, Ranges& ranges, Budget& budget) {
  Dwarf_Die die;
  if (depth > kDeepestScope || dwarf_child(&parent, &die)) return;
  do {
    if (!budget.spend()) return;
    const int tag = dwarf_tag(&die);
    if (tag == DW_TAG_subprogram)
      add_ranges(die, ranges, budget);
    else if (holds_functions(tag))
      add_functions(die, depth + 1, ranges, budget);
  } while (dwarf_siblingof(&die, &die) == 0);
}

const DebugLines::Ranges& DebugLines::functions_of(Dwarf_Die& unit, Dwarf_Off offset) {
  const auto [found, added] = functions_.try_emplace(offset);
  if (!added) return found->second;
  Budget budget(kMostFunctionEntries);
  add_functions(unit, 0, found->second, budget);
  sort(found->second);
  return found->second;
}

bool DebugLines::covers(Dwarf_Die& die, uint64_t address, Budget& budget) {
  Dwarf_Addr base = 0, start = 0, end = 0;
  ptrdiff_t next = 0;
  while (budget.spend() && (next = dwarf_ranges(&die, next, &base, &start, &end)) > 0)
    if (address >= start && address < end) return true;
  return false;
}

// The block or inlined function directly below `parent` that covers the address.
bool DebugLines::find_inner(Dwarf_Die& parent, uint64_t address, Budget& budget, Dwarf_Die& inner) {
  if (dwarf_child(&parent, &inner)) return false;
  do {
    if (!budget.spend()) return false;
    const int tag = dwarf_tag(&inner);
    if (tag != DW_TAG_lexical_block && tag != DW_TAG_inlined_subroutine) continue;
    if (covers(inner, address, budget)) return true;
  } while (dwarf_siblingof(&inner, &inner) == 0);
  return false;
}

// From the function inwards. Each inlined one tells where it was called: that is the line of the one around
// it.
std::vector<DebugLine> DebugLines::chain(Dwarf_Die& unit, Dwarf_Die function, uint64_t address) {
  Budget budget(kMostInnerEntries);
  std::vector<DebugLine> lines;
  lines.push_back({.name = function_name(function), .file = {}});
  Dwarf_Die inner;
  for (size_t depth = 0; depth < kDeepestInlining && find_inner(function, address, budget, inner); ++depth) {
    if (dwarf_tag(&inner) == DW_TAG_inlined_subroutine) {
      lines.back().file = file_of(unit, number_of(inner, DW_AT_call_file));
      lines.back().line = static_cast<uint32_t>(number_of(inner, DW_AT_call_line));
      lines.push_back({.name = function_name(inner), .file = {}, .line = 0, .inlined = true});
    }
    function = inner;
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

std::vector<DebugLine> DebugLines::find(uint64_t address) {
  read_units();
  const std::optional<Dwarf_Off> unit_offset = find_in(units_, address);
  Dwarf_Die unit, function;
  if (!unit_offset || !dwarf_offdie(dwarf_, *unit_offset, &unit)) return {};
  std::vector<DebugLine> lines(1);
  if (const auto offset = find_in(functions_of(unit, *unit_offset), address))
    if (dwarf_offdie(dwarf_, *offset, &function)) lines = chain(unit, function, address);
  if (Dwarf_Line* line = dwarf_getsrc_die(&unit, address)) {
    int number = 0;
    lines.front().file = text_of(dwarf_linesrc(line, nullptr, nullptr));
    if (dwarf_lineno(line, &number) == 0 && number > 0) lines.front().line = static_cast<uint32_t>(number);
  }
  return lines;
}

}  // namespace loiter
