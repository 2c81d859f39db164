#include "daemon/detect/growth.h"

#include <algorithm>

namespace loiter {
namespace {

constexpr uint64_t kCensusesInWindow = 4;
constexpr double kMinuteNs = 60e9;

double slope(uint64_t from, uint64_t from_ns, uint64_t to, uint64_t to_ns) {
  if (to <= from || to_ns <= from_ns) return 0;
  return static_cast<double>(to - from) * kMinuteNs / static_cast<double>(to_ns - from_ns);
}

bool more_born_than_ended(const GrowthWindow& first, const GrowthWindow& last) {
  const auto gain = [](uint64_t before, uint64_t after) { return static_cast<int64_t>(after - before); };
  return gain(first.births, last.births) > gain(first.ends, last.ends);
}

// At least half of what came has come to rest.
bool came_to_rest(const GrowthWindow& first, const GrowthWindow& last) {
  return last.resting > first.resting && 2 * (last.resting - first.resting) >= last.least - first.least;
}

}  // namespace

GrowthRules GrowthRules::of(const Thresholds& thresholds, uint64_t census_interval_ns) {
  return {.window_ns = std::max(thresholds.leak_window_ns, kCensusesInWindow * census_interval_ns),
          .windows = std::max(2U, thresholds.leak_windows),
          .least = std::max(1U, thresholds.leak_least)};
}

void Growth::sample(uint64_t live, uint64_t births, uint64_t ends) {
  now_ = live;
  births_ = births;
  ends_ = ends;
  open_least_ = sampled_ ? std::min(open_least_, live) : live;
  sampled_ = true;
  if (leak_ != Leak::none && has_shrunk(live)) leak_ = Leak::none;
}

void Growth::close(const GrowthRules& rules, uint64_t resting, uint64_t mono_ns, uint64_t boot_ns) {
  const GrowthWindow before = last_;
  last_ = {.least = open_least_,
           .resting = resting,
           .births = births_,
           .ends = ends_,
           .end_mono_ns = mono_ns,
           .end_boot_ns = boot_ns};
  count_rise(before);
  lowest_ = closed_ ? std::min(lowest_, last_.least) : last_.least;
  if (closed_ < UINT32_MAX) ++closed_;
  std::shift_left(recent_.begin(), recent_.end(), 1);
  std::shift_left(recent_mono_ns_.begin(), recent_mono_ns_.end(), 1);
  recent_.back() = last_.least;
  recent_mono_ns_.back() = mono_ns;
  if (rises_ >= kRecent - 1) steady_ = true;
  if (last_.least < before.least || !(per_minute() > 0)) steady_ = false;
  sampled_ = false;
  if (leak_ != Leak::none) follow_leak(rules);
  judge(rules);
}

void Growth::count_rise(const GrowthWindow& before) {
  if (closed_ && last_.least > before.least) {
    if (rises_++ == 0) run_first_ = before;
  } else {
    rises_ = 0;
    run_first_ = last_;
  }
}

void Growth::judge(const GrowthRules& rules) {
  if (leak_ == Leak::resting || rises_ + 1 < rules.windows) return;
  const bool grown = last_.least - run_first_.least >= rules.least && more_born_than_ended(run_first_, last_);
  const bool rests = came_to_rest(run_first_, last_);
  const bool patient = rises_ + 1 >= kPatience * rules.windows;
  if (!grown || !(rests || (patient && leak_ == Leak::none))) return;
  leak_ = rests ? Leak::resting : Leak::working;
  leak_first_ = run_first_;
  leak_windows_ = rises_ + 1;
  peak_ = last_.least;
  flat_ = 0;
}

// It ends where it has shrunk back, or has not grown for as long as it took to be told.
void Growth::follow_leak(const GrowthRules& rules) {
  ++leak_windows_;
  flat_ = last_.least > peak_ ? 0 : flat_ + 1;
  peak_ = std::max(peak_, last_.least);
  if (has_shrunk(last_.least) || flat_ >= rules.windows) leak_ = Leak::none;
}

bool Growth::has_shrunk(uint64_t threads) const {
  return threads <= leak_first_.least + (peak_ - leak_first_.least) / 2;
}

double Growth::leak_per_minute() const {
  return slope(leak_first_.least, leak_first_.end_mono_ns, last_.least, last_.end_mono_ns);
}

double Growth::per_minute() const {
  if (!steady_) return 0;
  uint64_t greatest = 0;
  for (size_t i = 1; i < kRecent; ++i) greatest = std::max(greatest, recent_[i] - recent_[i - 1]);
  const double all =
      slope(recent_.front() + greatest, recent_mono_ns_.front(), recent_.back(), recent_mono_ns_.back());
  return all * (kRecent - 1) / (kRecent - 2);
}

}  // namespace loiter
