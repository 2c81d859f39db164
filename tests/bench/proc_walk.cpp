#include "tests/bench/proc_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>

#include "daemon/base/fd.h"

namespace loiter::bench {
namespace {

bool read_file(int directory, const char* tid, const char* file) {
  std::array<char, 64> path;
  std::snprintf(path.data(), path.size(), "%s/%s", tid, file);
  const Fd fd(openat(directory, path.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> contents;
  return fd && read(fd.get(), contents.data(), contents.size()) > 0;
}

}  // namespace

size_t walk_proc(pid_t pid) {
  std::array<char, 64> path;
  std::snprintf(path.data(), path.size(), "/proc/%d/task", pid);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.data()), closedir);
  if (!directory) return 0;
  size_t threads = 0;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    const int at = dirfd(directory.get());
    threads += read_file(at, entry->d_name, "stat") && read_file(at, entry->d_name, "syscall");
  }
  return threads;
}

}  // namespace loiter::bench
