#include "daemon/base/clock.h"

#include <time.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace loiter {
namespace {

uint64_t now_ns(clockid_t clock) {
  timespec ts{};
  clock_gettime(clock, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(ts.tv_nsec);
}

}  // namespace

uint64_t monotonic_now_ns() {
  return now_ns(CLOCK_MONOTONIC);
}

uint64_t boottime_now_ns() {
  return now_ns(CLOCK_BOOTTIME);
}

uint64_t realtime_now_ns() {
  return now_ns(CLOCK_REALTIME);
}

uint64_t thread_cpu_now_ns() {
  return now_ns(CLOCK_THREAD_CPUTIME_ID);
}

std::string format_rfc3339(uint64_t realtime_ns) {
  time_t seconds = static_cast<time_t>(realtime_ns / 1'000'000'000);
  tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 64> buffer;
  size_t length = strftime(buffer.data(), buffer.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  int more = snprintf(buffer.data() + length, buffer.size() - length, ".%09lluZ",
                      static_cast<unsigned long long>(realtime_ns % 1'000'000'000));
  return {buffer.data(), length + static_cast<size_t>(more)};
}

WallClock WallClock::now() {
  return {static_cast<int64_t>(realtime_now_ns()) - static_cast<int64_t>(boottime_now_ns())};
}

void WallClock::follow() {
  constexpr int64_t kToleranceNs = 1'000'000;
  int64_t offset = now().offset_ns;
  if (std::abs(offset - offset_ns) > kToleranceNs) offset_ns = offset;
}

std::string WallClock::format(uint64_t boot_ns) const {
  int64_t wall = static_cast<int64_t>(boot_ns) + offset_ns;
  return format_rfc3339(wall < 0 ? 0 : static_cast<uint64_t>(wall));
}

}  // namespace loiter
