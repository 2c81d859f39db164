#include "daemon/model/wait_clock.h"

#include <algorithm>

namespace loiter {
namespace {

// Every wait is dated by the first census that sees it, so two samples would do; a few more serve when
// passes fail.
constexpr size_t kSamples = 8;

// How far CLOCK_MONOTONIC can leave the scheduler clock behind while NTP slews it: 500 ppm
// (kernel/time/ntp.c, MAXFREQ). Twice that is allowed for, so that a reading which is stale besides is
// believed in the end: else the estimate would stay behind for ever.
constexpr uint64_t kSlewPerSecondNs = 1'000'000;

constexpr uint32_t kMaxCpus = 8192;  // CONFIG_NR_CPUS of the largest kernels; bounds the table

}  // namespace

// rq->clock is at most "now", so mono - clock is never below the true offset: the least of many is the
// best. The clock was moved when the reader came onto its CPU or at a tick since, microseconds to 4 ms ago.
void WaitClock::take_offset(const loiter_census_mark& mark) {
  if (mark.reader.clock == 0) return;
  int64_t offset = static_cast<int64_t>(mark.mono_ns) - static_cast<int64_t>(mark.reader.clock);
  if (offset_) {
    uint64_t age = mark.mono_ns > offset_mono_ns_ ? mark.mono_ns - offset_mono_ns_ : 0;
    int64_t allowed = static_cast<int64_t>(age / 1000 * kSlewPerSecondNs / 1'000'000);
    if (offset > *offset_ + allowed) return;
  }
  offset_ = offset;
  offset_mono_ns_ = mark.mono_ns;
}

// The kernel moves clock first and clock_task right after: read in between, the lag seems too large by
// up to the time since the last update. It can never seem too small, and it only grows: so the least of a
// pass is right for the pass' beginning, and its last for its end.
void WaitClock::take_lag(uint32_t cpu, const loiter_rq_clock& clock) {
  if (cpu >= kMaxCpus || clock.clock < clock.clock_task || clock.clock == 0) return;
  if (cpu >= now_.size()) now_.resize(cpu + 1);
  uint64_t at = clock.clock_task;
  uint64_t lag = clock.clock - at;
  std::optional<Sample>& now = now_[cpu];
  if (!now) now = Sample{.first = at, .settled = at, .lag = lag, .last = at, .last_lag = lag};
  if (lag < now->lag) {
    now->lag = lag;
    now->settled = at;
  }
  if (at > now->last || lag < now->last_lag) now->last_lag = lag;
  now->last = std::max(now->last, at);
}

void WaitClock::begin_pass(const loiter_census_mark& begin, const loiter_census_mark& end,
                           const std::vector<loiter_thread>& threads) {
  take_offset(begin);
  take_offset(end);
  end_mono_ns_ = static_cast<int64_t>(end.mono_ns);
  std::fill(now_.begin(), now_.end(), std::nullopt);
  take_lag(begin.cpu, begin.reader);
  for (const loiter_thread& thread : threads) take_lag(thread.cpu, thread.rq);
  if (cpus_.size() < now_.size()) cpus_.resize(now_.size());
  for (size_t cpu = 0; cpu < now_.size(); ++cpu) {
    if (!now_[cpu]) continue;
    std::deque<Sample>& samples = cpus_[cpu];
    // An earlier reading above this one was torn.
    for (Sample& sample : samples) {
      sample.lag = std::min(sample.lag, now_[cpu]->lag);
      sample.last_lag = std::min(sample.last_lag, now_[cpu]->lag);
    }
    samples.push_back(*now_[cpu]);
    if (samples.size() > kSamples) samples.pop_front();
  }
}

std::optional<MomentRange> WaitClock::wait_start(uint32_t cpu, uint64_t exec_start) const {
  if (!offset_ || exec_start == 0 || cpu >= cpus_.size() || cpus_[cpu].empty()) return std::nullopt;
  uint64_t least = 0;  // at boot a CPU has lost nothing yet
  std::optional<uint64_t> most;
  for (const Sample& sample : cpus_[cpu]) {
    if (sample.settled <= exec_start) least = sample.lag;
    if (sample.last < exec_start) continue;
    most = std::max(least, exec_start <= sample.first ? sample.lag : sample.last_lag);
    break;
  }
  auto at = [&](uint64_t lag) { return static_cast<int64_t>(exec_start + lag) + *offset_; };
  // After the last reading of its CPU: it has only just begun, while the pass went on.
  return MomentRange{at(least), most ? at(*most) : std::max(at(least), end_mono_ns_)};
}

}  // namespace loiter
