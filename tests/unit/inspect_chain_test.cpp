// Wait chains over made inspections: their roots, ends, cycles, and steps that must not be taken.
#include "daemon/inspect/chain.h"

#include <gtest/gtest.h>

namespace loiter::test {
namespace {

class ChainTest : public ::testing::Test {
 protected:
  InspectedThread& add(uint32_t pid, uint32_t tid, bool blocked = true) {
    InspectedThread& thread = host_[pid].threads.emplace_back();
    host_[pid].pid = pid;
    thread.record.id.tid = tid;
    thread.record.id.tgid = pid;
    thread.blocked = blocked;
    if (blocked) thread.wait.emplace().kind = WaitKind::sleep;
    return thread;
  }
  void add_waiter(uint32_t pid, uint32_t tid, uint32_t holder, uint32_t holder_pid = 0) {
    InspectedThread& thread = add(pid, tid);
    thread.wait->kind = WaitKind::lock;
    thread.wait->holder = {HolderState::alive, holder, holder_pid ? holder_pid : pid};
  }
  void add_reader(uint32_t pid, uint32_t tid, const std::vector<uint32_t>& peers) {
    InspectedThread& thread = add(pid, tid);
    thread.wait->kind = WaitKind::read;
    thread.wait->object = "pipe:[1]";
    for (uint32_t peer : peers) thread.wait->peers.push_back({peer, 3});
  }
  ChainFinder finder() {
    return ChainFinder([this](uint32_t pid) -> InspectionPtr {
      auto found = host_.find(pid);
      if (found == host_.end()) return nullptr;
      return std::make_shared<Inspection>(found->second);
    });
  }
  static std::vector<uint32_t> tids(const Chain& chain) {
    std::vector<uint32_t> list;
    for (const ChainLink& link : chain.links) list.push_back(link.tid);
    return list;
  }
  std::map<uint32_t, Inspection> host_;
};

TEST_F(ChainTest, LeadsFromHolderToHolderToWhoRuns) {
  add_waiter(10, 10, 11);
  add_waiter(10, 11, 12);
  add_waiter(10, 12, 13);
  add(10, 13, false);
  const Chain chain = finder().from(10, 10);
  EXPECT_EQ(tids(chain), (std::vector<uint32_t>{10, 11, 12, 13}));
  EXPECT_EQ(chain.end, ChainEnd::running);
  EXPECT_EQ(chain.root, 3u);
  EXPECT_EQ(chain.waiters, 3u);
  EXPECT_STREQ(chain.links[1].via, "lock");
}

TEST_F(ChainTest, ManyWaitersBehindOneRootAreOneChain) {
  add_waiter(10, 10, 12);
  add_waiter(10, 11, 10);
  add(10, 12);
  add_waiter(10, 13, 12);
  const auto chains = finder().roots(10);
  ASSERT_EQ(chains.size(), 1u);
  EXPECT_EQ(tids(chains[0]), (std::vector<uint32_t>{11, 10, 12}));
  EXPECT_EQ(chains[0].end, ChainEnd::waits);
  EXPECT_EQ(chains[0].waiters, 3u);
}

// Each of several threads of each could be the one that the other process waits for.
TEST_F(ChainTest, ProcessesThatReadFromEachOtherComeToAnEnd) {
  for (uint32_t pid : {10u, 20u, 30u})
    for (uint32_t tid : {pid, pid + 1, pid + 2}) add_reader(pid, tid, {pid == 30 ? 10 : pid + 10});
  for (uint32_t pid : {10u, 20u, 30u}) {
    const Chain chain = finder().from(pid, pid);
    EXPECT_GE(chain.links.size(), 2u);
    EXPECT_EQ(chain.end, ChainEnd::unknown);
  }
}

TEST_F(ChainTest, ACycleIsToldOnce) {
  add_waiter(10, 10, 11);
  add_waiter(10, 11, 12);
  add_waiter(10, 12, 11);
  const auto chains = finder().roots(10);
  ASSERT_EQ(chains.size(), 1u);
  EXPECT_EQ(chains[0].end, ChainEnd::cycle);
  EXPECT_EQ(tids(chains[0]), (std::vector<uint32_t>{10, 11, 12}));
  EXPECT_EQ(chains[0].root, 1u);
  EXPECT_EQ(chains[0].waiters, 3u);
  EXPECT_EQ(finder().from(10, 12).waiters, 3u);
}

TEST_F(ChainTest, ALockOnItselfIsACycleOfOne) {
  add_waiter(10, 10, 10);
  const auto chains = finder().roots(10);
  ASSERT_EQ(chains.size(), 1u);
  EXPECT_EQ(chains[0].end, ChainEnd::cycle);
}

TEST_F(ChainTest, WhoWaitsForNobodyIsInNone) {
  add(10, 10);
  add(10, 11, false);
  EXPECT_TRUE(finder().roots(10).empty());
  const Chain chain = finder().from(10, 10);
  EXPECT_EQ(chain.end, ChainEnd::waits);
  EXPECT_EQ(chain.links.size(), 1u);
}

TEST_F(ChainTest, AnEndedHolderEndsIt) {
  add(10, 10).wait->holder = {HolderState::ended, 99, 0};
  const auto chains = finder().roots(10);
  ASSERT_EQ(chains.size(), 1u);
  EXPECT_EQ(chains[0].end, ChainEnd::holder_ended);
}

TEST_F(ChainTest, GoesThroughAPipeToAProcessOfOneThread) {
  add_reader(10, 10, {20});
  add(20, 20, false);
  const Chain chain = finder().from(10, 10);
  EXPECT_EQ(tids(chain), (std::vector<uint32_t>{10, 20}));
  EXPECT_STREQ(chain.links[1].via, "pipe");
  EXPECT_EQ(chain.end, ChainEnd::running);
}

TEST_F(ChainTest, InAProcessOfManyItFollowsWhereAllLeadToOneRoot) {
  add_reader(10, 10, {20});
  add(20, 20);  // idle
  add_waiter(20, 21, 22);
  add(20, 22);
  EXPECT_EQ(tids(finder().from(10, 10)), (std::vector<uint32_t>{10, 21, 22}));
}

TEST_F(ChainTest, InAProcessOfManyItNamesNobodyWhereMoreThanOneCouldBeMeant) {
  add_reader(10, 10, {20});
  add_waiter(20, 20, 22);
  add_waiter(20, 21, 23);
  add(20, 22);
  add(20, 23);
  const Chain chain = finder().from(10, 10);
  EXPECT_EQ(tids(chain), (std::vector<uint32_t>{10, 0}));
  EXPECT_EQ(chain.end, ChainEnd::unknown);
}

TEST_F(ChainTest, OfSeveralProcessesAtTheOtherEndNoneIsChosen) {
  add_reader(10, 10, {20, 30});
  add(20, 20);
  add(30, 30);
  const Chain chain = finder().from(10, 10);
  EXPECT_EQ(chain.links.size(), 1u);
  EXPECT_EQ(chain.end, ChainEnd::unknown);
}

TEST_F(ChainTest, ADeadlockThroughPipesOfTwoProcessesIsACycle) {
  add_reader(10, 10, {20});
  add_reader(20, 20, {10});
  EXPECT_EQ(finder().from(10, 10).end, ChainEnd::cycle);
}

TEST_F(ChainTest, AnEndlessChainIsCut) {
  for (uint32_t tid = 10; tid < 2000; ++tid) add_waiter(10, tid, tid + 1);
  EXPECT_EQ(finder().from(10, 10).end, ChainEnd::too_long);
}

}  // namespace
}  // namespace loiter::test
