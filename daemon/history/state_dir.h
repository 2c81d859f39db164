// The directory of what the daemon keeps: /var/lib/loiter, 0700, with files of 0600.
//
// Values; used by the thread that writes and the one that reads. Nobody else may be able to write in it: what
// is read from it is believed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter {

inline constexpr const char* kHistoryFile = "history.db";

class StateDir {
 public:
  enum class Use : uint8_t { write, read };
  // For writing it is made where it is not there, and held: of two daemons one has it. Errors say in one line
  // what to do.
  static Result<StateDir> open(const std::string& path, Use use);

  // Absolute, without symbolic links.
  const std::string& path() const { return path_; }
  std::string file() const { return path_ + "/" + kHistoryFile; }

  // Makes the file where it is not there, and looks at what is: a regular file of ours, with one name.
  Status prepare_file() const;
  // Of the file and what SQLite keeps beside it.
  uint64_t bytes() const;
  bool has_log() const;       // a write-ahead log that is not empty
  bool is_read_only() const;  // its file system is: nobody writes there

  // Gives the file another name, that says `why`, and forgets all but the last few such ones. The name.
  Result<std::string> set_aside(const std::string& why) const;
  std::vector<std::string> all_set_aside() const;  // oldest first

 private:
  std::string path_;
  Fd fd_;
};

}  // namespace loiter
