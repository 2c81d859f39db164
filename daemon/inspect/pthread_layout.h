// Where the fields of a thread's descriptor (struct pthread, "pd") lie in one process, and where the lists of
// descriptors begin: read out of the target itself, as each libc has its own.
//
// glibc describes itself to debuggers by constants, {bits, count, offset} each, named _thread_db_* (glibc:
// nptl_db/structs.def, db_info.c): exported by libc.so.6 since 2.34 and by libpthread.so.0 before, in .symtab
// of a static program. What they leave out follows from them, where it says so below. musl has no such thing:
// its layout is known here, and each thread is checked.
//
// Owned by the inspector's thread. What is read is not trusted: a description that makes no sense is refused
// with a reason, and no figure comes of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/base/result.h"
#include "daemon/inspect/maps.h"
#include "daemon/inspect/modules.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"

namespace loiter {

struct PthreadLayout {
  enum class Libc : uint8_t { glibc, musl };
  Libc libc = Libc::glibc;
  std::string version;  // glibc's own, "2.36"; empty: not told

  // Offsets in struct pthread; its size.
  uint32_t size = 0;
  uint32_t tid = 0;
  uint32_t start_routine = 0;  // the argument follows it

  // For the lists. Not empty: why they are not understood here; nothing below holds then.
  std::string no_lists = "it was not looked for";
  uint32_t list = 0;  // {next, prev}
  uint32_t cancelhandling = 0;
  uint32_t joinid = 0;
  uint32_t stackblock = 0;   // followed by its size and that of its guard
  uint64_t used_list = 0;    // addresses of the heads: stacks of glibc's own, in use,
  uint64_t user_list = 0;    // stacks given by the program, and that of the main thread,
  uint64_t cached_list = 0;  // stacks of threads that are no more, kept for others

  // The descriptor of the thread with that thread pointer.
  uint64_t descriptor_of(uint64_t tls_base) const {
#if defined(__aarch64__)
    return tls_base - size;  // it lies below the thread pointer (sysdeps/aarch64/nptl/tls.h)
#else
    return tls_base;
#endif
  }
  uint64_t thread_pointer_of(uint64_t descriptor) const {
    return descriptor + (descriptor - descriptor_of(descriptor));
  }
};

class PthreadLayouts {
 public:
  PthreadLayouts(const SharedMemory& memory, Opener& opener, Parser& parser, Modules& modules)
      : memory_(memory), opener_(opener), parser_(parser), modules_(modules) {}

  // That of a process. An error: it has no libc that is known, or one that is not understood.
  Result<PthreadLayout> find(uint32_t pid, const std::vector<Mapping>& mappings);

 private:
  struct Symbols {
    std::vector<FoundSymbol> found;  // by the names asked for; empty: it has none of them
    uint64_t used = 0;
  };
  const Symbols& symbols_of(ModuleKey key);
  Result<PthreadLayout> read_glibc(uint32_t pid, const Symbols& symbols, uint64_t bias);
  void find_lists(uint32_t pid, const Symbols& symbols, uint64_t bias, PthreadLayout& layout);
  Result<std::vector<uint64_t>> read_words(uint32_t pid, const std::vector<uint64_t>& addresses,
                                           uint32_t size);

  const SharedMemory& memory_;
  Opener& opener_;
  Parser& parser_;
  Modules& modules_;
  std::map<ModuleKey, Symbols> symbols_;
  uint64_t uses_ = 0;
};

// --- what is pure of it, for its tests -------------------------------------------------------------

// One of glibc's descriptions, as it lies in memory.
struct FieldDescription {
  uint32_t bits = 0;
  uint32_t count = 0;
  uint32_t offset = 0;
};

struct GlibcDescription {
  uint32_t size = 0;
  FieldDescription list, tid, cancelhandling, start_routine, nextevent, list_next, list_prev;
  std::string version;  // as it lies in memory, up to its zero
};

// Offsets of everything but the heads of the lists. An error: it makes no sense. `no_lists` tells where the
// lists cannot be understood.
Result<PthreadLayout> interpret(const GlibcDescription& description);

}  // namespace loiter
