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
