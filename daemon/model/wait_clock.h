// Tells since when a blocked thread is blocked, from what the scheduler keeps anyway (DESIGN.md section 2).
//
// `exec_start` of a thread that sleeps is the moment it last ran, on clock_task of the CPU it ran on. That
// clock lags behind the scheduler clock by the IRQ and steal time of that CPU so far. How far it lagged
// *then* lies between two censuses' readings of the lag; before the first one, between nothing and
// that reading. Hence a range, not a number.
//
// Owned by the model, one thread. Entirely passive: knows only the records it is given.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "bpf/records.h"

namespace loiter {

// A moment on CLOCK_MONOTONIC that is known to lie between two others.
struct MomentRange {
  int64_t earliest_ns = 0;  // negative: before CLOCK_MONOTONIC's zero, which only a wrong clock can be
  int64_t latest_ns = 0;
};

class WaitClock {
 public:
  // Takes the clocks of a census in; call it before wait_start for that census' records.
  void begin_pass(const loiter_census_mark& begin, const loiter_census_mark& end,
                  const std::vector<loiter_thread>& threads);

  // When a thread whose `exec_start` and `cpu` these are went to sleep. nullopt: this kernel does not tell.
  std::optional<MomentRange> wait_start(uint32_t cpu, uint64_t exec_start) const;

  // CLOCK_MONOTONIC minus the scheduler clock, the best estimate so far; nullopt before the first pass.
  std::optional<int64_t> offset_ns() const { return offset_; }

 private:
  // What one pass read of one CPU. All clocks here are clock_task.
  struct Sample {
    uint64_t first = 0;  // its first reading: whatever is not after that lagged by `lag` at most
    uint64_t settled =
        0;              // the reading that gave `lag`: whatever is not before that lagged by so much at least
    uint64_t lag = 0;   // the least of the pass
    uint64_t last = 0;  // its last reading, and the lag there
    uint64_t last_lag = 0;
  };
  void take_offset(const loiter_census_mark& mark);
  void take_lag(uint32_t cpu, const loiter_rq_clock& clock);

  std::vector<std::deque<Sample>> cpus_;    // by CPU: oldest first, at most kSamples
  std::vector<std::optional<Sample>> now_;  // by CPU: of the pass under way
  std::optional<int64_t> offset_;
  uint64_t offset_mono_ns_ = 0;
  int64_t end_mono_ns_ = 0;  // of the last pass
};

}  // namespace loiter
