// What detectors hold lengths and numbers against. All lengths in ns. A value.
#pragma once

#include <cstdint>

namespace loiter {

struct Thresholds {
  uint64_t stuck_ns = 30'000'000'000;     // blocked in a wait that must end
  uint64_t starved_ns = 30'000'000'000;   // runnable, and never ran
  uint64_t spin_ns = 30'000'000'000;      // on a CPU without one voluntary switch
  uint64_t unjoined_ns = 30'000'000'000;  // ended, and nobody joined it
  uint32_t unjoined_least = 8;            // fewer threads than this are told, and no warning
  // A leak is growth of the least number of live threads from window to window.
  uint64_t leak_window_ns = 120'000'000'000;
  uint32_t leak_windows = 5;
  uint32_t leak_least = 8;  // threads more than at the beginning
  // The limit on threads is reached within this time.
  uint64_t exhaustion_ns = 3'600'000'000'000;

  // All of them from the one that users give.
  static Thresholds of(uint64_t threshold_ns) {
    Thresholds made;
    made.stuck_ns = made.starved_ns = made.spin_ns = made.unjoined_ns = threshold_ns;
    made.leak_window_ns = 4 * threshold_ns;
    made.exhaustion_ns = 120 * threshold_ns;
    return made;
  }
};

}  // namespace loiter
