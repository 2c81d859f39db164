// Reads foreign processes and opens foreign files by way of a child that may hang in their stead: a page
// served by userfaultfd, a file on a dead NFS or FUSE server. The child has the daemon's privileges and knows
// no format; it is killed and replaced when it does not answer in time.
//
// Owned by the inspector's thread. Every read is of a process that may end meanwhile, and whose pid may be
// used again: the caller checks its identity again after the last read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"
#include "daemon/inspect/helper_process.h"
#include "daemon/inspect/proc_files.h"

namespace loiter {

// Memory shared by the daemon, the opener (which writes it) and the parser (which may only read it).
class SharedMemory {
 public:
  static constexpr size_t kSize = 64 << 20;      // sparse: pages that were never used cost nothing
  static constexpr size_t kReserved = 64 << 10;  // at its end: for what is read while stacks lie before it

  static Result<SharedMemory> make();
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory();

  std::byte* data() const { return data_; }
  int fd() const { return fd_.get(); }
  int read_only_fd() const { return read_only_fd_.get(); }
  // Slices of stacks may hold secrets: gives the pages back to the kernel, which clears them.
  void wipe(size_t used) const { wipe_range(0, used); }
  void wipe_range(size_t begin, size_t end) const;

 private:
  SharedMemory() = default;
  Fd fd_;
  Fd read_only_fd_;
  std::byte* data_ = nullptr;
};

// A range of the target's memory, and where it is to go.
struct MemoryPiece {
  uint64_t address = 0;
  uint32_t size = 0;
  uint32_t got = 0;    // bytes read: less than `size` where a page of it is not there
  uint64_t place = 0;  // offset in the shared memory
};

// A list of the target's that is linked both ways in a ring: a head, and in each node the same two words.
// What lies around each node is copied one after the other into the shared memory.
struct ListToFollow {
  struct Range {
    int32_t offset = 0;  // from the links of the node
    uint32_t size = 0;
  };
  static constexpr size_t kRanges = 5;
  uint64_t head = 0;
  Range ranges[kRanges] = {};  // the first begins with the links, {next, prev}; those of size 0 are none
  uint64_t place = 0;          // offset in the shared memory
  uint64_t most_nodes = 0;

  uint64_t record_size() const {
    uint64_t size = 0;
    for (const Range& range : ranges) size += range.size;
    return size;
  }
};

struct FollowedList {
  enum class End : uint32_t {
    closed,      // it came back to its head, and each node pointed back at the one before
    torn,        // one did not: it changed meanwhile, or lies
    cycle,       // it came by a node twice
    too_many,    // more nodes than the bound
    too_long,    // it took longer than a second
    unreadable,  // a node lies where nothing can be read
  };
  End end = End::unreadable;
  uint32_t pad = 0;
  uint64_t nodes = 0;    // copied
  uint64_t address = 0;  // of the last one that was looked at
};
const char* to_string(FollowedList::End end);  // a phrase for people

// How a file under a target's own root is to be found: never outside of it.
struct FileToOpen {
  enum class Kind : uint32_t {
    plain,    // a path of this host: /proc/PID/map_files/…, /usr/lib/debug/…
    in_root,  // a path as `pid` sees it, resolved inside its root, no magic links
  };
  Kind kind = Kind::plain;
  uint32_t pid = 0;
  std::string path;
};

class Opener : public ProcFiles {
 public:
  Opener(const SharedMemory& memory, const std::atomic<bool>& cancel) : memory_(memory), cancel_(cancel) {}

  // Fills `got` of each piece. An error: the process cannot be read at all, or the reading hung; nothing of
  // it is left in the shared memory then.
  Status read_memory(uint32_t pid, std::vector<MemoryPiece>& pieces);

  // Copies a list; whole where it ends as `closed`. Each record: the ranges in their order. An error as
  // above.
  Result<FollowedList> follow_list(uint32_t pid, const ListToFollow& list);

  // A file of /proc, at most `max_size` bytes of it.
  Result<std::string> read_file(const std::string& path, size_t max_size) override;
  Result<std::string> read_link(const std::string& path) override;

  // A regular file for reading; anything else is refused.
  Result<Fd> open_file(const FileToOpen& file);

  const std::byte* memory() const { return memory_.data(); }  // where pieces land
  uint64_t restarts() const { return restarts_; }             // children that hung or died

 private:
  Result<std::vector<std::byte>> call(const std::vector<std::byte>& request, Fd* fd = nullptr);
  void wipe(const std::vector<MemoryPiece>& pieces) const;
  const SharedMemory& memory_;
  const std::atomic<bool>& cancel_;
  std::optional<HelperProcess> child_;
  uint64_t restarts_ = 0;
};

// The child's part: serves requests on kHelperSocketFd until the owner is gone. Returns its exit code.
int run_opener_child();

}  // namespace loiter
