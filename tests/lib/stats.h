// Statistics of the benches: medians, the interval that a median lies in, and what that says of a bound.
//
// Pure functions, any thread; the same values give the same answer every time. Only the median and the order
// of values are used, since what disturbs a measurement only ever makes it longer.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace loiter::test {

// `share` from 0 to 1, interpolated between neighbours. `values` is not empty.
double quantile(std::vector<double> values, double share);
double median(std::vector<double> values);

struct Interval {
  double low = 0;
  double high = 0;
};

// Where the median lies with 95 % confidence: the percentile bootstrap. `values` is not empty. Fewer than
// kFewestForInterval cannot give that confidence, whatever they are: then it is from the least to the
// greatest.
Interval median_interval(const std::vector<double>& values);
constexpr size_t kFewestForInterval = 6;

// The quotients numerators[i] / denominators[i]: both have the same length, no denominator is 0.
std::vector<double> ratios(const std::vector<double>& numerators, const std::vector<double>& denominators);

// How likely values that rank as high as `values` among `others`, or higher, are where both come from the
// same distribution: Mann and Whitney's test, one-sided, by its normal approximation with corrections for
// ties and continuity. Of little use below some eight values each; neither is empty.
double chance_of_ranks(const std::vector<double>& values, const std::vector<double>& others);

enum class Verdict { met, missed, undecided, shown };  // shown: a figure without a goal
const char* to_string(Verdict verdict);

// Whether what lies in the interval is at most, or at least, the bound. An interval around it is undecided.
Verdict judge_at_most(const Interval& interval, double bound);
Verdict judge_at_least(const Interval& interval, double bound);

}  // namespace loiter::test
