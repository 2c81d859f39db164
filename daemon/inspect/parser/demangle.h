// Names of C++ and Rust (both its schemes) as people write them, by libiberty.
//
// Pure function, one thread at a time. A mangled name of some bytes can stand for gigabytes: the printing is
// broken off at the bound.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace loiter {

// The name itself where it is not mangled; cut, with "..." at its end, where it is longer than the bound.
std::string demangle(std::string_view name, size_t most_bytes);

// The same of a C++ type as type_info::name() has it: "St6vectorIiSaIiEE", with or without the "*" that marks
// one of its module alone.
std::string demangle_type(std::string_view name, size_t most_bytes);

}  // namespace loiter
