// Unwinds and names stacks from files and memory that are not trusted: the work of the parser child.
//
// Knows no process, no path and no socket: it has the files it was handed and the memory in a request. One
// thread. Malformed input gives a cut stack, an empty name or an invalid module, within bounds of time and
// memory; a file that is truncated while it is mapped may kill the process (SIGBUS), which its owner expects.
//
// Unwinding rules and symbol tables are kept by build id, so processes that map the same library share them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

class StackParser {
 public:
  struct Limits {
    size_t frames = 1024;  // a stack
    size_t modules = 4096;
    size_t memory_bytes = 192 << 20;  // of what is kept; the least recently used goes first
    size_t name_bytes = 4096;    // a symbol or a file name longer than this is cut, with "..." at its end
    size_t symbols = 4'000'000;  // a module
    // Instructions of a module without unwinding rules that are looked at for want of them; 0.4 us each.
    // Until what was made of it is dropped.
    uint64_t code_work = 10'000'000;
    // Where a file that was handed over can be opened again, by its number: BCC's reader of symbols insists
    // on a path. "/" in a child whose root is its own /proc/self/fd.
    std::string fd_prefix = "/proc/self/fd/";
  };

  StackParser() : StackParser(Limits()) {}
  explicit StackParser(const Limits& limits);
  ~StackParser();

  // `file`: an ELF file opened for reading. Its key must be new. Invalid ones are kept as such.
  ModuleFacts add_module(ModuleKey key, Fd file);

  // A separate debug file of a module (by build id or .gnu_debuglink). Refused (valid = false) where its
  // build id or `crc` (checked only where neither file has a build id) does not match the module's.
  ModuleFacts add_debug_file(ModuleKey key, Fd file);

  // dwz's supplement of the module's debug file, or of the module.
  ModuleFacts add_supplement(ModuleKey key, Fd file);

  // A perf map (/tmp/perf-PID.map): "START SIZE name", hexadecimal, a line each.
  ModuleFacts add_perf_map(ModuleKey key, Fd file);

  void forget(ModuleKey key);

  // What the module's symbol tables know of each of the names; nothing of any where it is not valid.
  std::vector<FoundSymbol> find_symbols(ModuleKey key, std::span<const std::string> names);

  UnwindReply unwind(const UnwindRequest& request);

  size_t memory_bytes() const;  // an estimate of what is kept

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace loiter
