#include "tests/lib/stats.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

namespace loiter::test {

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], at - static_cast<double>(below));
}

double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

Interval median_interval(const std::vector<double>& values) {
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  if (values.size() < kFewestForInterval) return {*least, *greatest};
  constexpr size_t kResamples = 2000;
  std::mt19937_64 random(1);
  std::vector<double> medians, resample(values.size());
  medians.reserve(kResamples);
  for (size_t i = 0; i < kResamples; ++i) {
    for (double& value : resample) value = values[random() % values.size()];
    medians.push_back(median(resample));
  }
  return {quantile(medians, 0.025), quantile(medians, 0.975)};
}

std::vector<double> ratios(const std::vector<double>& numerators, const std::vector<double>& denominators) {
  std::vector<double> quotients(numerators.size());
  std::transform(numerators.begin(), numerators.end(), denominators.begin(), quotients.begin(),
                 std::divides<>());
  return quotients;
}

double chance_of_ranks(const std::vector<double>& values, const std::vector<double>& others) {
  std::vector<double> all(values);
  all.insert(all.end(), others.begin(), others.end());
  std::sort(all.begin(), all.end());
  const double n = static_cast<double>(values.size()), m = static_cast<double>(others.size()), both = n + m;
  double wins = 0,
         ties = 0;  // pairs in which the value is greater, equal ones half; the sum over ties of t³ − t
  for (double value : values)
    for (double other : others) wins += value > other ? 1 : value == other ? 0.5 : 0;
  for (auto at = all.begin(); at != all.end();) {
    const auto end = std::upper_bound(at, all.end(), *at);
    const double tied = static_cast<double>(end - at);
    ties += tied * tied * tied - tied;
    at = end;
  }
  const double variance = n * m / 12 * (both + 1 - ties / (both * (both - 1)));
  if (variance <= 0) return 1;  // all are equal
  return 0.5 * std::erfc((wins - n * m / 2 - 0.5) / std::sqrt(2 * variance));
}

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::met:
      return "MET";
    case Verdict::missed:
      return "MISSED";
    case Verdict::undecided:
      return "UNDECIDED";
    case Verdict::shown:
      return "";
  }
  return "";
}

Verdict judge_at_most(const Interval& interval, double bound) {
  if (interval.high <= bound) return Verdict::met;
  return interval.low > bound ? Verdict::missed : Verdict::undecided;
}

Verdict judge_at_least(const Interval& interval, double bound) {
  if (interval.low >= bound) return Verdict::met;
  return interval.high < bound ? Verdict::missed : Verdict::undecided;
}

}  // namespace loiter::test
