// CPU time of processes, in nanoseconds, as the scheduler counts it: user and system time together.
//
// Pure functions, any thread.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <stdexcept>

namespace loiter::bench {

constexpr uint64_t kSecondNs = 1'000'000'000;

inline uint64_t cpu_clock_ns(clockid_t clock) {
  timespec now{};
  if (clock_gettime(clock, &now)) throw std::runtime_error("a CPU clock cannot be read");
  return static_cast<uint64_t>(now.tv_sec) * kSecondNs + static_cast<uint64_t>(now.tv_nsec);
}

// Of all threads that the process has and had.
inline uint64_t cpu_ns_of(pid_t pid) {
  clockid_t clock;
  if (clock_getcpuclockid(pid, &clock)) throw std::runtime_error("the process has ended");
  return cpu_clock_ns(clock);
}

}  // namespace loiter::bench
