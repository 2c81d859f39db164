// The modules of all processes by their keys, the files behind them, each kept once, and how much memory all
// of it takes.
//
// Owned by StackParser, one thread.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "daemon/base/fd.h"
#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/code_image.h"
#include "daemon/inspect/parser/perf_map.h"
#include "daemon/inspect/parser/stack_parser.h"

namespace loiter {

class ModuleStore {
 public:
  ModuleStore(const StackParser::Limits& limits, const Architecture& architecture)
      : limits_(limits), architecture_(architecture), reader_(architecture) {}

  ModuleFacts add_module(ModuleKey key, Fd file);
  ModuleFacts add_debug_file(ModuleKey key, Fd file);
  ModuleFacts add_supplement(ModuleKey key, Fd file);
  ModuleFacts add_perf_map(ModuleKey key, Fd file);
  void forget(ModuleKey key);

  // nullptr: no such key, or what was given was none.
  CodeImage* image(ModuleKey key);
  const PerfMap* perf_map(ModuleKey key) const;

  const Architecture& architecture() const { return architecture_; }

  // Drops what was made of the images that were used least recently, until the limit is kept; pointers to
  // images stay, answers of theirs do not.
  void trim();
  size_t memory_bytes() const;

 private:
  struct Module {
    std::shared_ptr<CodeImage> image;
    std::shared_ptr<PerfMap> perf_map;
  };
  bool has_room(ModuleKey key) const {
    return key != 0 && modules_.size() < limits_.modules && !modules_.contains(key);
  }
  std::shared_ptr<ElfFile> open(Fd file, ElfFile::Kind kind);
  std::shared_ptr<CodeImage> image_of(CodeImage::Files files);

  StackParser::Limits limits_;
  const Architecture& architecture_;
  InstructionReader reader_;
  std::unordered_map<ModuleKey, Module> modules_;
  std::list<std::weak_ptr<ElfFile>> files_;
  std::list<std::weak_ptr<CodeImage>> images_;
  uint64_t uses_ = 0;
  size_t perf_map_bytes_ = 0;
};

}  // namespace loiter
