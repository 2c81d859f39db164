// The census parser: reads that end anywhere, and bytes that are no census.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "daemon/sensors/census_reader.h"

namespace loiter::test {
namespace {

using Bytes = std::vector<std::byte>;

template <typename Record>
void append(Bytes& bytes, const Record& record) {
  const auto* data = reinterpret_cast<const std::byte*>(&record);
  bytes.insert(bytes.end(), data, data + sizeof(record));
}

loiter_census_mark make_mark(uint64_t boot_ns) {
  loiter_census_mark mark{};
  mark.magic = LOITER_CENSUS_MAGIC;
  mark.boot_ns = boot_ns;
  return mark;
}

loiter_still make_still(uint32_t tid) {
  loiter_still still{};
  still.magic = LOITER_STILL_MAGIC;
  still.tid = tid;
  still.cgroup_id = tid * 3;
  return still;
}

// With a short record before every other whole one.
Bytes whole_census(uint32_t threads) {
  Bytes bytes;
  append(bytes, make_mark(1));
  for (uint32_t tid = 1; tid <= threads; ++tid) {
    if (tid % 2 == 0) append(bytes, make_still(tid + 1000));
    loiter_thread thread{};
    thread.id.tid = tid;
    thread.regs.saved[9] = tid * 7;
    append(bytes, thread);
  }
  append(bytes, make_mark(2));
  return bytes;
}

void expect_whole(const Census& census, uint32_t threads) {
  EXPECT_EQ(census.begin.boot_ns, 1u);
  EXPECT_EQ(census.end.boot_ns, 2u);
  ASSERT_EQ(census.threads.size(), threads);
  for (uint32_t i = 0; i < threads; ++i) {
    EXPECT_EQ(census.threads[i].id.tid, i + 1);
    EXPECT_EQ(census.threads[i].regs.saved[9], (i + 1) * 7);
  }
  ASSERT_EQ(census.still.size(), threads / 2);
  for (uint32_t i = 0; i < threads / 2; ++i) {
    EXPECT_EQ(census.still[i].tid, 1002 + 2 * i);
    EXPECT_EQ(census.still[i].cgroup_id, (1002 + 2 * i) * 3);
  }
  EXPECT_EQ(census.thread_count(), threads + threads / 2);
}

TEST(CensusParser, TakesAWholeCensusAtOnce) {
  const Bytes bytes = whole_census(50);
  Census census;
  CensusParser parser(census);
  EXPECT_FALSE(parser.complete());
  EXPECT_TRUE(parser.feed(bytes.data(), bytes.size()));
  EXPECT_TRUE(parser.complete());
  expect_whole(census, 50);
}

TEST(CensusParser, TakesACensusOfNoThreads) {
  const Bytes bytes = whole_census(0);
  Census census;
  CensusParser parser(census);
  EXPECT_TRUE(parser.feed(bytes.data(), bytes.size()));
  EXPECT_TRUE(parser.complete());
  EXPECT_TRUE(census.threads.empty());
}

TEST(CensusParser, TakesReadsSplitAtEveryOffset) {
  const Bytes bytes = whole_census(2);
  for (size_t split = 0; split <= bytes.size(); ++split) {
    Census census;
    CensusParser parser(census);
    ASSERT_TRUE(parser.feed(bytes.data(), split)) << split;
    ASSERT_EQ(parser.complete(), split == bytes.size()) << split;
    ASSERT_TRUE(parser.feed(bytes.data() + split, bytes.size() - split)) << split;
    ASSERT_TRUE(parser.complete()) << split;
    expect_whole(census, 2);
  }
}

TEST(CensusParser, TakesReadsOfAnySize) {
  const Bytes bytes = whole_census(20);
  for (size_t size : {1, 3, 7, 39, 40, 41, 47, 48, 49, 303, 304, 305, 1000}) {
    Census census;
    CensusParser parser(census);
    for (size_t at = 0; at < bytes.size(); at += size) {
      ASSERT_FALSE(parser.complete());
      ASSERT_TRUE(parser.feed(bytes.data() + at, std::min(size, bytes.size() - at)));
    }
    EXPECT_TRUE(parser.complete());
    expect_whole(census, 20);
  }
}

TEST(CensusParser, APassCutShortIsNotComplete) {
  const Bytes bytes = whole_census(2);
  for (size_t size = 0; size < bytes.size(); ++size) {
    Census census;
    CensusParser parser(census);
    EXPECT_TRUE(parser.feed(bytes.data(), size));
    EXPECT_FALSE(parser.complete()) << size;
  }
}

TEST(CensusParser, RefusesWhatDoesNotBeginWithAMark) {
  Bytes bytes = whole_census(2);
  bytes[0] = std::byte{0};
  Census census;
  CensusParser parser(census);
  EXPECT_FALSE(parser.feed(bytes.data(), bytes.size()));
  CensusParser slow(census);
  EXPECT_TRUE(slow.feed(bytes.data(), 3));  // could still be one
  EXPECT_FALSE(slow.feed(bytes.data() + 3, 1));
}

TEST(CensusParser, RefusesWhatFollowsTheClosingMark) {
  Bytes bytes = whole_census(1);
  bytes.push_back(std::byte{0});
  Census census;
  CensusParser parser(census);
  EXPECT_FALSE(parser.feed(bytes.data(), bytes.size()));
}

// Whatever comes, it neither crashes nor keeps more than it was given, and what it takes does not depend on
// how the bytes were split.
TEST(CensusParser, TakesRandomBytesTheSameWayHoweverTheyAreSplit) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 5000; ++round) {
    Bytes bytes = whole_census(static_cast<uint32_t>(random() % 4));
    for (uint64_t i = random() % 4; i > 0; --i) bytes[random() % bytes.size()] = std::byte(random());
    if (random() % 2) bytes.resize(random() % bytes.size());
    for (uint64_t i = random() % 3 * 100; i > 0; --i) bytes.push_back(std::byte(random()));
    Census whole, split;
    CensusParser at_once(whole), in_parts(split);
    const bool good = at_once.feed(bytes.data(), bytes.size());
    bool still_good = true;
    for (size_t at = 0; at < bytes.size() && still_good;) {
      const size_t size = std::min<size_t>(1 + random() % 200, bytes.size() - at);
      still_good = in_parts.feed(bytes.data() + at, size);
      at += size;
    }
    ASSERT_EQ(good, still_good);
    ASSERT_EQ(at_once.complete(), in_parts.complete());
    ASSERT_LE(whole.threads.size() * sizeof(loiter_thread) + whole.still.size() * sizeof(loiter_still),
              bytes.size());
    ASSERT_EQ(whole.threads.size(), split.threads.size());
    for (size_t i = 0; i < whole.threads.size(); ++i)
      ASSERT_EQ(std::memcmp(&whole.threads[i], &split.threads[i], sizeof(loiter_thread)), 0);
    ASSERT_EQ(whole.still.size(), split.still.size());
    for (size_t i = 0; i < whole.still.size(); ++i)
      ASSERT_EQ(std::memcmp(&whole.still[i], &split.still[i], sizeof(loiter_still)), 0);
  }
}

}  // namespace
}  // namespace loiter::test
