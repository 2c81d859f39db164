// Fills function tables from the symbol tables of ELF files.
//
// Pure functions over files, one thread at a time.
#pragma once

#include <span>
#include <string>

#include "daemon/inspect/parser/elf_file.h"
#include "daemon/inspect/parser/function_table.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

// .symtab and .dynsym, by BCC's reader, which wants a path: `fd_prefix` and the file's number. Only what lies
// in code of `image` (the module itself, where `file` is its debug file). False: the file could not be read,
// or its tables lie.
bool add_symbols(const ElfFile& file, const ElfFile& image, const std::string& fd_prefix,
                 FunctionTable& table);

// .dynsym alone: what the module offers to others, names that `strip` leaves in.
void add_exports(const ElfFile& file, FunctionTable& table);

// Looks each of `names` up in the tables of the module and, where there is one, its debug file (or null): one
// answer a name, in their order. Functions and objects; of equal ones a global before a local.
std::vector<FoundSymbol> find_symbols(const ElfFile& module, const ElfFile* debug,
                                      std::span<const std::string> names);

}  // namespace loiter
