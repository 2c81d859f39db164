// How to get from a place in a module's code to its caller: rules compiled from .eh_frame, or from
// .debug_frame for code that has none there, by elfutils' libdw; each place once.
//
// UnwindRules is owned by a CodeImage, one thread. A rule it hands out lives as long as it.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/expression.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

// Where the caller's value of one register is.
struct RegisterRule {
  enum class Kind : uint8_t {
    same,           // this function left it alone
    undefined,      // it is lost; of the return address: there is no caller
    at_cfa,         // in memory at CFA + value
    cfa_plus,       // it is CFA + value
    other,          // in the register with the number `value`
    by_expression,  // `value` is the index of an expression
  };
  uint8_t number = 0;
  Kind kind = Kind::undefined;
  int64_t value = 0;
};

struct UnwindRule {
  Cut problem = Cut::none;  // no_rules or bad_rules: the rest is empty
  bool signal_frame = false;
  bool from_code = false;          // no rule of the file's: told from its machine code
  bool cfa_by_expression = false;  // expressions[0], else cfa_register + cfa_offset
  uint8_t cfa_register = 0;
  uint8_t return_register = 0;  // whose value in the caller is where it goes on
  int64_t cfa_offset = 0;
  // That of the return register, and what differs from: same where calls preserve a register, else undefined.
  std::vector<RegisterRule> registers;
  std::vector<Expression> expressions;
};

class UnwindRules {
 public:
  // `elf` is the module's. `frames` opens the file with its .debug_frame, when first wanted; nullptr: there
  // is none.
  UnwindRules(Elf* elf, const Architecture& architecture, std::function<Dwarf*()> frames);
  ~UnwindRules();
  UnwindRules(const UnwindRules&) = delete;
  UnwindRules& operator=(const UnwindRules&) = delete;

  // `address` as the file's tables count them: of the interrupted instruction, or within the call.
  const UnwindRule& find(uint64_t address);
  // The same where it was asked for before, else nullptr.
  const UnwindRule* known(uint64_t address) const {
    const auto found = rules_.find(address);
    return found != rules_.end() ? &found->second : nullptr;
  }

 private:
  UnwindRule make(uint64_t address);
  UnwindRule compile(Dwarf_Frame* frame) const;
  bool compile_cfa(Dwarf_Frame* frame, UnwindRule& rule) const;
  bool compile_register(Dwarf_Frame* frame, unsigned number, UnwindRule& rule) const;

  Elf* elf_;
  const Architecture& architecture_;
  std::function<Dwarf*()> open_frames_;
  bool opened_eh_frame_ = false, opened_debug_frame_ = false;
  Dwarf_CFI* eh_frame_ = nullptr;
  Dwarf_CFI* debug_frame_ = nullptr;  // belongs to its Dwarf
  std::unordered_map<uint64_t, UnwindRule> rules_;
};

}  // namespace loiter
