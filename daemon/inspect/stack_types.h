// What goes into the unwinding of stacks and what comes out: shared by who asks (the inspector) and who does
// it (the parser child, daemon/inspect/parser).
//
// Plain values, any thread. All of it comes from, or is about, a process that is not trusted: addresses may
// be anything, strings are bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bpf/records.h"

namespace loiter {

// Names an ELF file or a perf map that the parser was given; chosen by the asker, never used again. 0: none.
using ModuleKey = uint64_t;

// A mapping of the target with code in it, as /proc/PID/maps has it.
struct CodeMapping {
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t file_offset = 0;
  ModuleKey module = 0;  // 0: anonymous, of a JIT, or a file that could not be had
};

// One blocked thread: its user registers, and the memory from its stack pointer upwards.
struct StackJob {
  const loiter_regs* regs = nullptr;
  uint64_t memory_start = 0;  // address of memory[0]; at or below regs->sp
  std::span<const std::byte> memory;
  bool whole = false;  // the memory reaches the end of its mapping: there is no more to be had
  // Of a second stack, which an earlier reply wanted: that below a signal handler with a stack of its own.
  uint64_t other_start = 0;
  std::span<const std::byte> other = {};
};

struct UnwindRequest {
  std::vector<CodeMapping> mappings;  // ascending, not overlapping
  ModuleKey perf_map = 0;             // of the process, for code in no file
  std::vector<StackJob> jobs;
  bool with_lines = true;   // file:line and inlined frames too; else functions alone
  bool with_slots = false;  // Stack::slots too
  // Besides the stacks: code to be named as it is (no return addresses), and names of types as RTTI has them.
  std::vector<uint64_t> addresses = {};
  std::vector<std::string> type_names = {};
};

// Why a stack ends before its outermost frame.
enum class Cut : uint8_t {
  none,          // it does not: the outermost frame was reached
  needs_memory,  // more of the stack is wanted than was given: ask again with more
  no_memory,     // a frame lies where there is no memory
  no_module,     // code in no known file
  no_rules,      // code without unwinding rules
  bad_rules,     // rules that make no sense: broken debug information, or a stack that is none
  too_deep,      // more frames than the bound
};
const char* to_string(Cut cut);  // a phrase for people

// A function at a place, one of several where it was inlined into another.
struct CodeLine {
  std::string symbol;  // demangled; empty: unknown
  std::string file;    // empty: unknown
  uint32_t line = 0;   // 0: unknown
  bool inlined = false;
  bool operator==(const CodeLine&) const = default;
};

// What is at one address: innermost function first, the one that has code of its own last. Never empty.
struct CodePlace {
  uint64_t pc = 0;  // as it stands in the stack: a return address, but for the innermost frame
  ModuleKey module = 0;
  uint64_t offset = 0;      // of pc in the module, as addr2line takes it; 0 where there is none
  std::string export_name;  // the name in the dynamic symbol table, not demangled; empty: none
  // Where the function has no name: those of libc's exported waits through one of which every way to it
  // leads (is_libc_wait()); empty: not known to be such.
  std::vector<std::string> reached_from;
  std::vector<CodeLine> lines;
};

struct Stack {
  std::vector<uint32_t> places;  // indices into UnwindReply::places, innermost first
  Cut cut = Cut::none;
  uint64_t wanted_end = 0;    // with needs_memory: memory up to here would do for the next frame
  uint64_t wanted_start = 0;  // with no_memory: where the next frame lies; 0: not known
  // Where the innermost return addresses lie, in bytes from the stack pointer: slots[i] is that of places[i +
  // 1]. They end where a rule counts from anything but the stack pointer: whoever is at places[0] with these
  // return addresses in these slots has these frames.
  std::vector<uint32_t> slots;
};

struct UnwindReply {
  std::vector<CodePlace> places;     // each address once; twice where it is a return address and interrupted
  std::vector<Stack> stacks;         // one a job, in their order
  std::vector<uint32_t> named = {};  // indices into `places`, one an address asked for
  std::vector<std::string> type_names = {};  // demangled, one a name asked for
};

// What the symbol tables of a module know of a name: of .dynsym, .symtab and the .symtab of its debug file,
// the first that has it; the default one of several versions.
struct FoundSymbol {
  bool found = false;
  bool is_code = false;     // its address lies in code
  bool is_ifunc = false;    // it only chooses the function that is meant
  uint64_t address = 0;     // as the file's own tables count it
  uint64_t size = 0;        // 0: not known
  bool has_offset = false;  // false: it is in no file, as what is zero at the start
  uint64_t file_offset = 0;
};

// What the parser tells of a module when it gets it, so that the asker can look for more.
struct ModuleFacts {
  bool valid = false;      // an ELF file of this machine, or a perf map
  std::string build_id;    // hexadecimal, lower case; empty: none
  std::string debug_link;  // file name; empty: none
  uint32_t debug_link_crc = 0;
  std::string alt_link;      // of dwz: path of the shared supplement; empty: none (asked of a debug file)
  bool has_lines = false;    // it carries .debug_info itself
  bool has_symbols = false;  // it carries .symtab itself
};

}  // namespace loiter
