// Finds who is at the other end of a pipe or local socket, among open files read in one pass.
//
// A plain index: built by whoever read the files, immutable from then on, read by any thread. It knows what
// was open at that moment: an end that is in flight inside a socket (SCM_RIGHTS), or that io_uring holds
// without a descriptor, is in nobody's table and so not found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "daemon/sensors/file_reader.h"

namespace loiter {

// A descriptor at the other end.
struct FileEnd {
  uint32_t pid = 0;
  int fd = -1;
  bool listens = false;  // the connection was not accepted yet: this is the socket that could
  friend bool operator==(const FileEnd&, const FileEnd&) = default;
  friend auto operator<=>(const FileEnd&, const FileEnd&) = default;
};

struct FileEnds {
  std::vector<FileEnd> ends;  // ascending, each once
  uint64_t left_out = 0;      // beyond kMaxEnds
};

// What the asker does with the descriptor. Of a FIFO opened for both, a reader waits for writers.
enum class FileUse : uint8_t { any, reads, writes };

class FileTable {
 public:
  static constexpr size_t kMaxEnds = 1024;

  FileTable() = default;
  explicit FileTable(OpenFiles files);

  // nullptr: was not open, or not of a class that was read.
  const OpenFile* find(uint32_t pid, int fd) const;

  // Who could end a wait at this descriptor:
  // - pipe, FIFO: all that have it open the other way. A process that holds both ends is its own other end:
  // while
  //   it does, it reads no end of file. So is a descriptor opened for both.
  // - unix socket: the holders of the peer; before it was accepted, of the listening socket.
  // - TCP, UDP: the holders of the socket with the addresses the other way round in the same network
  // namespace
  //   (IPv4 and v4-mapped IPv6 are the same); before it was accepted, of the one that listens. None: not
  //   local.
  // - eventfd: the other descriptors of the same one. Everything else: none.
  FileEnds other_ends(const OpenFile& asker, FileUse use = FileUse::any) const;
  FileEnds other_ends(uint32_t pid, int fd, FileUse use = FileUse::any) const;

  // All descriptors of the same open file, the given one's own included (dup, fork, SCM_RIGHTS).
  FileEnds holders(const OpenFile& file) const;

  // All descriptors of one inode.
  const std::vector<uint32_t>& of_inode(uint64_t inode) const;

  const std::vector<OpenFile>& files() const { return files_.files; }
  uint64_t left_out() const { return files_.left_out; }

 private:
  using Index = std::unordered_map<uint64_t, std::vector<uint32_t>>;
  void pipe_ends(const OpenFile& asker, FileUse use, FileEnds& out) const;
  void unix_ends(const OpenFile& asker, FileEnds& out) const;
  void inet_ends(const OpenFile& asker, FileEnds& out) const;
  void same_description(const OpenFile& asker, bool with_asker, FileEnds& out) const;
  template <typename Matches>
  bool collect(const Index& index, uint64_t key, bool listens, FileEnds& out, Matches matches) const;

  OpenFiles files_;
  Index by_descriptor_;  // pid and fd
  Index by_inode_;
  Index by_local_port_;  // of TCP, UDP and the like
  Index by_name_;        // unix sockets that listen or receive datagrams, by name_id
};

}  // namespace loiter
