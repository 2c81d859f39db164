// A module as the parser knows it: the mapped file, with its debug file and supplement where it has them, and
// all that was made of them: unwinding rules, symbol tables, line tables, answers given before.
//
// Shared by all modules with the same three files; owned by StackParser, one thread. What was made can be
// dropped at any time between two questions and is made again when wanted.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/caller_index.h"
#include "daemon/inspect/parser/debug_lines.h"
#include "daemon/inspect/parser/elf_file.h"
#include "daemon/inspect/parser/function_table.h"
#include "daemon/inspect/parser/instructions.h"
#include "daemon/inspect/parser/unwind_rules.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

class CodeImage {
 public:
  struct Files {
    std::shared_ptr<ElfFile> module, debug, supplement;  // the last two may be missing
    bool operator==(const Files&) const = default;
  };
  struct Options {
    std::string fd_prefix;
    FunctionTable::Limits functions;
    uint64_t code_work = 0;  // of CodeRules
  };
  // What is at an address.
  struct Names {
    std::string export_name;
    std::vector<std::string> reached_from;
    std::vector<CodeLine> lines;  // never empty
  };

  CodeImage(Files files, const Architecture& architecture, InstructionReader& reader, const Options& options);
  ~CodeImage();
  CodeImage(const CodeImage&) = delete;
  CodeImage& operator=(const CodeImage&) = delete;

  const Files& files() const { return files_; }

  // Addresses are those of the file's own tables. Both answers live until drop().
  const UnwindRule& rule_at(uint64_t address);
  // Where rule_at() has none: from the code itself. `address`: where the frame goes on.
  const UnwindRule& code_rule_at(uint64_t address, bool interrupted);
  // Whether a call ends there, as before a return address.
  bool follows_call(uint64_t address);
  const Names& names_at(uint64_t address, bool with_lines);

  // True where `return_address` follows a direct call of the very function that `address` lies in.
  bool calls_function_of(uint64_t return_address, uint64_t address, const ElfFile& caller);

  void drop();
  size_t memory_bytes() const { return memory_bytes_; }  // estimate of what drop() gives back

  uint64_t last_used = 0;  // the owner's count

 private:
  struct Made;
  Made& made();
  const FunctionTable& functions();
  const FunctionTable& exports();
  const CallerIndex& callers();
  DebugLines* lines();
  Names find_names(uint64_t address, bool with_lines);
  Dwarf* open_dwarf(const ElfFile* file);

  Files files_;
  const Architecture& architecture_;
  InstructionReader& reader_;
  Options options_;
  std::unique_ptr<Made> made_;
  size_t memory_bytes_ = 0;
};

}  // namespace loiter
