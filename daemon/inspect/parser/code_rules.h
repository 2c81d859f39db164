// How to get to the caller where a file has no unwinding rules, as musl has none: from its machine code. By
// following it to where it returns; or, where a function never does, from its beginning to the place.
//
// CodeRules is owned by a CodeImage, one thread. A rule it hands out lives as long as it. Rules are believed
// only with what else is checked of a frame: that its return address follows a call (stack_walk.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/code_flow.h"
#include "daemon/inspect/parser/elf_file.h"
#include "daemon/inspect/parser/instructions.h"
#include "daemon/inspect/parser/unwind_rules.h"

namespace loiter {

class CodeRules {
 public:
  // Where the function begins that has a name and covers an address.
  using BeginningOf = std::function<std::optional<uint64_t>(uint64_t address)>;

  // `file` and `reader` must outlive it. `most_work`: instructions that it looks at; a search for beginnings
  // counts for one with each kScannedBytes.
  CodeRules(const ElfFile& file, const Architecture& architecture, InstructionReader& reader,
            BeginningOf beginning_of, uint64_t most_work);

  // `address`: where the frame goes on. `interrupted`: at an instruction that did not call.
  const UnwindRule& find(uint64_t address, bool interrupted);

 private:
  UnwindRule make(uint64_t address, bool interrupted);
  bool is_entry_of_program(uint64_t address);
  bool comes_back(uint64_t address);
  std::optional<UnwindRule> from_beginning(uint64_t address);
  std::vector<uint64_t> beginnings_before(uint64_t address);

  const ElfFile& file_;
  const Architecture& architecture_;
  InstructionReader& reader_;
  BeginningOf beginning_of_;
  CodeFlow flow_;
  uint64_t most_work_;
  uint64_t scanned_bytes_ = 0;
  std::unordered_map<uint64_t, UnwindRule> rules_[2];
};

// The rule that follows from what is known at a function's return, or nothing.
std::optional<UnwindRule> rule_at_return(const Architecture& architecture, const FrameState& state);
// The same from what is known at a place in a function, in terms of its beginning.
std::optional<UnwindRule> rule_from_beginning(const Architecture& architecture, const FrameState& state);

}  // namespace loiter
