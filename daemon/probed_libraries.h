// Thread libraries whose probes are for all processes, each once, and who uses them: one that nobody has used
// for a while is let go. Its probes hold the file, and the mount that it was found in: of a container that
// has ended.
//
// Owned by PthreadWatch, under its mutex. Entirely passive: time is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/inspect/probe_finder.h"
#include "daemon/sensors/pthread_probes.h"

namespace loiter {

// What was placed in one library.
struct PlacedProbes {
  std::vector<PthreadProbes::Link> links;
  std::vector<std::string> functions;
  uint64_t boot_ns = 0;            // since then all calls are seen
  std::shared_ptr<const Fd> file;  // held where no probe holds it, so that its id stays its own
};

class ProbedLibraries {
 public:
  // A process that is being executed maps nothing for a moment, and another one may come by the time.
  static constexpr uint64_t kGraceNs = 10'000'000'000;

  bool contains(const FileId& id) const { return libraries_.contains(id); }
  const PlacedProbes* find(const FileId& id) const;
  void add(const FileId& id, PlacedProbes placed, uint64_t mono_ns);

  // Of a library that is there.
  void use(const FileId& id, uint32_t pid);
  // The process has ended, or executes another program.
  void leave(uint32_t pid, uint64_t mono_ns);

  // Those that nobody has used for so long.
  std::vector<FileId> unused(uint64_t mono_ns) const;
  // To be let go by the caller, where the kernel may take its time. Nothing where somebody uses it after all.
  PlacedProbes take_unused(const FileId& id, uint64_t mono_ns);

  // All of them.
  void clear() { libraries_.clear(); }

  size_t size() const { return libraries_.size(); }
  size_t functions() const;

 private:
  struct Library {
    PlacedProbes placed;
    std::set<uint32_t> users;
    uint64_t left_mono_ns = 0;  // by the last one
    bool is_unused(uint64_t mono_ns) const { return users.empty() && mono_ns >= left_mono_ns + kGraceNs; }
  };
  std::map<FileId, Library> libraries_;
};

}  // namespace loiter
