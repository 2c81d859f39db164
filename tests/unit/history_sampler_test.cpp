// Which numbers of threads are kept: those that change, of processes with more than one.
#include <gtest/gtest.h>

#include "daemon/history/count_sampler.h"
#include "tests/unit/history_made.h"

namespace loiter::test {
namespace {

class CountSamplerTest : public ::testing::Test {
 protected:
  std::optional<CountBatch> at(uint64_t second, std::vector<std::pair<uint32_t, size_t>> processes,
                               std::vector<uint32_t> ended = {}) {
    std::vector<ProcessView> views;
    for (const auto& [pid, threads] : processes) views.push_back(view(pid, threads));
    auto snapshot = make_snapshot(std::move(views));
    for (const uint32_t pid : ended) snapshot->ended_processes.push_back(view(pid, 0));
    snapshot->begin_boot_ns = (100 + second) * kSecondNs;
    snapshot->pass = second + 1;
    return sampler_.add(*snapshot);
  }
  static ProcessView view(uint32_t pid, size_t threads) {
    std::vector<ThreadView> list;
    for (size_t i = 0; i < threads; ++i) list.push_back(make_thread(pid + static_cast<uint32_t>(i), "t", 7));
    return make_process(pid, "p", std::move(list));
  }
  CountSampler sampler_{60 * kSecondNs};
};

TEST_F(CountSamplerTest, TellsAtOnceWhoIsThere) {
  const auto batch = at(0, {{10, 3}, {20, 1}});
  ASSERT_TRUE(batch);
  ASSERT_EQ(batch->rows.size(), 1u) << "one thread is no matter";
  EXPECT_EQ(batch->rows[0].live, 3u);
  EXPECT_EQ(batch->rows[0].longest_ns, 7u);
}

TEST_F(CountSamplerTest, TellsOnlyWhatChanges) {
  at(0, {{10, 3}, {20, 5}});
  for (uint64_t s = 1; s < 60; ++s) EXPECT_FALSE(at(s, {{10, 3}, {20, s == 30 ? 9u : 5u}}));
  const auto batch = at(60, {{10, 3}, {20, 5}});
  ASSERT_TRUE(batch);
  ASSERT_EQ(batch->rows.size(), 1u);
  EXPECT_EQ(batch->rows[0].process.tid, 20u);
  EXPECT_EQ(batch->rows[0].most, 9u) << "in the midst of the period";
  EXPECT_EQ(batch->rows[0].least, 5u);
  EXPECT_EQ(batch->length_ns, 60 * kSecondNs);
  const auto later = at(120, {{10, 3}, {20, 5}});
  ASSERT_TRUE(later);
  EXPECT_TRUE(later->rows.empty());
  const auto anew = at(6 * 3600 + 60, {{10, 3}, {20, 5}});
  ASSERT_TRUE(anew);
  EXPECT_EQ(anew->rows.size(), 2u) << "after six hours";
}

TEST_F(CountSamplerTest, TellsTheEnd) {
  at(0, {{10, 3}});
  at(30, {{10, 3}, {20, 9}, {30, 2}});
  at(59, {{10, 3}}, {20, 30});
  const auto batch = at(60, {}, {10, 20, 30});
  ASSERT_TRUE(batch);
  ASSERT_EQ(batch->rows.size(), 2u) << "the one that came and went with 9 threads, and not that with 2";
  for (const CountRow& row : batch->rows) {
    EXPECT_NE(row.process.tid, 30u);
    EXPECT_TRUE(row.process_ended);
    EXPECT_EQ(row.live, 0u);
  }
}

TEST_F(CountSamplerTest, TellsAnewWhatWasLost) {
  at(0, {{10, 3}});
  sampler_.tell_anew();
  EXPECT_EQ(at(60, {{10, 3}})->rows.size(), 1u);
}

}  // namespace
}  // namespace loiter::test
