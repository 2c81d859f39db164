// Since when a thread waits, from clocks of CPUs that lose time to interrupts and steal: by hand, and against
// thousands of random CPUs whose true history is known.
#include "daemon/model/wait_clock.h"
#include "tests/unit/units.h"

#include <gtest/gtest.h>

#include <random>

namespace loiter::test {
namespace {

constexpr int64_t kOffset = 5'000'000'000;  // CLOCK_MONOTONIC minus the scheduler clock

loiter_census_mark make_mark(uint64_t sched_now, uint64_t stale_ns = 0) {
  const uint64_t mono = static_cast<uint64_t>(static_cast<int64_t>(sched_now) + kOffset);
  return {.magic = LOITER_CENSUS_MAGIC,
          .cpu = 63,  // the reader's: not of those looked at
          .mono_ns = mono,
          .boot_ns = mono,
          .reader = {.clock = sched_now - stale_ns, .clock_task = sched_now - stale_ns}};
}

loiter_thread reading(uint32_t cpu, uint64_t clock, uint64_t clock_task) {
  loiter_thread thread{};
  thread.cpu = cpu;
  thread.rq = {.clock = clock, .clock_task = clock_task};
  return thread;
}

void pass_at(WaitClock& clock, uint64_t sched_now, const std::vector<loiter_thread>& threads) {
  clock.begin_pass(make_mark(sched_now), make_mark(sched_now + 1000), threads);
}

void expect_range(const std::optional<MomentRange>& range, int64_t earliest_sched, int64_t latest_sched) {
  ASSERT_TRUE(range);
  EXPECT_EQ(range->earliest_ns, earliest_sched + kOffset);
  EXPECT_EQ(range->latest_ns, latest_sched + kOffset);
}

TEST(WaitClock, KnowsNothingBeforeTheFirstPass) {
  WaitClock clock;
  EXPECT_FALSE(clock.offset_ns());
  EXPECT_FALSE(clock.wait_start(0, 100));
}

TEST(WaitClock, KnowsNothingOnAKernelThatDoesNotTell) {
  WaitClock clock;
  loiter_census_mark mark = make_mark(kSecond);
  mark.reader = {};
  clock.begin_pass(mark, mark, {reading(0, 0, 0)});
  EXPECT_FALSE(clock.offset_ns());
  EXPECT_FALSE(clock.wait_start(0, 100));
}

TEST(WaitClock, ALagOfNothingGivesTheMoment) {
  WaitClock clock;
  pass_at(clock, 10 * kSecond, {reading(0, 9 * kSecond, 9 * kSecond)});
  EXPECT_EQ(clock.offset_ns(), kOffset);
  expect_range(clock.wait_start(0, 3 * kSecond), 3'000'000'000, 3'000'000'000);
}

TEST(WaitClock, BeforeTheFirstPassTheLagLaysBetweenNothingAndAllOfIt) {
  WaitClock clock;
  pass_at(clock, 10 * kSecond, {reading(0, 9 * kSecond, 9 * kSecond - 700)});
  expect_range(clock.wait_start(0, 3 * kSecond), 3'000'000'000, 3'000'000'700);
}

TEST(WaitClock, AnIdleCpuWhoseClockStandsStillGivesTheMomentExactly) {
  WaitClock clock;
  for (uint64_t now : {10, 11, 12, 900}) {
    pass_at(clock, now * kSecond, {reading(0, 4 * kSecond, 4 * kSecond - 700)});
    expect_range(clock.wait_start(0, 4 * kSecond - 700), 4'000'000'000, 4'000'000'000);
  }
}

TEST(WaitClock, BetweenTwoPassesTheLagLiesBetweenTheirs) {
  WaitClock clock;
  pass_at(clock, 10 * kSecond, {reading(0, 10 * kSecond, 10 * kSecond - 700)});
  pass_at(clock, 11 * kSecond, {reading(0, 11 * kSecond, 11 * kSecond - 900)});
  const uint64_t exec_start = 10 * kSecond + 5000;
  expect_range(clock.wait_start(0, exec_start), 10'000'005'700, 10'000'005'900);
  pass_at(clock, 12 * kSecond, {reading(0, 12 * kSecond, 12 * kSecond - 5000)});
  expect_range(clock.wait_start(0, exec_start), 10'000'005'700, 10'000'005'900);
}

TEST(WaitClock, AWaitThatBeganWithinAPassMayLagAsMuchAsAtItsEnd) {
  WaitClock clock;
  pass_at(
      clock, 10 * kSecond,
      {reading(0, 10 * kSecond, 10 * kSecond - 700), reading(0, 10 * kSecond + 9000, 10 * kSecond + 8000)});
  expect_range(clock.wait_start(0, 10 * kSecond + 4000), 10'000'004'700, 10'000'005'000);
}

TEST(WaitClock, ATornReadingBesideAWholeOneDoesNoHarm) {
  WaitClock clock;
  // clock is of the update that goes on, clock_task still of the one four seconds before.
  pass_at(clock, 10 * kSecond,
          {reading(0, 6 * kSecond, 6 * kSecond - 700), reading(0, 10 * kSecond, 6 * kSecond - 700),
           reading(0, 10 * kSecond, 10 * kSecond - 800)});
  expect_range(clock.wait_start(0, 6 * kSecond - 700), 6'000'000'000, 6'000'000'000);
  expect_range(clock.wait_start(0, 5 * kSecond), 5'000'000'000, 5'000'000'700);
}

TEST(WaitClock, ATornReadingAloneIsSetRightByTheNextPass) {
  WaitClock clock;
  pass_at(clock, 10 * kSecond, {reading(0, 10 * kSecond, 6 * kSecond - 700)});
  pass_at(clock, 11 * kSecond, {reading(0, 11 * kSecond, 11 * kSecond - 900)});
  expect_range(clock.wait_start(0, 5 * kSecond), 5'000'000'000, 5'000'000'900);
}

TEST(WaitClock, CpusAreApart) {
  WaitClock clock;
  pass_at(clock, 10 * kSecond, {reading(0, 9 * kSecond, 9 * kSecond), reading(2, 9 * kSecond, 8 * kSecond)});
  expect_range(clock.wait_start(0, kSecond), 1'000'000'000, 1'000'000'000);
  expect_range(clock.wait_start(2, kSecond), 1'000'000'000, 2'000'000'000);
  EXPECT_FALSE(clock.wait_start(1, kSecond));
  EXPECT_FALSE(clock.wait_start(4'000'000'000, kSecond));
}

TEST(WaitClock, NonsenseIsNotTakenIn) {
  WaitClock clock;
  pass_at(clock, 10 * kSecond, {reading(0, 100, 200), reading(4'000'000'000, 9, 9)});
  EXPECT_FALSE(clock.wait_start(0, 50));
  EXPECT_FALSE(clock.wait_start(4'000'000'000, 9));
}

TEST(WaitClock, TheLeastStaleReadingOfTheReadersClockGivesTheOffset) {
  WaitClock clock;
  clock.begin_pass(make_mark(10 * kSecond, 3'000'000), make_mark(10 * kSecond + 100, 2'000'000), {});
  EXPECT_EQ(clock.offset_ns(), kOffset + 2'000'000);
  clock.begin_pass(make_mark(11 * kSecond, 4'000'000), make_mark(11 * kSecond + 100, 4'000'000), {});
  EXPECT_EQ(clock.offset_ns(), kOffset + 2'000'000);
  clock.begin_pass(make_mark(12 * kSecond, 10), make_mark(12 * kSecond + 100, 4'000'000), {});
  EXPECT_EQ(clock.offset_ns(), kOffset + 10);
}

// --- against the truth -------------------------------------------------------------------------------

// A CPU whose scheduler clock moves at updates only, and loses part of each step to interrupts and steal:
// never all of a step, so that a moment has one clock_task.
struct SimulatedCpu {
  uint64_t clock = 1000;
  uint64_t clock_task = 1000;
  uint64_t previous_task = 1000;  // before the last update

  void update(uint64_t now, double eaten) {
    const uint64_t step = now - clock;
    if (step == 0) return;
    previous_task = clock_task;
    clock = now;
    clock_task += step - std::min(static_cast<uint64_t>(static_cast<double>(step) * eaten), step - 1);
  }
};

struct KnownWait {
  uint32_t cpu;
  uint64_t exec_start;
  double began_sched;
};

class SimulatedCpus {
 public:
  SimulatedCpus(uint64_t seed, double ppm, uint64_t stale_ns)
      : random_(seed), slew_(ppm / 1e6 * (uniform() * 2 - 1)), stale_ns_(stale_ns), cpus_(2) {
    for (double& share : eaten_) share = uniform() < 0.3 ? 0 : uniform();
  }

  double mono(double sched) const { return sched * (1 + slew_) + static_cast<double>(kOffset); }

  // A stretch of time in which CPUs tick, idle for long, and threads go to sleep.
  void run(std::vector<KnownWait>& waits) {
    for (uint64_t i = below(30); i > 0; --i) {
      const uint32_t cpu = static_cast<uint32_t>(below(cpus_.size()));
      move(cpu, uniform() < 0.1 ? below(60 * kSecond) : below(4'000'000));
      if (uniform() < 0.4) sleep_on(cpu, waits);
    }
  }

  // The first or second reading of each CPU is whole; of the others some are torn. Time goes on between them,
  // and threads go to sleep.
  void take_pass(WaitClock& clock, std::vector<KnownWait>& waits) {
    const loiter_census_mark begin = mark();
    std::vector<loiter_thread> threads;
    for (uint32_t cpu = 0; cpu < cpus_.size(); ++cpu) {
      if (uniform() < 0.2) threads.push_back(reading(cpu, cpus_[cpu].clock, cpus_[cpu].previous_task));
      threads.push_back(reading(cpu, cpus_[cpu].clock, cpus_[cpu].clock_task));
    }
    for (uint64_t i = below(12); i > 0; --i) {
      const uint32_t cpu = static_cast<uint32_t>(below(cpus_.size()));
      if (uniform() < 0.5) move(cpu, below(500'000));
      if (uniform() < 0.2) sleep_on(cpu, waits);
      if (uniform() < 0.3) continue;
      const bool torn = uniform() < 0.1;
      threads.push_back(
          reading(cpu, cpus_[cpu].clock, torn ? cpus_[cpu].previous_task : cpus_[cpu].clock_task));
    }
    clock.begin_pass(begin, mark(), threads);
  }

 private:
  void sleep_on(uint32_t cpu, std::vector<KnownWait>& waits) {
    waits.push_back({cpu, cpus_[cpu].clock_task, static_cast<double>(cpus_[cpu].clock)});
  }
  double uniform() { return std::uniform_real_distribution<>(0, 1)(random_); }
  uint64_t below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random_); }
  void move(uint32_t cpu, uint64_t ns) {
    now_ += ns + 1;
    cpus_[cpu].update(now_, uniform() < 0.2 ? uniform() : eaten_[cpu]);
  }
  loiter_census_mark mark() {
    now_ += 100;
    const uint64_t mono_ns = static_cast<uint64_t>(mono(static_cast<double>(now_)));
    const uint64_t seen = now_ - (stale_ns_ ? below(stale_ns_) : 0);
    return {.magic = LOITER_CENSUS_MAGIC,
            .cpu = 63,
            .mono_ns = mono_ns,
            .boot_ns = mono_ns,
            .reader = {.clock = seen, .clock_task = seen}};
  }

  std::mt19937_64 random_;
  uint64_t now_ = 100 * kSecond;
  double slew_;  // how much faster CLOCK_MONOTONIC runs
  uint64_t stale_ns_;
  std::vector<SimulatedCpu> cpus_;
  double eaten_[2] = {};

 public:
  double age_of(const KnownWait& wait) const { return static_cast<double>(now_) - wait.began_sched; }
};

// A wait is dated by the first pass after it began, as the model does it. Then what the range may be off by
// is the staleness of the offset, and 500 ppm of the age: the slew of CLOCK_MONOTONIC since.
void check_history(uint64_t seed, double ppm, uint64_t stale_ns) {
  SimulatedCpus cpus(seed, ppm, stale_ns);
  WaitClock clock;
  for (int pass = 0; pass < 12; ++pass) {
    std::vector<KnownWait> waits;
    cpus.run(waits);
    cpus.take_pass(clock, waits);
    for (const KnownWait& wait : waits) {
      const auto range = clock.wait_start(wait.cpu, wait.exec_start);
      ASSERT_TRUE(range);
      ASSERT_LE(range->earliest_ns, range->latest_ns);
      const double truth = cpus.mono(wait.began_sched);
      const double drift = ppm / 1e6 * cpus.age_of(wait) + 2;  // and the rounding of doubles
      ASSERT_LE(static_cast<double>(range->earliest_ns), truth + drift + static_cast<double>(stale_ns))
          << pass;
      ASSERT_GE(static_cast<double>(range->latest_ns),
                truth - drift - static_cast<double>(stale_ns) * (ppm > 0))
          << pass;
    }
  }
}

class WaitClockTruth : public ::testing::TestWithParam<std::pair<double, uint64_t>> {};

TEST_P(WaitClockTruth, LiesWithinTheRange) {
  for (uint64_t seed = 1; seed <= 5000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    check_history(seed, GetParam().first, GetParam().second);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(SlewAndStaleness, WaitClockTruth,
                         ::testing::Values(std::pair(0.0, 0), std::pair(0.0, 4'000'000), std::pair(500.0, 0),
                                           std::pair(500.0, 10'000'000)));

}  // namespace
}  // namespace loiter::test
