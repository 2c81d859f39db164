#include "daemon/inspect/parser/demangle.h"

// libiberty.h would declare a basename() of its own, which differs from that of string.h.
#define HAVE_DECL_BASENAME 1
#include <libiberty/demangle.h>

#include <csetjmp>
#include <cstring>
#include <memory>

#include "daemon/inspect/parser/function_table.h"

namespace loiter {
namespace {

// Where the pieces go. A plain buffer, as the way out of the printing is longjmp: libiberty's callback cannot
// refuse, and its printers keep nothing on the heap.
struct Output {
  char* text;
  size_t size;
  size_t most;
  jmp_buf full;
};

void append(const char* piece, size_t size, void* opaque) {
  Output& output = *static_cast<Output*>(opaque);
  const size_t taken = size < output.most - output.size ? size : output.most - output.size;
  std::memcpy(output.text + output.size, piece, taken);
  output.size += taken;
  if (taken < size) longjmp(output.full, 1);
}

bool print(const char* mangled, Output& output) {
  // Rust first: its older scheme looks like C++ (libiberty does the same, cplus-dem.c).
  if (setjmp(output.full)) return true;
  if (rust_demangle_callback(mangled, DMGL_NO_OPTS, append, &output)) return true;
  output.size = 0;
  return cplus_demangle_v3_callback(mangled, DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP, append, &output);
}

bool may_be_mangled(std::string_view name) {
  return name.starts_with("_Z") || name.starts_with("_R") || name.starts_with("__Z") ||
         name.starts_with("_GLOBAL_");
}

}  // namespace

std::string demangle(std::string_view name, size_t most_bytes) {
  if (!may_be_mangled(name) || name.size() > most_bytes) return bounded_name(name, most_bytes);
  const std::string mangled(name);
  const auto text = std::make_unique<char[]>(most_bytes + 1);
  Output output{.text = text.get(), .size = 0, .most = most_bytes + 1, .full = {}};
  if (!print(mangled.c_str(), output) || output.size == 0) return std::string(name);
  return bounded_name({output.text, output.size}, most_bytes);
}

std::string demangle_type(std::string_view name, size_t most_bytes) {
  constexpr std::string_view kPrefix = "typeinfo name for ";
  if (name.starts_with('*')) name.remove_prefix(1);
  const std::string text = demangle("_ZTS" + std::string(name), most_bytes);
  return text.starts_with(kPrefix) ? text.substr(kPrefix.size()) : bounded_name(name, most_bytes);
}

}  // namespace loiter
