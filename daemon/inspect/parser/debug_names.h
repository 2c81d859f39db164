// Names of functions as DWARF has them.
//
// Pure function over an open Dwarf, one thread at a time; bounded like debug_lines.h.
#pragma once

#include <elfutils/libdw.h>

#include <string>

namespace loiter {

// The name that the linker knows, mangled; else that in the source, with the namespaces, classes and
// functions around it: "main::<lambda()>::operator()". Empty: unknown.
std::string function_name(const Dwarf_Die& function);

}  // namespace loiter
