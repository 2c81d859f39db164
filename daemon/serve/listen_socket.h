// The daemon's Unix socket as a file: made without treading on another daemon, removed at the end.
//
// Owned by main. Make it before privileges are given up: its directory and group may need them.
#pragma once

#include <sys/types.h>

#include <string>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter {

class ListenSocket {
 public:
  // Binds and listens at `path`, mode 0660, group `loiter` where that exists; makes the last directory of the
  // path where it is missing. A stale socket file is replaced; one in use, or anything that is no socket,
  // is an error (unavailable) and left as it is.
  static Result<ListenSocket> make(const std::string& path);

  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&&) = delete;
  // Removes the file, if it is still the one made.
  ~ListenSocket();

  Fd take_fd() { return std::move(fd_); }

 private:
  ListenSocket(std::string path, Fd fd, dev_t device, ino_t inode)
      : path_(std::move(path)), fd_(std::move(fd)), device_(device), inode_(inode) {}

  std::string path_;  // empty: moved from
  Fd fd_;
  dev_t device_;
  ino_t inode_;
};

}  // namespace loiter
