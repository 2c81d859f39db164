// Lengths in nanoseconds, for all unit tests.
#pragma once

#include <cstdint>

namespace loiter {

constexpr uint64_t kSecond = 1'000'000'000;

}  // namespace loiter
