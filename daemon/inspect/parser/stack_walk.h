// Answers one request: walks its stacks, then names each address that it met.
//
// Lives for one request, one thread. Addresses met before are looked up in a table of its own: of a thousand
// threads most have the same ones.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/module_store.h"
#include "daemon/inspect/parser/unwind_rules.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

class StackWalk {
 public:
  StackWalk(ModuleStore& store, const UnwindRequest& request, size_t most_frames);

  UnwindReply run();

 private:
  // An address of code.
  struct Spot {
    uint64_t pc = 0;
    ModuleKey module = 0;
    CodeImage* image = nullptr;  // nullptr: code in no known file
    uint64_t address = 0;        // of pc, as the image's tables count
    // The instruction at pc is meant: it was interrupted, or it is where a signal handler returns to. Else pc
    // is a return address, and the call before it is meant.
    bool exact = false;
    const UnwindRule* rule = nullptr;  // with an image, until names are looked for
    uint64_t back() const { return exact ? 0 : 1; }
  };
  struct Mapping {
    const CodeMapping* given;
    CodeImage* image;
  };

  Stack walk(const StackJob& job);
  uint32_t spot_at(uint64_t pc, bool interrupted);
  uint32_t named_spot(uint64_t address);
  Spot make_spot(uint64_t pc, bool interrupted, bool with_rule = true);
  const Mapping* mapping_of(uint64_t address) const;
  bool leave_leaf(const Spot& spot, const struct StackMemory& memory, Registers& registers);
  bool is_return_address(uint64_t pc);
  CodePlace name(const Spot& spot);

  ModuleStore& store_;
  const UnwindRequest& request_;
  size_t most_frames_;
  std::vector<Mapping> mappings_;
  std::vector<Spot> spots_;
  // By pc: return addresses, interrupted ones, those that are only to be named.
  std::unordered_map<uint64_t, uint32_t> spot_index_[3];
};

}  // namespace loiter
