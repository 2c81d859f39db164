// How a number of threads grows: the least of it in each of successive windows. A number that comes back, if
// only once in a window, has not grown; what begins with a jump and stays there has not grown since.
//
// A value of a fixed size; owned by History, read by detectors on the same thread. Entirely passive: time is
// an argument.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "daemon/detect/thresholds.h"

namespace loiter {

struct GrowthRules {
  uint64_t window_ns = 0;
  uint32_t windows = 0;  // so many, each with a higher least than the one before
  uint32_t least = 0;    // threads more in the last one than in the first
  // A window holds several censuses, or its least would be chance.
  static GrowthRules of(const Thresholds& thresholds, uint64_t census_interval_ns);
};

struct GrowthWindow {
  uint64_t least = 0;    // threads, at the moment with the fewest
  uint64_t resting = 0;  // of those at its end: they did nothing in all of it, or wake by the clock (History)
  uint64_t births = 0;   // since ever, at its end
  uint64_t ends = 0;     // likewise
  uint64_t end_mono_ns = 0;
  uint64_t end_boot_ns = 0;
};

class Growth {
 public:
  enum class Leak : uint8_t {
    none,
    resting,  // what came does nothing any more
    working,  // it works: more load, as it seems, though it has never come back for very long
  };
  // Threads that work may be a pool that follows its load: only after so many times the windows is it told.
  static constexpr uint32_t kPatience = 3;

  // As one census has it. `births` and `ends` count up; they may be set right, and so go back.
  void sample(uint64_t live, uint64_t births, uint64_t ends);
  // The window ends with the last sample.
  void close(const GrowthRules& rules, uint64_t resting, uint64_t mono_ns, uint64_t boot_ns);
  // Nobody counted for a part of the window: its least is not known. It begins anew with the last sample.
  void reopen() {
    open_least_ = now_;
    sampled_ = true;
  }

  uint64_t now() const { return now_; }
  // The least of all windows so far; what it has now where none has ended.
  uint64_t lowest() const { return closed_ ? lowest_ : open_least_; }

  Leak leak() const { return leak_; }
  // Of a leak: from its first window to its last, and how many that are.
  const GrowthWindow& first() const { return leak_first_; }
  const GrowthWindow& last() const { return last_; }
  uint32_t leak_windows() const { return leak_windows_; }
  double leak_per_minute() const;

  // Of late, in threads a minute: what the last windows rose by, without the greatest step, for a jump is no
  // course. 0 unless it has risen in three windows in a row, and has since neither fallen in one nor stood
  // still in two.
  double per_minute() const;
  // A window long, or since the last one ended, it has been higher by `threads` than at the least moment of
  // the last window.
  bool jumped(uint64_t threads) const { return closed_ && now_ >= last_.least + threads && threads; }
  // It rose in the last window.
  bool rose() const { return rises_ > 0; }

 private:
  static constexpr size_t kRecent = 4;
  void count_rise(const GrowthWindow& before);
  void judge(const GrowthRules& rules);
  void follow_leak(const GrowthRules& rules);
  bool has_shrunk(uint64_t threads) const;

  uint64_t now_ = 0;
  uint64_t births_ = 0;
  uint64_t ends_ = 0;
  uint64_t open_least_ = 0;
  uint64_t lowest_ = 0;
  uint64_t peak_ = 0;     // highest least of the leak
  bool sampled_ = false;  // in the window that is open
  bool steady_ = false;   // per_minute() tells
  Leak leak_ = Leak::none;
  uint32_t closed_ = 0;  // windows
  uint32_t rises_ = 0;   // windows in a row that were higher than the one before
  uint32_t flat_ = 0;    // windows since the leak reached its peak
  uint32_t leak_windows_ = 0;
  GrowthWindow run_first_;  // the one before the first of those rises
  GrowthWindow leak_first_;
  GrowthWindow last_;
  std::array<uint64_t, kRecent> recent_{};          // their leasts, the last one at the end
  std::array<uint64_t, kRecent> recent_mono_ns_{};  // their ends
};

}  // namespace loiter
