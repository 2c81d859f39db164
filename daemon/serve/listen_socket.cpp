#include "daemon/serve/listen_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "daemon/base/bytes.h"

namespace loiter {
namespace {

constexpr int kLockTries = 40;
constexpr useconds_t kLockPauseUs = 50'000;

Error unavailable(const std::string& path, const std::string& why) {
  return {Error::Kind::unavailable, "socket " + escape_for_terminal(path) + ": " + why};
}

std::string directory_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Two daemons that start at once must not both find the same stale file: the directory is the lock.
Result<Fd> lock_directory(const std::string& path) {
  std::string directory = directory_of(path);
  if (mkdir(directory.c_str(), 0755) && errno != EEXIST)
    return unavailable(path, "cannot make its directory: " + std::string(std::strerror(errno)));
  Fd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return unavailable(path, "cannot use its directory: " + std::string(std::strerror(errno)));
  // Whoever may look into the directory can hold that lock: not against us, though, for longer than this.
  for (int tries = 0; tries < kLockTries && flock(lock.get(), LOCK_EX | LOCK_NB); ++tries)
    usleep(kLockPauseUs);
  return lock;
}

// Takes a stale socket out of the way; what is in use or no socket stays.
std::optional<Error> clear_way(const std::string& path, const sockaddr_un& address) {
  struct stat file {};
  if (lstat(path.c_str(), &file)) {
    if (errno == ENOENT) return std::nullopt;
    return unavailable(path, std::strerror(errno));
  }
  if (!S_ISSOCK(file.st_mode))
    return unavailable(
        path, "there is something in the way that is no socket; remove it or choose another --socket");
  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN)
    return unavailable(path,
                       "in use: another loiterd serves there; stop it first or choose another --socket");
  if (errno != ECONNREFUSED) return unavailable(path, std::strerror(errno));
  if (unlink(path.c_str()))
    return unavailable(path, "stale, and cannot be removed: " + std::string(std::strerror(errno)));
  spdlog::info("removed the stale socket {}", escape_for_terminal(path));
  return std::nullopt;
}

void give_to_group(const std::string& path) {
  group entry{};
  group* found = nullptr;
  std::string buffer(16 * 1024, '\0');
  getgrnam_r("loiter", &entry, buffer.data(), buffer.size(), &found);
  if (found && lchown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid))
    spdlog::warn("cannot give the socket to group loiter: {}", std::strerror(errno));
}

}  // namespace

Result<ListenSocket> ListenSocket::make(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return Error{Error::Kind::usage, "--socket: a path of 1 to " +
                                         std::to_string(sizeof(address.sun_path) - 1) + " bytes is needed"};
  path.copy(address.sun_path, path.size());

  Result<Fd> lock = lock_directory(path);
  if (!lock) return lock.error();
  if (std::optional<Error> error = clear_way(path, address)) return *error;
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // The mode is set before anybody can connect: nothing listens yet.
  mode_t mask = umask(0117);
  bool bound = fd && bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  int error_number = errno;
  umask(mask);
  struct stat file {};
  if (!bound || lstat(path.c_str(), &file)) return unavailable(path, std::strerror(error_number));
  ListenSocket made(path, std::move(fd), file.st_dev, file.st_ino);
  give_to_group(path);
  if (listen(made.fd_.get(), 128)) return unavailable(path, std::strerror(errno));
  return made;
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      fd_(std::move(other.fd_)),
      device_(other.device_),
      inode_(other.inode_) {}

ListenSocket::~ListenSocket() {
  struct stat file {};
  if (path_.empty() || lstat(path_.c_str(), &file) || file.st_dev != device_ || file.st_ino != inode_) return;
  if (unlink(path_.c_str()))
    spdlog::warn("cannot remove the socket {}: {}", escape_for_terminal(path_), std::strerror(errno));
}

}  // namespace loiter
