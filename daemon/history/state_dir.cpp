#include "daemon/history/state_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr size_t kMostSetAside = 2;

Error cannot(const std::string& what, const std::string& path, const std::string& todo) {
  return {Error::Kind::unavailable, path + " " + what + ": " + std::strerror(errno) + "; " + todo};
}

const std::string kGiveDir = "make a directory of its own user's (mkdir -m 0700), or give --state-dir";

uint64_t size_of(int dir, const std::string& name) {
  struct stat found {};
  return fstatat(dir, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) ? 0 : static_cast<uint64_t>(found.st_size);
}

}  // namespace

Result<StateDir> StateDir::open(const std::string& path, Use use) {
  if (use == Use::write && mkdir(path.c_str(), 0700) && errno != EEXIST)
    return cannot("cannot be made", path, kGiveDir);
  const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), free);
  if (!real && use == Use::read && errno == ENOENT)
    return Error{Error::Kind::unavailable, "there is no history in " + path + " yet"};
  if (!real) return cannot("cannot be opened", path, kGiveDir);
  StateDir dir;
  dir.path_ = real.get();
  dir.fd_.reset(::open(real.get(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.fd_) return cannot("cannot be opened", path, kGiveDir);
  struct stat found {};
  if (fstat(dir.fd_.get(), &found)) return cannot("cannot be looked at", path, kGiveDir);
  const bool ours = found.st_uid == geteuid() || (use == Use::read && found.st_uid == 0);
  if (!ours || (found.st_mode & 0022))
    return Error{
        Error::Kind::unavailable,
        path + " belongs to another user, or others may write in it; chmod 0700 it, or give --state-dir"};
  if (use == Use::write && flock(dir.fd_.get(), LOCK_EX | LOCK_NB))
    return Error{Error::Kind::unavailable,
                 path + " is in use by another loiterd; end that one, or give --state-dir"};
  return dir;
}

Status StateDir::prepare_file() const {
  // Made here and not by SQLite, which would let others read it.
  const Fd file(
      openat(fd_.get(), kHistoryFile, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!file)
    return cannot("cannot be opened for writing", this->file(), "make it writable, or give --state-dir");
  struct stat found {};
  if (fstat(file.get(), &found) || !S_ISREG(found.st_mode) || found.st_nlink != 1 ||
      found.st_uid != geteuid() || (found.st_mode & 0077))
    return Error{Error::Kind::unavailable,
                 this->file() + " is no regular file of 0600 of ours; move it away, or give --state-dir"};
  return ok();
}

uint64_t StateDir::bytes() const {
  uint64_t sum = 0;
  for (const char* end : {"", "-wal", "-shm"}) sum += size_of(fd_.get(), std::string(kHistoryFile) + end);
  return sum;
}

bool StateDir::has_log() const {
  return size_of(fd_.get(), std::string(kHistoryFile) + "-wal") > 0;
}

bool StateDir::is_read_only() const {
  return faccessat(fd_.get(), ".", W_OK, AT_EACCESS) && errno == EROFS;
}

Result<std::string> StateDir::set_aside(const std::string& why) const {
  std::string stamp = format_rfc3339(realtime_now_ns());  // to the nanosecond: no two are the same
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':' || c == '.'; });
  const std::string old = kHistoryFile, name = old + "." + why + "-" + stamp;
  if (renameat(fd_.get(), old.c_str(), fd_.get(), name.c_str()))
    return cannot("cannot be set aside", file(), "move it away");
  renameat(fd_.get(), (old + "-wal").c_str(), fd_.get(), (name + "-wal").c_str());
  for (const char* end : {"-shm", "-journal"}) unlinkat(fd_.get(), (old + end).c_str(), 0);
  std::vector<std::string> all = all_set_aside();
  for (size_t i = 0; i + kMostSetAside < all.size(); ++i)
    for (const char* end : {"", "-wal"}) unlinkat(fd_.get(), (all[i] + end).c_str(), 0);
  return name;
}

std::vector<std::string> StateDir::all_set_aside() const {
  std::vector<std::string> names;
  const int again = openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const auto close = [](DIR* open) { closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> dir(again < 0 ? nullptr : fdopendir(again));
  while (const dirent* entry = dir ? readdir(dir.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name.starts_with(std::string(kHistoryFile) + ".") && !name.ends_with("-wal")) names.push_back(name);
  }
  const auto stamp = [](const std::string& name) { return name.substr(name.rfind('-') + 1); };
  std::ranges::sort(names, {}, stamp);
  return names;
}

}  // namespace loiter
