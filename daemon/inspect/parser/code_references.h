// Where machine code may refer to given addresses: by calls, jumps, branches, and instructions that take an
// address. Looked for at every byte, not by following the code: one that is there is not missed, and what
// merely looks like one is told too. Whoever needs to know decodes it.
//
// Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "daemon/inspect/parser/architecture.h"

namespace loiter {

// Addresses within a range; a bit for each.
class AddressSet {
 public:
  // `filled`: all of them are in it.
  AddressSet(uint64_t start, uint64_t size, bool filled = false) : start_(start), bits_(size, filled) {}
  void add(uint64_t address) {
    if (address - start_ < bits_.size()) bits_[address - start_] = true;
  }
  bool contains(uint64_t address) const { return address - start_ < bits_.size() && bits_[address - start_]; }

 private:
  uint64_t start_;
  std::vector<bool> bits_;
};

struct CodeReference {
  uint64_t at = 0;  // within the instruction
  uint64_t target = 0;
};

// False: this architecture's code is not read here.
bool find_references(const Architecture& architecture, std::span<const std::byte> code, uint64_t address,
                     const AddressSet& wanted, std::vector<CodeReference>& found);

}  // namespace loiter
