// The bench's table, a line for each figure: what was measured, the bound, and MET, MISSED or UNDECIDED.
//
// Owned by main, used by one thread. Lines are printed as they come.
#pragma once

#include <string>

#include "tests/lib/stats.h"

namespace loiter::bench {

using test::Verdict;

class Report {
 public:
  void section(const std::string& title);
  // One that prints figures of its own making.
  void section_without_table(const std::string& title);

  // A figure with a goal.
  void goal(const std::string& name, const std::string& measured, const std::string& bound, Verdict verdict);

  // A figure that goes with it.
  void figure(const std::string& name, const std::string& measured);

  // Says how many goals were met; true where none was missed.
  bool summary() const;

 private:
  int met_ = 0, missed_ = 0, undecided_ = 0;
};

// "11.6 ms", "380 ns", "1.20 s".
std::string duration_text(double ns);

std::string megabytes_text(double bytes);

// "1.53 [1.50 .. 1.55]": the median and its 95 % interval.
std::string ratio_text(const std::vector<double>& ratios);

// The same of ratios near one, as what they differ from it: "+0.12 % [-0.20 .. +0.41]".
std::string percent_text(const std::vector<double>& ratios);

}  // namespace loiter::bench
