#include "daemon/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "daemon/base/fd.h"
#include "daemon/config.h"

namespace loiter {
namespace {

Error unreadable(const std::string& why) {
  return {Error::Kind::usage, "cannot be read: " + why};
}

// Who may write the file says what the daemon does.
std::string warning_about(const struct stat& file) {
  if (file.st_mode & (S_IWGRP | S_IWOTH))
    return std::string("may be written by ") + (file.st_mode & S_IWOTH ? "anybody" : "its group") +
           ": chmod go-w is advised";
  if (file.st_uid != 0 && file.st_uid != geteuid())
    return "belongs to user " + std::to_string(file.st_uid) + ", who may change it";
  return "";
}

}  // namespace

Result<ConfigText> read_config_file(const std::string& path) {
  // Not to hang on what turns out to be a pipe.
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && errno == ENOENT) return ConfigText{.text = {}, .missing = true, .warning = {}};
  if (!fd) return unreadable(strerror(errno));
  struct stat file {};
  if (fstat(fd.get(), &file) != 0) return unreadable(strerror(errno));
  if (!S_ISREG(file.st_mode)) return Error{Error::Kind::usage, "is no regular file"};
  ConfigText read{.text = std::string(kMostConfigBytes + 1, '\0'), .missing = false, .warning = {}};
  size_t size = 0;
  while (size < read.text.size()) {
    const ssize_t more = ::read(fd.get(), read.text.data() + size, read.text.size() - size);
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return unreadable(strerror(errno));
    if (more == 0) break;
    size += static_cast<size_t>(more);
  }
  if (size > kMostConfigBytes)
    return Error{Error::Kind::usage, "is too large: up to " + std::to_string(kMostConfigBytes) + " bytes"};
  read.text.resize(size);
  read.warning = warning_about(file);
  return read;
}

}  // namespace loiter
