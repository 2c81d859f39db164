#include "daemon/inspect/parser/debug_names.h"

#include <dwarf.h>

#include <optional>

namespace loiter {
namespace {

constexpr size_t kMostEntries = 1'000'000;  // looked at on the way to one function
constexpr int kDeepest = 64;
constexpr int kLongestChain = 16;  // of references to where a function is declared
constexpr size_t kLongestName = 16 * 1024;

std::optional<std::string> text_of(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  const char* text = dwarf_attr_integrate(&die, name, &attribute) ? dwarf_formstring(&attribute) : nullptr;
  return text ? std::optional<std::string>(text) : std::nullopt;
}

// Where the function stands among its namespaces: an inlined or an outlined one refers there.
Dwarf_Die declaration_of(Dwarf_Die die) {
  for (int i = 0; i < kLongestChain; ++i) {
    Dwarf_Attribute attribute;
    Dwarf_Die next;
    if (!dwarf_attr(&die, DW_AT_abstract_origin, &attribute) &&
        !dwarf_attr(&die, DW_AT_specification, &attribute))
      break;
    if (!dwarf_formref_die(&attribute, &next)) break;
    die = next;
  }
  return die;
}

std::string scope_name(Dwarf_Die& scope) {
  switch (dwarf_tag(&scope)) {
    case DW_TAG_namespace:
      return text_of(scope, DW_AT_name).value_or("(anonymous namespace)") + "::";
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_module:
    case DW_TAG_subprogram: {
      const std::optional<std::string> name = text_of(scope, DW_AT_name);
      return name.value_or("{unnamed}") + "::";
    }
    default:
      return "";
  }
}

// From the unit down to it. Entries stand in order: what begins last before it, on each level, holds it.
std::string scopes_of(Dwarf_Die& target) {
  const Dwarf_Off wanted = dwarf_dieoffset(&target);
  Dwarf_Die parent;
  std::string scopes;
  if (!dwarf_diecu(&target, &parent, nullptr, nullptr)) return scopes;
  size_t left = kMostEntries;
  for (int depth = 0; depth < kDeepest && scopes.size() < kLongestName; ++depth) {
    Dwarf_Die holder, sibling;
    if (dwarf_child(&parent, &holder)) return scopes;
    while (left-- > 0 && dwarf_siblingof(&holder, &sibling) == 0 && dwarf_dieoffset(&sibling) <= wanted)
      holder = sibling;
    if (left > kMostEntries || dwarf_dieoffset(&holder) == wanted) return scopes;
    scopes += scope_name(holder);
    parent = holder;
  }
  return scopes;
}

}  // namespace

std::string function_name(const Dwarf_Die& function) {
  Dwarf_Die die = function;
  for (const unsigned linkage : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name})
    if (std::optional<std::string> name = text_of(die, linkage)) return *name;
  const std::optional<std::string> name = text_of(die, DW_AT_name);
  if (!name) return {};
  Dwarf_Die declared = declaration_of(die);
  return scopes_of(declared) + *name;
}

}  // namespace loiter
