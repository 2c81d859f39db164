// Threads that are alike.
#include "daemon/detect/cohort.h"

#include <gtest/gtest.h>

#include "tests/unit/made_host.h"

namespace loiter::test {
namespace {

// The blocked threads of the process, each with a stack: places 0 and `inner`.
std::shared_ptr<Inspection> look_at(const ProcessView& process,
                                    const std::map<uint32_t, uint32_t>& inner_by_tid) {
  auto inspection = std::make_shared<Inspection>();
  inspection->pid = process.key.tid;
  inspection->start_boot_ns = process.key.start_boot_ns;
  inspection->routines = {{"worker", 0, 16, ""}, {"", 0, 32, "shop::Keeper"}};
  for (const char* name : {"outer", "inner_1", "inner_2"}) {
    CodePlace place;
    place.lines.emplace_back().symbol = name;
    inspection->stacks.places.push_back(place);
  }
  for (const ThreadView& thread : process.threads) {
    auto inner = inner_by_tid.find(thread.key.tid);
    if (inner == inner_by_tid.end()) continue;
    InspectedThread seen;
    seen.record.id.tid = thread.key.tid;
    seen.record.id.start_boot_ns = thread.key.start_boot_ns;
    seen.record.voluntary_switches = thread.voluntary_switches;
    seen.blocked = true;
    seen.routine = thread.key.tid % 2;
    seen.stack = static_cast<uint32_t>(inspection->stacks.stacks.size());
    Stack stack;
    stack.places = {inner->second, 0};
    inspection->stacks.stacks.push_back(stack);
    inspection->threads.push_back(seen);
  }
  return inspection;
}

TEST(Cohort, BySiteAndSystemCallWhereNobodyLooked) {
  MadeHost made;
  made.process(10);
  for (int i = 0; i < 3; ++i) made.add(10, 1, Manner::rests);
  made.step(5 * kSecond);
  made.add(10, 1, Manner::rests);
  made.add(10, 2, Manner::rests);
  made.add(10, 1, Manner::ticks);  // in nanosleep
  made.add(10, 2, Manner::spins);
  made.add(10, 2, Manner::starves);
  made.step(5 * kSecond);
  const HostCase host = made.host();
  const std::vector<Cohort> cohorts = cohorts_of(host, made.view(10));
  ASSERT_EQ(cohorts.size(), 5u) << "leader, resting 1 and 2, ticking, and those that want a CPU";
  EXPECT_EQ(cohorts[0].count(), 4u);
  ASSERT_TRUE(cohorts[0].site);
  EXPECT_EQ(cohorts[0].site->id, 1u);
  EXPECT_EQ(cohorts[0].syscall, SYS_futex);
  EXPECT_EQ(cohorts[0].oldest_ns, 10 * kSecond);
  EXPECT_EQ(cohorts[0].longest_blocked_ns, 10 * kSecond);
  EXPECT_EQ(cohorts[0].threads[3]->blocked_ns, 5 * kSecond) << "longest first";
  EXPECT_EQ(cohorts[1].count(), 2u);
  EXPECT_EQ(cohorts[1].longest_blocked_ns, std::nullopt);
}

TEST(Cohort, ByStackWhereSomebodyLooked) {
  MadeHost made;
  made.process(10);
  std::map<uint32_t, uint32_t> inner;
  for (uint32_t i = 0; i < 6; ++i) inner[made.add(10, 1, Manner::rests)] = i < 4 ? 1 : 2;
  made.add(10, 1, Manner::rests);  // not looked at
  made.step();
  made.waits.take({{10, look_at(made.view(10), inner)}}, {});
  const HostCase host = made.host();
  const std::vector<Cohort> cohorts = cohorts_of(host, made.view(10));
  ASSERT_EQ(cohorts.size(), 4u);
  EXPECT_EQ(cohorts[0].count(), 4u);
  EXPECT_TRUE(cohorts[0].looked_at);
  ASSERT_EQ(cohorts[0].stack.size(), 2u);
  EXPECT_EQ(cohorts[0].stack[0].symbol, "inner_1");
  EXPECT_EQ(cohorts[1].count(), 2u);
  EXPECT_FALSE(cohorts[2].looked_at);
}

TEST(Cohort, ByStartRoutineWhereTheSiteIsNotKnown) {
  MadeHost made;
  made.process(10);
  std::map<uint32_t, uint32_t> inner;
  for (int i = 0; i < 5; ++i) inner[made.add(10, 0, Manner::rests)] = 1;
  made.step();
  made.waits.take({{10, look_at(made.view(10), inner)}}, {});
  const HostCase host = made.host();
  const std::vector<Cohort> cohorts = cohorts_of(host, made.view(10));
  ASSERT_EQ(cohorts.size(), 3u);
  EXPECT_EQ(cohorts[0].count() + cohorts[1].count(), 5u);
  EXPECT_NE(cohorts[0].routine, cohorts[1].routine);
  EXPECT_TRUE(cohorts[2].leads);
}

}  // namespace
}  // namespace loiter::test
