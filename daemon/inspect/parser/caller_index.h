// Which of libc's exported functions lead to one of its functions that has no name: without debug symbols,
// the static function that a thread waits in (__pthread_mutex_lock_full) is told by the one that it is
// reached from.
//
// Owned by a CodeImage, one thread. Made once, of modules that export waits of libc; of others it is empty.
// The file is hostile: all it can get is a wrong name for its own waits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/code_references.h"
#include "daemon/inspect/parser/elf_file.h"
#include "daemon/inspect/parser/function_table.h"
#include "daemon/inspect/parser/instructions.h"

namespace loiter {

class CallerIndex {
 public:
  // `file` and `reader` must outlive it.
  CallerIndex(const ElfFile& file, const Architecture& architecture, const FunctionTable& exports,
              InstructionReader& reader);

  // The exported waits through one of which every way to the function at `address` leads. Empty: there are
  // other ways, or ways that cannot be followed, or it has a name itself.
  std::vector<std::string> reached_from(uint64_t address) const;

 private:
  struct Function {
    uint64_t start, end;
    std::string name;      // empty: none
    bool in_data = false;  // a pointer to it is kept there
  };
  static constexpr uint32_t kNowhere = UINT32_MAX;

  void find_functions(const FunctionTable& exports);
  void read_code(const Architecture& architecture);
  void read_data();
  bool is_reference(const CodeReference& reference) const;
  uint32_t function_at(uint64_t address) const;
  uint32_t starting_at(uint64_t address) const;

  const ElfFile& file_;
  InstructionReader& reader_;
  std::vector<Function> functions_;        // ascending
  std::vector<CodeReference> references_;  // by target; to those without a name
};

}  // namespace loiter
