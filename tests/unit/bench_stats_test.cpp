// The statistics that the benches judge by, against distributions whose answers are known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/lib/stats.h"

namespace loiter::test {
namespace {

// Values as a bench gives them: mostly near `median`, with a long tail above it.
std::vector<double> skewed(size_t count, double median, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> distribution(std::log(median), 0.5);
  std::vector<double> values(count);
  for (double& value : values) value = distribution(random);
  return values;
}

TEST(BenchStats, TheMedianOfAnEvenNumberLiesBetweenTheMiddleTwo) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_DOUBLE_EQ(median({7}), 7);
}

TEST(BenchStats, QuantilesInterpolate) {
  EXPECT_DOUBLE_EQ(quantile({40, 10, 30, 20, 50}, 0), 10);
  EXPECT_DOUBLE_EQ(quantile({40, 10, 30, 20, 50}, 0.25), 20);
  EXPECT_DOUBLE_EQ(quantile({40, 10, 30, 20, 50}, 0.9), 46);
  EXPECT_DOUBLE_EQ(quantile({40, 10, 30, 20, 50}, 1), 50);
}

TEST(BenchStats, OneDisturbedValueDoesNotMoveTheMedian) {
  std::vector<double> values = skewed(101, 10, 1);
  const double before = median(values);
  *std::max_element(values.begin(), values.end()) = 1e9;
  EXPECT_DOUBLE_EQ(median(values), before);
}

// The claim of the interval is its coverage: 95 of 100 such intervals hold the true median.
TEST(BenchStats, TheIntervalHoldsTheTrueMedianAsOftenAsItSays) {
  int held = 0;
  constexpr int kTrials = 300;
  for (int trial = 0; trial < kTrials; ++trial) {
    const Interval interval = median_interval(skewed(25, 10, static_cast<uint64_t>(trial) + 1));
    held += interval.low <= 10 && 10 <= interval.high;
  }
  EXPECT_GE(held, kTrials * 92 / 100);
  EXPECT_LE(held, kTrials * 99 / 100);
}

TEST(BenchStats, MoreValuesGiveANarrowerInterval) {
  const Interval few = median_interval(skewed(10, 10, 1));
  const Interval many = median_interval(skewed(1000, 10, 1));
  EXPECT_LT(many.high - many.low, (few.high - few.low) / 4);
}

TEST(BenchStats, TooFewValuesGiveAllOfThemAsInterval) {
  const Interval interval = median_interval({5, 1, 3});
  EXPECT_DOUBLE_EQ(interval.low, 1);
  EXPECT_DOUBLE_EQ(interval.high, 5);
}

TEST(BenchStats, RatiosArePaired) {
  EXPECT_EQ(ratios({2, 9}, {4, 3}), (std::vector<double>{0.5, 3}));
}

// U = 25, its mean 12.5 and deviation 4.787: z = 2.507 with the correction for continuity.
TEST(BenchStats, RanksOfValuesThatAllLieAbove) {
  EXPECT_NEAR(chance_of_ranks({6, 7, 8, 9, 10}, {1, 2, 3, 4, 5}), 0.00609, 0.00001);
  EXPECT_GT(chance_of_ranks({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}), 0.99);
}

TEST(BenchStats, RanksOfEqualValuesSayNothing) {
  EXPECT_DOUBLE_EQ(chance_of_ranks({3, 3, 3}, {3, 3}), 1);
  EXPECT_GT(chance_of_ranks({1, 2, 2, 3}, {1, 2, 2, 3}), 0.5);
}

// The claim of the chance: from one distribution, one in twenty is below 0.05. A shift shows.
TEST(BenchStats, TheChanceIsAsOftenSmallAsItSays) {
  int small = 0, small_of_shifted = 0;
  constexpr int kTrials = 400;
  for (uint64_t trial = 0; trial < kTrials; ++trial) {
    const std::vector<double> some = skewed(20, 10, 2 * trial + 1);
    small += chance_of_ranks(some, skewed(20, 10, 2 * trial + 2)) < 0.05;
    small_of_shifted += chance_of_ranks(some, skewed(20, 4, 2 * trial + 2)) < 0.05;
  }
  EXPECT_GE(small, kTrials * 2 / 100);
  EXPECT_LE(small, kTrials * 8 / 100);
  EXPECT_GE(small_of_shifted, kTrials * 95 / 100);
}

TEST(BenchStats, AnIntervalAroundTheBoundIsUndecided) {
  EXPECT_EQ(judge_at_most({0.99, 1.005}, 1.01), Verdict::met);
  EXPECT_EQ(judge_at_most({0.99, 1.02}, 1.01), Verdict::undecided);
  EXPECT_EQ(judge_at_most({1.011, 1.02}, 1.01), Verdict::missed);
  EXPECT_EQ(judge_at_least({15, 20}, 15), Verdict::met);
  EXPECT_EQ(judge_at_least({14, 20}, 15), Verdict::undecided);
  EXPECT_EQ(judge_at_least({10, 14.9}, 15), Verdict::missed);
}

}  // namespace
}  // namespace loiter::test
