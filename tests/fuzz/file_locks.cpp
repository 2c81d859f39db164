// Fuzzes what reads text of /proc: locks, and the fdinfo of descriptors. Whatever the text, what comes out
// keeps the promises of the headers.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/inspect/descriptors.h"
#include "daemon/inspect/file_locks.h"
#include "tests/fuzz/fuzz.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxLocks = 64;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const loiter::FileLocks locks = loiter::parse_file_locks(text, kMaxLocks);
  check(locks.locks.size() <= kMaxLocks);
  check(locks.left_out == 0 || locks.locks.size() == kMaxLocks);
  for (const loiter::FileLock& lock : locks.locks) {
    check(lock.start <= lock.end);
    loiter::fuzz::bite(lock.start == lock.end);  // of one byte
    if (lock.depth == 0 || lock.pid <= 0) continue;
    for (const loiter::LockWait& wait :
         loiter::lock_waits(locks, static_cast<uint32_t>(lock.pid), std::nullopt))
      for (const loiter::FileLock& held : wait.held) check(held.depth == 0);
  }
  loiter::parse_fdinfo_locks(text, kMaxLocks);
  const loiter::EpollInfo epoll = loiter::parse_epoll(text);
  check(epoll.watched.size() <= loiter::kMaxWatched && epoll.watched.size() <= epoll.count);
  loiter::parse_timerfd(text);
  loiter::parse_eventfd_count(text);
  loiter::parse_pidfd(text);
  return 0;
}
