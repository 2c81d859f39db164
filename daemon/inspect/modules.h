// Which files the parser has been given, and by what key: one for each file that any process maps code from.
//
// Owned by the inspector's thread. A file is known by device, inode and the path it was mapped from; it is
// opened by the opener through /proc/PID/map_files, so that a file which was deleted, replaced or lies in
// another mount namespace is still the one that is mapped.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "daemon/inspect/maps.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

class Modules {
 public:
  Modules(Opener& opener, Parser& parser) : opener_(opener), parser_(parser) {}

  // The code mappings of a process, each with its module; files that the parser does not know yet are given
  // to it, with their debug files.
  std::vector<CodeMapping> resolve(uint32_t pid, const std::vector<Mapping>& mappings);

  // The perf map of a process with JIT-compiled code; 0: none. `ns_pid`: its pid in its own namespace.
  ModuleKey perf_map(uint32_t pid, uint32_t ns_pid, uint32_t uid);

  // The path that a module was mapped from; empty: unknown.
  const std::string& name(ModuleKey key) const;

  // The file behind a mapping, as it is mapped.
  Result<Fd> open_mapped(uint32_t pid, const Mapping& mapping);

 private:
  // By which mapping a file could not be opened: its process may have ended, or mapped it anew.
  struct Failure {
    uint32_t pid = 0;
    uint64_t start = 0;
    uint64_t end = 0;
    uint64_t monotonic_ns = 0;
  };
  struct File {
    ModuleKey key = 0;
    bool refused = false;         // it is no ELF file, opening it hung, or the parser could not live with it
    Failure failed;               // the last one
    uint64_t generation = ~0ULL;  // of the parser that knows it
    uint64_t used = 0;
    ModuleFacts facts;
  };
  using Id = std::tuple<uint32_t, uint32_t, uint64_t, std::string>;  // device, inode, path

  void give(uint32_t pid, const Mapping& mapping, File& file);
  static bool failed_just_now(uint32_t pid, const Mapping& mapping, const File& file);
  Result<Fd> copy_vdso(uint32_t pid, const Mapping& mapping);
  void give_debug_file(uint32_t pid, const Mapping& mapping, File& file);
  bool try_debug_file(uint32_t pid, const std::string& path, File& file);
  void give_supplement(uint32_t pid, const std::string& debug_path, const std::string& link, File& file);
  void forget_old();

  Opener& opener_;
  Parser& parser_;
  std::map<Id, File> files_;
  std::map<ModuleKey, std::string> names_;
  std::map<uint32_t, ModuleKey> perf_maps_;  // by pid: the one before, to be forgotten
  ModuleKey last_key_ = 0;
  uint64_t tick_ = 0;
};

}  // namespace loiter
