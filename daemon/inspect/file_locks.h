// Who holds the file lock that a thread waits for: from /proc/locks, and from the fdinfo of descriptors.
//
// Pure functions, any thread; lock_holders reads by way of its caller's ProcFiles. What the kernel tells
// (fs/locks.c, lock_get_status): POSIX and flock locks name the *process* that called, as the reader's pid
// namespace numbers it (0: not in it), whoever has the descriptor by now; OFD locks name -1. Waiters follow
// what they wait for, indented.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/inspect/proc_files.h"
#include "daemon/sensors/file_table.h"

namespace loiter {

struct FileLock {
  enum class Type : uint8_t { posix, ofd, flock, lease, other };
  static constexpr uint64_t kEnd = UINT64_MAX;  // to the end of the file, however long

  uint64_t id = 0;     // of what is held: waiters have the same
  uint32_t depth = 0;  // 0: held; else it waits
  Type type = Type::other;
  bool writes = false;
  int32_t pid = 0;  // see above; <= 0: unknown
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t inode = 0;  // 0: none
  uint64_t start = 0;
  uint64_t end = kEnd;  // the last byte
};

struct FileLocks {
  std::vector<FileLock> locks;  // in the order told: a waiter stands behind what it waits for
  size_t not_understood = 0;    // lines
  size_t left_out = 0;          // lines beyond the bound
};

constexpr size_t kMaxFileLocks = 65'536;

// Text of /proc/locks, or of a part of it: a last line without its newline is not understood.
FileLocks parse_file_locks(std::string_view text, size_t max_locks = kMaxFileLocks);

// The "lock:" lines of /proc/PID/fdinfo/FD: what is held by way of this very descriptor (flock, OFD) or by
// this process on its file (POSIX).
FileLocks parse_fdinfo_locks(std::string_view text, size_t max_locks = kMaxFileLocks);

struct FileIdentity {
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
FileIdentity identity_of(const loiter_file& file);
FileIdentity identity_of(const FileLock& lock);

// Whether `held` is in the way of `wanted`: same file, same sort of lock, ranges that meet, and one of them
// writes.
bool conflicts(const FileLock& held, const FileLock& wanted);

struct LockWait {
  FileLock wanted;
  std::vector<FileLock> held;  // in its way; first the one that the kernel has it wait for
};

// What process `pid` waits for, on `file` where that is known; several threads of a process that wait for the
// same file are not told apart, so there may be several.
std::vector<LockWait> lock_waits(const FileLocks& locks, uint32_t pid,
                                 const std::optional<FileIdentity>& file);

// The processes that hold `held`: of a POSIX lock the one it names; of an flock or OFD lock all whose
// descriptors have it, told by their fdinfo, and where none has, the one it names. Ascending; none: unknown.
std::vector<uint32_t> lock_holders(const FileLock& held, const FileTable& table, ProcFiles& proc);

}  // namespace loiter
