// Births and ends by site and over time: what is counted where, what gives way, and that it adds up.
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "daemon/model/origin_book.h"
#include "tests/unit/simulated_host.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

constexpr uint32_t kPid = 100;

TaskKey key(uint32_t tid) {
  return {tid, tid * 10};
}

SiteStackPtr stack(const std::string& name) {
  auto made = std::make_shared<SiteStack>();
  made->frames = {{name, "/bin/x", 16, "", 0, false}, {"main", "/bin/x", 32, "", 0, false}};
  return made;
}

FoundOrigin found(uint32_t tid, SiteStackPtr at, SiteGap gap = SiteGap::none) {
  return {task_id(tid, kPid, tid * 10), std::move(at), gap, 1};
}

uint64_t gap(const ProcessOrigins& origins, SiteGap reason) {
  return origins.gaps[static_cast<size_t>(reason)];
}

// Births are at sites or have a reason; what lives is what was born or found and has not ended.
void expect_sums(const ProcessOrigins& origins) {
  uint64_t accounted = 0;
  for (const CreationSite& site : origins.sites) {
    accounted += site.births;
    EXPECT_LE(site.ended, site.births);
  }
  for (size_t i = 1; i < ProcessOrigins::kGaps; ++i) accounted += origins.gaps[i];
  EXPECT_EQ(accounted, origins.births + gap(origins, SiteGap::before_daemon));
  EXPECT_EQ(origins.live + origins.ends + gap(origins, SiteGap::over_limit),
            origins.births + gap(origins, SiteGap::before_daemon));
  uint64_t births = 0, ends = 0;
  for (const OriginBucket& bucket : origins.history) {
    births += bucket.births;
    ends += bucket.ends;
  }
  EXPECT_EQ(births, origins.births);
  EXPECT_EQ(ends, origins.ends);
  EXPECT_LE(origins.history.size(), OriginBook::kBuckets);
}

OriginBook::Mark born(OriginBook& book, uint32_t tid, SiteGap gap = SiteGap::pending, uint64_t at = kSecond) {
  return book.add_birth(kPid, key(tid), {kPid, 1}, "main", at, gap);
}

TEST(OriginBook, GroupsThreadsByWhereTheyWereMade) {
  OriginBook book;
  for (uint32_t tid : {101, 102, 103}) born(book, tid);
  const auto first = book.accept(found(101, stack("f")), true);
  const auto second = book.accept(found(102, stack("g")), true);
  const auto third = book.accept(found(103, stack("f")), true);
  ASSERT_TRUE(first && second && third);
  EXPECT_EQ(first->site, third->site) << "equal stacks, though not the same object";
  EXPECT_NE(first->site, second->site);
  book.add_end(kPid, key(103), *third, 2 * kSecond, 1000);
  const ProcessOriginsPtr origins = book.publish(kPid);
  const CreationSite& site = *origins->find(first->site);
  EXPECT_EQ(site.births, 2u);
  EXPECT_EQ(site.live(), 1u);
  EXPECT_EQ(site.lifetimes[9], 1u) << "512 to 1023 ns";
  ASSERT_EQ(site.creators.size(), 1u);
  EXPECT_EQ(site.creators[0].births, 2u);
  EXPECT_EQ(site.creators[0].name, "main");
  expect_sums(*origins);
}

TEST(OriginBook, CountsWhereThreadsOfASiteBeganUpToABound) {
  OriginBook book;
  for (uint32_t i = 0; i < 20; ++i) {
    born(book, 101 + i);
    FoundOrigin origin = found(101 + i, stack("f"));
    SiteFrame frame;
    frame.symbol = i < 10 ? "worker" : "other" + std::to_string(i);
    if (i > 0) origin.routine = std::make_shared<SiteFrame>(frame);
    ASSERT_TRUE(book.accept(origin, true));
  }
  const ProcessOriginsPtr origins = book.publish(kPid);
  ASSERT_EQ(origins->sites.size(), 1u);
  const std::vector<CreationSite::Routine>& routines = origins->sites[0].routines;
  ASSERT_EQ(routines.size(), OriginBook::Limits().routines);
  EXPECT_EQ(routines[0].frame->symbol, "worker");
  EXPECT_EQ(routines[0].births, 9u);
  EXPECT_EQ(routines[1].births, 1u);
}

TEST(OriginBook, AThreadThatEndedBeforeItsStackWasTakenApartCounts) {
  OriginBook book;
  const auto mark = born(book, 101);
  book.add_end(kPid, key(101), mark, kSecond, 4096);
  EXPECT_EQ(gap(*book.publish(kPid), SiteGap::pending), 1u);
  book.accept(found(101, stack("f")), true);
  const ProcessOriginsPtr origins = book.publish(kPid);
  ASSERT_EQ(origins->sites.size(), 1u);
  EXPECT_EQ(origins->sites[0].ended, 1u);
  EXPECT_EQ(origins->sites[0].lifetimes[12], 1u);
  expect_sums(*origins);
}

TEST(OriginBook, WhatWasAnotherProgramWhenLookedAtIsNotBelieved) {
  OriginBook book;
  born(book, 101);
  const auto mark = book.accept(found(101, stack("f")), false);
  EXPECT_EQ(mark->gap, SiteGap::process_gone);
  EXPECT_FALSE(book.accept(found(101, stack("f")), true)) << "told twice";
  EXPECT_TRUE(book.publish(kPid)->sites.empty());
  expect_sums(*book.publish(kPid));
}

TEST(OriginBook, CountsEachReasonWhyThereIsNoSite) {
  OriginBook book;
  born(book, 101, SiteGap::rate_limited);
  born(book, 102, SiteGap::no_slot);
  book.add_found(kPid, key(103), kSecond, true);
  const auto lost = book.add_found(kPid, key(104), kSecond, false);
  book.add_untracked(kPid, kSecond);
  ProcessOriginsPtr origins = book.publish(kPid);
  EXPECT_EQ(origins->births, 4u);
  EXPECT_EQ(origins->live, 4u);
  EXPECT_EQ(gap(*origins, SiteGap::before_daemon), 1u);
  EXPECT_EQ(gap(*origins, SiteGap::event_lost), 1u);
  expect_sums(*origins);
  book.tell_late(kPid, key(104), lost, {kPid, 1}, "main", kSecond, SiteGap::pending);
  origins = book.publish(kPid);
  EXPECT_EQ(gap(*origins, SiteGap::event_lost), 0u);
  EXPECT_EQ(gap(*origins, SiteGap::pending), 1u);
  EXPECT_EQ(origins->births, 4u);
  expect_sums(*origins);
  EXPECT_EQ(book.gaps()[static_cast<size_t>(SiteGap::rate_limited)], 1u);
}

TEST(OriginBook, AnEndThatWasNoneIsTakenBack) {
  OriginBook book;
  born(book, 101);
  const auto mark = *book.accept(found(101, stack("f")), true);
  book.add_end(kPid, key(101), mark, kSecond, 7);
  book.take_back_end(kPid, key(101), mark, kSecond, 7);
  const ProcessOriginsPtr origins = book.publish(kPid);
  EXPECT_EQ(origins->ends, 0u);
  EXPECT_EQ(origins->live, 1u);
  EXPECT_EQ(origins->sites[0].live(), 1u);
  EXPECT_EQ(origins->sites[0].lifetimes[2], 0u);
  expect_sums(*origins);
}

TEST(OriginBook, ForgetsTheSiteThatWasUsedLeastRecently) {
  OriginBook book({.sites_of_process = 2, .sites = 100, .creators = 8});
  for (uint32_t tid : {101, 102, 103, 104}) born(book, tid);
  book.accept(found(101, stack("a")), true);
  const auto b = *book.accept(found(102, stack("b")), true);
  book.accept(found(103, stack("a")), true);
  book.accept(found(104, stack("c")), true);
  const ProcessOriginsPtr origins = book.publish(kPid);
  EXPECT_EQ(origins->sites.size(), 2u);
  EXPECT_EQ(origins->find(b.site), nullptr);
  EXPECT_EQ(gap(*origins, SiteGap::forgotten), 1u);
  expect_sums(*origins);
  book.add_end(kPid, key(102), b, kSecond, 5);  // of the forgotten one
  expect_sums(*book.publish(kPid));
}

TEST(OriginBook, BoundsTheSitesOfAllProcesses) {
  OriginBook book({.sites_of_process = 10, .sites = 3, .creators = 8});
  for (uint32_t pid = 1; pid <= 6; ++pid) {
    book.add_birth(pid, {pid + 1000, 5}, {pid, 1}, "x", kSecond, SiteGap::pending);
    book.accept({task_id(pid + 1000, pid, 5), stack("f"), SiteGap::none, 1}, true);
    EXPECT_LE(book.site_count(), 3u);
  }
  EXPECT_TRUE(book.publish(1)->sites.empty());
  EXPECT_EQ(gap(*book.publish(1), SiteGap::forgotten), 1u);
  EXPECT_EQ(book.publish(6)->sites.size(), 1u);
  book.end_process(6);
  EXPECT_EQ(book.publish(6), nullptr);
  EXPECT_EQ(book.site_count(), 2u);
}

TEST(OriginBook, NamesTheFirstCreatorsAndCountsTheOthers) {
  OriginBook book({.sites_of_process = 10, .sites = 10, .creators = 2});
  for (uint32_t i = 0; i < 10; ++i) {
    book.add_birth(kPid, key(200 + i), {300 + i / 2, 1}, "w", kSecond, SiteGap::pending);
    book.accept(found(200 + i, stack("f")), true);
  }
  const CreationSite site = book.publish(kPid)->sites[0];
  EXPECT_EQ(site.creators.size(), 2u);
  EXPECT_EQ(site.other_creators, 6u);
}

TEST(OriginBook, AHistoryHoldsAllTimeInFewBuckets) {
  OriginBook book;
  uint64_t births = 0;
  for (uint64_t second = 0; second < 100'000; second += 7) {
    born(book, static_cast<uint32_t>(1000 + births++), SiteGap::rate_limited, (5 + second) * kSecond);
    ASSERT_LE(book.publish(kPid)->history.size(), OriginBook::kBuckets);
  }
  const ProcessOrigins& origins = *book.publish(kPid);
  EXPECT_EQ(origins.first_boot_ns, 5 * kSecond);
  EXPECT_GE(origins.bucket_ns * origins.history.size(), 99'990 * kSecond);
  EXPECT_EQ(origins.history.back().live, births);
  EXPECT_GT(origins.history.size(), OriginBook::kBuckets / 2);
  expect_sums(origins);
}

TEST(OriginBook, PublishesTheSameWhileNothingHappens) {
  OriginBook book;
  EXPECT_EQ(book.publish(kPid), nullptr);
  born(book, 101);
  const ProcessOriginsPtr before = book.publish(kPid);
  EXPECT_EQ(book.publish(kPid), before);
  born(book, 102);
  EXPECT_NE(book.publish(kPid), before);
  EXPECT_EQ(before->births, 1u) << "who has it keeps it";
}

// --- as the model tells it ---------------------------------------------------------------------------

// Whatever is lost, late or out of order: after a census what lives is what /proc would say, and it adds up.
TEST(OriginBook, OfASimulatedHostAddsUpWhateverIsLost) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedHost host(seed, {.loss = seed % 3 ? 0.2 : 0.0, .swaps = 0.2});
    HostModel model({}, no_details);
    std::vector<loiter_task_id> waiting;
    for (int round = 0; round < 40; ++round) {
      const Census census = host.census(3);
      for (Event& event : host.drain()) {
        if (event.type == LOITER_EVENT_BIRTH && event.task.tid != event.task.tgid) {
          event.slice_state = host.chance(0.7) ? LOITER_SLICE_TAKEN : LOITER_SLICE_RATE;
          if (event.slice_state == LOITER_SLICE_TAKEN) waiting.push_back(event.task);
        }
        apply_to(model, event);
      }
      model.reconcile(census);
      for (const loiter_task_id& task : waiting)
        if (host.chance(0.8))
          model.accept({task, stack(task.tid % 2 ? "odd" : "even"), SiteGap::none, UINT64_MAX});
      waiting.clear();
      const auto snapshot = model.publish(WallClock());
      for (const ProcessView& process : snapshot->processes) {
        uint64_t others = 0;
        std::map<uint32_t, uint64_t> by_site;
        for (const ThreadView& thread : process.threads) {
          if (thread.key.tid == process.key.tid) continue;
          ++others;
          if (thread.site) ++by_site[thread.site];
        }
        if (!process.origins) {
          EXPECT_EQ(others, 0u);
          continue;
        }
        EXPECT_EQ(process.origins->live, others) << process.key.tid;
        expect_sums(*process.origins);
        for (const CreationSite& site : process.origins->sites) EXPECT_EQ(site.live(), by_site[site.id]);
      }
    }
  }
}

}  // namespace
}  // namespace loiter::test
