#include "tests/bench/report.h"

#include <spdlog/fmt/fmt.h>

#include <cstdio>

namespace loiter::bench {
namespace {

void line(const std::string& name, const std::string& measured, const std::string& bound,
          const std::string& verdict) {
  std::string text = fmt::format("  {:<50} | {:<42} | {:<9} | {}", name, measured, bound, verdict);
  text.erase(text.find_last_not_of(" ") + 1);
  std::puts(text.c_str());
  std::fflush(stdout);
}

}  // namespace

void Report::section_without_table(const std::string& title) {
  std::printf("\n%s\n", title.c_str());
  std::fflush(stdout);
}

void Report::section(const std::string& title) {
  section_without_table(title);
  line("goal", "measured: median [95 % interval]", "bound", "verdict");
}

void Report::goal(const std::string& name, const std::string& measured, const std::string& bound,
                  Verdict verdict) {
  met_ += verdict == Verdict::met;
  missed_ += verdict == Verdict::missed;
  undecided_ += verdict == Verdict::undecided;
  line(name, measured, bound, test::to_string(verdict));
}

void Report::figure(const std::string& name, const std::string& measured) {
  line("  " + name, measured, "", "");
}

bool Report::summary() const {
  std::printf("\n%d goals: %d MET, %d MISSED, %d UNDECIDED\n", met_ + missed_ + undecided_, met_, missed_,
              undecided_);
  return missed_ == 0;
}

std::string duration_text(double ns) {
  if (ns < 10e3) return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6) return fmt::format("{:.1f} us", ns / 1e3);
  if (ns < 10e6) return fmt::format("{:.2f} ms", ns / 1e6);
  if (ns < 1e9) return fmt::format("{:.1f} ms", ns / 1e6);
  return fmt::format("{:.2f} s", ns / 1e9);
}

std::string megabytes_text(double bytes) {
  return fmt::format("{:.1f} MB", bytes / 1e6);
}

std::string ratio_text(const std::vector<double>& ratios) {
  const auto [low, high] = test::median_interval(ratios);
  return fmt::format("{:.2f} [{:.2f} .. {:.2f}]", test::median(ratios), low, high);
}

std::string percent_text(const std::vector<double>& ratios) {
  const auto [low, high] = test::median_interval(ratios);
  const auto percent = [](double ratio) { return (ratio - 1) * 100; };
  return fmt::format("{:+.2f} % [{:+.2f} .. {:+.2f}]", percent(test::median(ratios)), percent(low),
                     percent(high));
}

}  // namespace loiter::bench
