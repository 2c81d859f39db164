// Times as the tests compare them: nanoseconds, and the wall times of the API.
//
// Pure functions, any thread.
#pragma once

#include <time.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "daemon/base/clock.h"

namespace loiter::test {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kNsPerSecond = 1'000'000'000;

// "2026-11-21T06:18:04.000000001Z" in nanoseconds since 1970; throws where it is not just that.
inline int64_t parse_rfc3339(const std::string& text) {
  tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!rest || std::string(rest).size() != 11 || rest[0] != '.' || rest[10] != 'Z')
    throw std::runtime_error("not a wall time: " + text);
  return timegm(&parts) * kNsPerSecond + atoll(rest + 1);
}

}  // namespace loiter::test
