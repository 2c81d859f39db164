// Waits for a condition by asking again and again: for what has no file descriptor to poll.
//
// Any thread. The limit is there to end a test that hangs, not to judge speed: it fits a machine that is
// emulated and twenty times slower.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

namespace loiter::test {

constexpr std::chrono::milliseconds kPatience{60'000};

template <typename Condition>
::testing::AssertionResult await(const std::string& what, Condition condition,
                                 std::chrono::milliseconds limit = kPatience) {
  const auto end = std::chrono::steady_clock::now() + limit;
  auto pause = std::chrono::milliseconds(1);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end)
      return ::testing::AssertionFailure() << "waited " << limit.count() << " ms for: " << what;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(50));
  }
  return ::testing::AssertionSuccess();
}

}  // namespace loiter::test
