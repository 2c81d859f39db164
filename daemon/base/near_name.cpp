#include "daemon/base/near_name.h"

#include <algorithm>
#include <array>

namespace loiter {
namespace {

constexpr size_t kLongest = 40;  // no name is longer
constexpr size_t kFar = 1000;
constexpr size_t kMostLetters = 2;

// The optimal string alignment distance.
size_t distance(std::string_view a, std::string_view b) {
  if (a.size() > kLongest || b.size() > kLongest) return kFar;
  std::array<std::array<size_t, kLongest + 1>, kLongest + 1> steps{};
  for (size_t i = 0; i <= a.size(); ++i) steps[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) steps[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = steps[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      steps[i][j] = std::min({steps[i - 1][j] + 1, steps[i][j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        steps[i][j] = std::min(steps[i][j], steps[i - 2][j - 2] + 1);
    }
  return steps[a.size()][b.size()];
}

}  // namespace

std::string near_name(std::string_view text, const std::vector<std::string>& names) {
  size_t least = kMostLetters + 1;
  std::string nearest;
  for (const std::string& name : names)
    if (const size_t letters = distance(text, name); letters < least && letters * 2 < name.size()) {
      least = letters;
      nearest = name;
    }
  return nearest;
}

}  // namespace loiter
