// The words of wait_call.h, and the times it points to.
#include <array>
#include <cstring>

#include "daemon/inspect/wait_call.h"

namespace loiter {

using Form = TimeoutSource::Form;

const char* to_string(FutexOperation operation) {
  static constexpr std::array<const char*, 7> kWords{
      "FUTEX_WAIT",  "FUTEX_WAIT_BITSET", "FUTEX_LOCK_PI", "FUTEX_LOCK_PI2", "FUTEX_WAIT_REQUEUE_PI",
      "futex_waitv", "futex_wait"};
  static_assert(kWords.size() == static_cast<size_t>(FutexOperation::wait2) + 1);
  return kWords[static_cast<size_t>(operation)];
}

const char* to_string(WaitKind kind) {
  static constexpr std::array<const char*, 23> kWords{
      "lock",   "condvar", "join",    "semaphore", "barrier",    "futex",    "sleep",     "poll",
      "accept", "read",    "write",   "connect",   "wait_child", "signal",   "file_lock", "ipc",
      "disk",   "vfork",   "stopped", "frozen",    "page_fault", "io_uring", "other"};
  static_assert(kWords.size() == static_cast<size_t>(WaitKind::other) + 1);
  return kWords[static_cast<size_t>(kind)];
}

std::optional<uint64_t> decode_time(TimeoutSource::Form form, std::span<const std::byte> memory) {
  const bool narrow = form == Form::timespec32 || form == Form::timeval32;
  const bool micro = form == Form::timeval || form == Form::timeval32;
  if (form == Form::none || form == Form::value || form == Form::unknown) return std::nullopt;
  if (memory.size() < (narrow ? 8 : 16)) return std::nullopt;
  int64_t seconds = 0, fraction = 0;
  if (narrow) {
    std::array<int32_t, 2> parts;
    std::memcpy(parts.data(), memory.data(), sizeof(parts));
    seconds = parts[0];
    fraction = parts[1];
  } else {
    std::array<int64_t, 2> parts;
    std::memcpy(parts.data(), memory.data(), sizeof(parts));
    seconds = parts[0];
    fraction = parts[1];
  }
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  // KTIME_MAX: the kernel cuts what is longer than 292 years (include/linux/ktime.h).
  constexpr int64_t kForever = INT64_MAX;
  if (seconds < 0 || fraction < 0) return std::nullopt;
  if (micro) {  // of select: more than a second of microseconds is taken as such (fs/select.c)
    if (__builtin_mul_overflow(fraction, int64_t{1000}, &fraction)) return kForever;
  } else if (fraction >= kNsPerSecond) {
    return std::nullopt;
  }
  int64_t ns = 0;
  if (__builtin_mul_overflow(seconds, kNsPerSecond, &ns) || __builtin_add_overflow(ns, fraction, &ns))
    return kForever;
  return static_cast<uint64_t>(ns);
}

}  // namespace loiter
