// Clocks, and wall times as text.
//
// Pure functions and system calls, any thread. All values are nanoseconds.
#pragma once

#include <cstdint>
#include <string>

namespace loiter {

uint64_t monotonic_now_ns();   // CLOCK_MONOTONIC: stands still in suspend
uint64_t boottime_now_ns();    // CLOCK_BOOTTIME: what start times of tasks count
uint64_t realtime_now_ns();    // CLOCK_REALTIME
uint64_t thread_cpu_now_ns();  // CPU time of the calling thread

// RFC 3339 in UTC with nanoseconds: "2026-11-21T06:18:04.000000001Z". `ns` since 1970.
std::string format_rfc3339(uint64_t realtime_ns);

// Wall time minus boot time, taken once: makes wall times of boot times that agree with each other.
struct WallClock {
  int64_t offset_ns = 0;

  static WallClock now();
  // Follows the wall clock where it was set or has drifted by a millisecond; else stays, so that one moment
  // is always told by the same time.
  void follow();
  std::string format(uint64_t boot_ns) const;
};

}  // namespace loiter
