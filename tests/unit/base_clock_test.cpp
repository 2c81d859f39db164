// Clocks that go on, and wall times as text.
#include "daemon/base/clock.h"

#include <gtest/gtest.h>

namespace loiter {
namespace {

TEST(Clock, WallTimesAreRfc3339WithNanoseconds) {
  EXPECT_EQ(format_rfc3339(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(format_rfc3339(1), "1970-01-01T00:00:00.000000001Z");
  EXPECT_EQ(format_rfc3339(999'999'999), "1970-01-01T00:00:00.999999999Z");
  EXPECT_EQ(format_rfc3339(1'795'241'884'000'000'001), "2026-11-21T06:18:04.000000001Z");
  EXPECT_EQ(format_rfc3339(1'709'164'800'000'000'000), "2024-02-29T00:00:00.000000000Z");
  EXPECT_EQ(format_rfc3339(UINT64_MAX), "2554-07-21T23:34:33.709551615Z");
}

TEST(Clock, AWallClockGivesWallTimesOfBootTimes) {
  const WallClock wall{1'000'000'000'000'000'000};
  EXPECT_EQ(wall.format(1'500'000'000), "2001-09-09T01:46:41.500000000Z");
  EXPECT_EQ(WallClock{-5}.format(3), format_rfc3339(0));  // before 1970 there is nothing to say
}

TEST(Clock, TheWallClockOfNowTellsNow) {
  const uint64_t before = realtime_now_ns();
  const WallClock wall = WallClock::now();
  const uint64_t told = static_cast<uint64_t>(static_cast<int64_t>(boottime_now_ns()) + wall.offset_ns);
  EXPECT_GE(told, before);
  EXPECT_LE(told, realtime_now_ns() + 1'000'000'000);
}

TEST(Clock, ClocksGoOn) {
  for (uint64_t (*now)() : {monotonic_now_ns, boottime_now_ns, thread_cpu_now_ns}) {
    const uint64_t before = now();
    uint64_t after = now();
    while (after == before) after = now();
    EXPECT_GT(after, before);
  }
  EXPECT_GE(boottime_now_ns(), monotonic_now_ns());
}

}  // namespace
}  // namespace loiter
