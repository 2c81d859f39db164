// Where probes on a process' thread library go: which of its files is one, whose it is, and at what offsets
// the functions begin. For daemon/pthread_watch.h, which places them.
//
// Owned by the inspector's thread. Only reads.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bpf/records.h"
#include "daemon/base/fd.h"
#include "daemon/inspect/maps.h"
#include "daemon/inspect/modules.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"
#include "daemon/sensors/pthread_probes.h"

namespace loiter {

// An inode, as uprobes go by it. A file of an image has one, in however many containers it is seen, where
// device and inode of /proc/PID/maps are those of each container's overlay; and btrfs gives the files of its
// subvolumes equal ones there.
struct FileId {
  uint64_t inode_id = 0;  // the kernel's; right as long as a probe, or an open file, holds the inode
  // Where the kernel did not tell:
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t inode = 0;
  friend auto operator<=>(const FileId&, const FileId&) = default;
};

struct ThreadLibrary {
  struct Missing {
    std::string function;
    std::string reason;
  };
  FileId id;
  uint64_t mapped_at = 0;  // start of a mapping of it
  std::string path;        // as it was mapped: bytes
  loiter_libc libc{};
  std::shared_ptr<const Fd> file;
  std::vector<ProbePlace> places;  // each offset once
  std::vector<Missing> missing;    // of the four that every library has
};

struct ThreadLibraries {
  std::vector<ThreadLibrary> libraries;
  std::string failure;  // not empty: why there are none
};

class ProbeFinder {
 public:
  ProbeFinder(Opener& opener, Parser& parser, Modules& modules)
      : opener_(opener), parser_(parser), modules_(modules) {}

  // `tid`: a thread of the process that has not ended.
  ThreadLibraries find(uint32_t tid, const std::vector<Mapping>& mappings);

 private:
  void add(uint32_t tid, const Mapping& mapping, ModuleKey module, const std::vector<Mapping>& mappings,
           ThreadLibraries& found);
  void add_places(uint32_t tid, std::span<const FoundSymbol> symbols, const Mapping& file,
                  const std::vector<Mapping>& mappings, ThreadLibrary& library);
  bool has_code_at(uint32_t tid, uint64_t address);

  Opener& opener_;
  Parser& parser_;
  Modules& modules_;
};

}  // namespace loiter
