// The model against thousands of random histories of a host whose truth is known: whatever was lost, late or
// out of order, after a quiet census its picture is the truth; and where nothing is lost, after every census.
#include <gtest/gtest.h>

#include <ostream>
#include <set>
#include <utility>

#include "tests/unit/simulated_host.h"

namespace loiter::test {
namespace {

using Task = SimulatedHost::Task;

void apply_all(HostModel& model, const std::vector<Event>& events) {
  for (const Event& event : events) apply_to(model, event);
}

// What must hold of any snapshot.
void expect_sound(const Snapshot& snapshot, const HostModel::Limits& limits) {
  size_t threads = 0;
  std::set<uint32_t> tids;
  uint32_t last_pid = 0;
  for (const ProcessView& process : snapshot.processes) {
    EXPECT_GT(process.key.tid, last_pid);
    last_pid = process.key.tid;
    EXPECT_FALSE(process.threads.empty()) << process.key.tid;
    for (const ThreadView& thread : process.threads) {
      EXPECT_TRUE(tids.insert(thread.key.tid).second) << thread.key.tid << " is there twice";
      for (const EndedThread& ended : snapshot.ended) EXPECT_FALSE(ended.key == thread.key);
    }
    threads += process.threads.size();
  }
  EXPECT_EQ(threads, snapshot.thread_count);
  EXPECT_LE(snapshot.thread_count, limits.max_threads);
  EXPECT_LE(snapshot.ended.size(), limits.max_ended);
  EXPECT_LE(snapshot.ended_processes.size(), limits.max_ended);
}

void expect_same(const ThreadView& seen, const Task& truth) {
  EXPECT_EQ(seen.key.start_boot_ns, truth.id.start_boot_ns);
  EXPECT_EQ(seen.name.view(), truth.name);
  EXPECT_EQ(seen.cpu_ns, truth.switches);
  EXPECT_EQ(seen.voluntary_switches, truth.switches);
  EXPECT_EQ(seen.state == TaskState::zombie, truth.ended);
  const bool known = truth.birth_delivered && !truth.is_leader();
  EXPECT_EQ(seen.creator, known ? truth.creator : TaskKey{});
}

void expect_truth(const Snapshot& snapshot, const SimulatedHost& host) {
  EXPECT_EQ(snapshot.thread_count, host.tasks().size());
  std::set<uint32_t> pids;
  for (const auto& [tid, truth] : host.tasks()) {
    SCOPED_TRACE("tid " + std::to_string(tid));
    pids.insert(truth.id.tgid);
    const ProcessView* process = snapshot.find(truth.id.tgid);
    const ThreadView* seen = thread_in(snapshot, tid);
    ASSERT_TRUE(process && seen);
    EXPECT_EQ(snapshot.find_thread(tid), process);
    expect_same(*seen, truth);
    if (!truth.is_leader()) continue;
    EXPECT_EQ(process->key.start_boot_ns, truth.id.start_boot_ns);
    EXPECT_EQ(process->parent_pid, truth.parent_pid);
    EXPECT_EQ(process->comm.view(), truth.name);
  }
  EXPECT_EQ(snapshot.processes.size(), pids.size());
}

// Where no event is lost: who has been told to be born and not to have ended is there, by the right name.
// Those whose birth is not told yet, or whose end was but who are still visible, may be.
void expect_told_truth(const Snapshot& snapshot, const SimulatedHost& host, bool windows) {
  for (const auto& [tid, truth] : host.tasks()) {
    if (!truth.told || truth.ended) continue;
    const ThreadView* seen = thread_in(snapshot, tid);
    ASSERT_TRUE(seen) << tid;
    EXPECT_EQ(seen->key.start_boot_ns, truth.id.start_boot_ns) << tid;
    EXPECT_EQ(seen->name.view(), truth.name) << tid;
  }
  for (const ProcessView& process : snapshot.processes)
    for (const ThreadView& seen : process.threads) {
      auto truth = host.tasks().find(seen.key.tid);
      const bool there =
          truth != host.tasks().end() && truth->second.id.start_boot_ns == seen.key.start_boot_ns;
      // That a leader is reaped, or a thread that has ended not visible any more, is told by no event.
      EXPECT_TRUE(there || windows || seen.key.tid == process.key.tid) << seen.key.tid << " is not there";
    }
}

// As the collector takes them (Collector::take_census). Returns how many threads were told in short.
class Censuses {
 public:
  Censuses(SimulatedHost& host, HostModel& model) : host_(host), model_(model) {}

  void take(unsigned steps, size_t most_in_flight) {
    bool is_told = std::exchange(lost_, host_.lost()) == lost_;
    is_told = !model_.take_mistold() && is_told;
    pass(steps, most_in_flight, first_ || !is_told);
    first_ = false;
    if (!model_.doubts()) return;
    ++doubted;
    pass(steps, most_in_flight, true);
    EXPECT_FALSE(model_.doubts());
  }
  size_t still = 0;
  size_t doubted = 0;

 private:
  void pass(unsigned steps, size_t most_in_flight, bool full) {
    const Census census = host_.census(steps, full);
    still += census.still.size();
    apply_all(model_, host_.drain(host_.random(most_in_flight + 1)));
    model_.reconcile(census);
  }
  SimulatedHost& host_;
  HostModel& model_;
  size_t lost_ = 0;
  bool first_ = true;
};

struct Trial {
  const char* what;
  SimulatedHost::Conditions conditions;
  HostModel::Limits limits;
  size_t most_in_flight;
  unsigned histories;
  friend void PrintTo(const Trial& trial, std::ostream* to) { *to << trial.what; }
};

struct Shorts {
  size_t still = 0;
  size_t doubted = 0;
};

Shorts run_history(const Trial& trial, uint64_t seed) {
  SimulatedHost host(seed, trial.conditions);
  HostModel model(trial.limits, no_details);
  Censuses censuses(host, model);
  const uint64_t count = 1 + host.random(8);
  for (uint64_t i = 0; i < count; ++i) {
    for (uint64_t steps = host.random(host.chance(0.5) ? 20 : 3); steps > 0; --steps) host.step();
    if (host.chance(0.5)) apply_all(model, host.drain(host.random(trial.most_in_flight + 1)));
    censuses.take(static_cast<unsigned>(host.random(3)), trial.most_in_flight);
    const auto snapshot = model.publish({});
    expect_sound(*snapshot, trial.limits);
    // An event needs a thread to apply to, which the first census gives.
    if (i > 0 && trial.conditions.loss == 0 && trial.most_in_flight == 0)
      expect_told_truth(*snapshot, host, trial.conditions.windows);
  }
  host.settle();
  if (host.chance(0.5)) apply_all(model, host.drain());
  censuses.take(0, 0);
  // What was late by then may have overwritten a name that only the next one sets right.
  if (trial.most_in_flight > 0) censuses.take(0, 0);
  const auto snapshot = model.publish({});
  expect_sound(*snapshot, trial.limits);
  expect_truth(*snapshot, host);
  return {censuses.still, censuses.doubted};
}

const HostModel::Limits kWide{.max_threads = 1000, .max_ended = 1000, .keep_ended_ns = 1'000'000'000};
const HostModel::Limits kHurried{.max_threads = 1000, .max_ended = 1000, .keep_ended_ns = 1000};
const HostModel::Limits kForgetful{.max_threads = 1000, .max_ended = 2, .keep_ended_ns = 1'000'000'000};
const HostModel::Limits kNoLog{.max_threads = 1000, .max_ended = 0, .keep_ended_ns = 0};

class HostHistory : public ::testing::TestWithParam<Trial> {};

TEST_P(HostHistory, AfterAQuietCensusThePictureIsTheTruth) {
  Shorts all;
  for (uint64_t seed = 1; seed <= GetParam().histories; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Shorts now = run_history(GetParam(), seed);
    if (HasFailure()) return;
    all.still += now.still;
    all.doubted += now.doubted;
  }
  EXPECT_GT(all.still, 0u);
  RecordProperty("still", static_cast<int>(all.still));
  RecordProperty("doubted", static_cast<int>(all.doubted));
}

INSTANTIATE_TEST_SUITE_P(
    All, HostHistory,
    ::testing::Values(Trial{"NothingLost", {}, kWide, 0, 6000},
                      Trial{"NoWindows", {.windows = false}, kWide, 0, 3000},
                      Trial{"Late", {}, kWide, 6, 6000}, Trial{"ATenthLost", {.loss = 0.1}, kWide, 0, 4000},
                      Trial{"HalfLostLateAndSwapped", {.loss = 0.5, .swaps = 0.2}, kWide, 6, 6000},
                      Trial{"SwappedAndLate", {.swaps = 0.3}, kWide, 8, 6000},
                      Trial{"AllLost", {.loss = 1}, kWide, 0, 1000},
                      Trial{"FewPids", {.loss = 0.2, .max_pid = 8, .max_live = 7}, kWide, 3, 6000},
                      Trial{"ShortMemory", {.loss = 0.1}, kHurried, 4, 3000},
                      Trial{"SmallLog", {.loss = 0.1, .max_pid = 8, .max_live = 7}, kForgetful, 4, 3000},
                      Trial{"NoLog", {.loss = 0.1, .max_pid = 8, .max_live = 7}, kNoLog, 4, 3000}),
    [](const auto& trial) { return trial.param.what; });

}  // namespace
}  // namespace loiter::test
