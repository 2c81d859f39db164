// What the bench and its workloads say to each other over stdin and stdout. Plain bytes: both ends are the
// same executable. After its start a workload writes one byte; then each request has one answer.
//
// Any thread.
#pragma once

#include <errno.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace loiter::bench {

struct BatchRequest {  // the answer: as many Batch as `batches`
  uint32_t operations;
  uint32_t batches;
};

// To "spinning": begin, answered by one byte when it does; rest, answered by the largest gap in ns.
constexpr char kSpin = 's';
constexpr char kRest = 'r';

// False where the other side is gone.
inline bool read_all(int fd, void* data, size_t size) {
  for (char* at = static_cast<char*>(data); size > 0;) {
    const ssize_t n = read(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

inline bool write_all(int fd, const void* data, size_t size) {
  for (const char* at = static_cast<const char*>(data); size > 0;) {
    const ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace loiter::bench
