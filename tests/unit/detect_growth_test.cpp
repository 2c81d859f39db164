// What counts as growth, and when it has ended: rules one by one, and at random against a reference that
// keeps all it was ever told.
#include "daemon/detect/growth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace loiter {
namespace {

constexpr uint64_t kMinute = 60'000'000'000;
constexpr GrowthRules kRules{.window_ns = kMinute, .windows = 4, .least = 6};

// Windows of three samples each, all that grew at rest.
class Series {
 public:
  void window(uint64_t first, uint64_t middle, uint64_t last) {
    for (const uint64_t live : {first, middle, last}) sample(live);
    close();
  }
  void window(uint64_t live) { window(live, live, live); }
  void windows(std::initializer_list<uint64_t> all) {
    for (const uint64_t live : all) window(live);
  }
  void sample(uint64_t live) {
    if (live > live_) births_ += live - live_;
    if (live < live_) ends_ += live_ - live;
    live_ = live;
    least_ = std::min(least_, live);
    growth.sample(live, births_, ends_);
  }
  void close() {
    now_ += kMinute;
    growth.close(kRules, resting ? *resting : least_, now_, now_);
    least_ = UINT64_MAX;
  }

  Growth growth;
  std::optional<uint64_t> resting;  // nothing: all

 private:
  uint64_t live_ = 0, births_ = 0, ends_ = 0, now_ = kMinute, least_ = UINT64_MAX;
};

TEST(Growth, RulesTakeLengthsOfWindowsThatHoldSeveralCensuses) {
  const Thresholds thresholds = Thresholds::of(1'000'000'000);
  EXPECT_EQ(GrowthRules::of(thresholds, 1'000'000'000).window_ns, 4'000'000'000u);
  EXPECT_EQ(GrowthRules::of(thresholds, 5'000'000'000).window_ns, 20'000'000'000u);
}

TEST(Growth, RisingInEachWindowIsALeak) {
  Series series;
  series.windows({10, 12, 14});
  EXPECT_EQ(series.growth.leak(), Growth::Leak::none) << "three windows are too few";
  series.window(16);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::resting);
  EXPECT_EQ(series.growth.first().least, 10u);
  EXPECT_EQ(series.growth.last().least, 16u);
  EXPECT_EQ(series.growth.leak_windows(), 4u);
  EXPECT_DOUBLE_EQ(series.growth.leak_per_minute(), 2.0);
}

TEST(Growth, OneWindowThatDoesNotRiseBeginsAnew) {
  Series series;
  series.windows({10, 12, 14, 14, 16, 18});
  EXPECT_EQ(series.growth.leak(), Growth::Leak::none);
  series.window(20);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::resting);
  EXPECT_EQ(series.growth.first().least, 14u);
}

TEST(Growth, TooFewThreadsAreWaitedFor) {
  Series series;
  series.windows({10, 11, 12, 13, 14, 15});
  EXPECT_EQ(series.growth.leak(), Growth::Leak::none);
  series.window(16);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::resting);
}

TEST(Growth, AMomentAtTheBaselineInEachWindowIsNone) {
  Series series;
  for (uint64_t peak = 20; peak < 200; peak += 20) series.window(peak, 10, peak);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::none);
  EXPECT_EQ(series.growth.per_minute(), 0.0);
}

TEST(Growth, AJumpThatStaysIsNone) {
  Series series;
  series.windows({4, 64, 64, 64, 64, 64});
  EXPECT_EQ(series.growth.leak(), Growth::Leak::none);
}

TEST(Growth, WithoutMoreBirthsThanEndsThereIsNone) {
  Growth growth;
  for (uint64_t i = 0; i < 20; ++i) {
    growth.sample(10 + 4 * i, 5, 5);  // such as numbers that were set right
    growth.close(kRules, 10 + 4 * i, (i + 1) * kMinute, 0);
  }
  EXPECT_EQ(growth.leak(), Growth::Leak::none);
}

TEST(Growth, WhatWorksIsToldOnlyAfterThreeTimesAsLong) {
  Series series;
  series.resting = 0;
  for (uint64_t i = 0; i < 11; ++i) series.window(10 + 2 * i);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::none);
  series.window(32);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::working);
  series.resting = 20;
  series.window(34);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::resting);
}

TEST(Growth, HalfOfWhatCameMustRest) {
  for (const uint64_t resting : {2, 3}) {
    Series series;
    series.resting = 0;
    series.windows({10, 12, 14});
    series.resting = resting;
    series.window(16);
    EXPECT_EQ(series.growth.leak(), resting == 3 ? Growth::Leak::resting : Growth::Leak::none) << resting;
  }
  Series idle;
  idle.resting = 8;  // of old; what comes works
  idle.windows({10, 12, 14, 16, 18});
  EXPECT_EQ(idle.growth.leak(), Growth::Leak::none);
}

TEST(Growth, ItEndsWhenHalfOfItHasGoneAtOnce) {
  Series series;
  series.windows({10, 20, 30, 40});
  series.sample(26);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::resting);
  series.sample(25);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::none);
}

TEST(Growth, ItEndsWhenItStopsForAsManyWindows) {
  Series series;
  series.windows({10, 20, 30, 40, 40, 40, 40});
  EXPECT_EQ(series.growth.leak(), Growth::Leak::resting);
  series.window(41);
  series.windows({41, 41, 41});
  EXPECT_EQ(series.growth.leak(), Growth::Leak::resting) << "it had gone on";
  series.window(41);
  EXPECT_EQ(series.growth.leak(), Growth::Leak::none);
}

TEST(Growth, AWindowWithAHoleBeginsAnew) {
  Series series;
  series.windows({10, 12, 14});
  series.sample(3);
  series.sample(16);
  series.growth.reopen();
  series.resting = 16;
  series.close();
  EXPECT_EQ(series.growth.leak(), Growth::Leak::resting);
}

TEST(Growth, ACourseIsThreeRisesInARow) {
  Series series;
  series.windows({10, 20, 30});
  EXPECT_EQ(series.growth.per_minute(), 0.0);
  series.window(40);
  EXPECT_DOUBLE_EQ(series.growth.per_minute(), 10.0);
  series.window(40);
  EXPECT_DOUBLE_EQ(series.growth.per_minute(), 5.0) << "to stand still once is no end";
  series.window(40);
  EXPECT_EQ(series.growth.per_minute(), 0.0);
  series.windows({50, 60});
  EXPECT_EQ(series.growth.per_minute(), 0.0) << "it begins anew";
  series.window(70);
  EXPECT_GT(series.growth.per_minute(), 0.0);
  series.window(69);
  EXPECT_EQ(series.growth.per_minute(), 0.0);
}

TEST(Growth, AJumpOnTheWayMakesNoCourse) {
  Series series;
  series.windows({10, 12, 14, 114});
  EXPECT_DOUBLE_EQ(series.growth.per_minute(), 2.0);
}

TEST(Growth, JumpsAreMeasuredFromTheLastWindow) {
  Series series;
  series.sample(50);
  EXPECT_FALSE(series.growth.jumped(1)) << "no window has ended";
  series.close();
  series.sample(55);
  EXPECT_TRUE(series.growth.jumped(5));
  EXPECT_FALSE(series.growth.jumped(6));
}

// --- at random ---------------------------------------------------------------------------------------------

// Keeps everything, and asks of all of it each time.
class Reference {
 public:
  void sample(uint64_t live) {
    open_.push_back(live);
    if (leaking_ && 2 * live <= base_ + peak_) leaking_ = false;
  }
  void close() {
    minima_.push_back(*std::min_element(open_.begin(), open_.end()));
    at_end_.push_back(open_.back());
    open_.clear();
    const uint64_t least = minima_.back();
    if (leaking_) {
      still_ = least > peak_ ? 0 : still_ + 1;
      peak_ = std::max(peak_, least);
      leaking_ = 2 * least > base_ + peak_ && still_ < kRules.windows;
    }
    size_t first = minima_.size() - 1;
    while (first > 0 && minima_[first - 1] < minima_[first]) --first;
    const bool grown = minima_.size() - first >= kRules.windows && least - minima_[first] >= kRules.least &&
                       at_end_.back() > at_end_[first];  // more births than ends
    if (leaking_ || !grown) return;
    leaking_ = true;
    base_ = minima_[first];
    peak_ = least;
    still_ = 0;
  }
  bool leaking() const { return leaking_; }

 private:
  std::vector<uint64_t> open_, minima_, at_end_;
  bool leaking_ = false;
  uint64_t base_ = 0, peak_ = 0, still_ = 0;
};

TEST(Growth, AgreesWithAReferenceOnRandomSeries) {
  size_t raised = 0, ended = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    std::mt19937_64 random(seed);
    Series series;
    series.sample(20);  // both begin there
    Reference reference;
    reference.sample(20);
    uint64_t live = 20;
    bool was = false;
    int drift = 0;
    for (size_t i = 0; i < 600; ++i) {
      if (random() % 60 == 0) drift = static_cast<int>(random() % 4) - 1;
      const int change = drift + static_cast<int>(random() % 3) - 1;
      live = static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(live) + change));
      if (random() % 200 == 0) live /= 2;
      series.sample(live);
      reference.sample(live);
      if (i % 5 == 4) {
        series.close();
        reference.close();
      }
      const bool leaks = series.growth.leak() != Growth::Leak::none;
      ASSERT_EQ(leaks, reference.leaking()) << "seed " << seed << ", sample " << i;
      raised += leaks && !was;
      ended += was && !leaks;
      was = leaks;
    }
  }
  EXPECT_GT(raised, 400u);
  EXPECT_GT(ended, 200u);
}

}  // namespace
}  // namespace loiter
