// Libraries that are probed for all processes: how long each is kept.
#include "daemon/probed_libraries.h"

#include <gtest/gtest.h>

namespace loiter {
namespace {

constexpr uint64_t kGrace = ProbedLibraries::kGraceNs;
constexpr FileId kHost{.inode_id = 0xffff888000001000}, kImage{.inode_id = 0xffff888000002000};

PlacedProbes some_probes() {
  PlacedProbes placed;
  placed.functions = {"pthread_create", "pthread_join"};
  placed.boot_ns = 7;
  return placed;
}

TEST(ProbedLibraries, OneThatIsUsedIsKept) {
  ProbedLibraries libraries;
  libraries.add(kHost, some_probes(), 100);
  libraries.use(kHost, 1);
  libraries.use(kHost, 2);
  libraries.leave(1, 200);
  EXPECT_TRUE(libraries.unused(200 + 100 * kGrace).empty()) << "the other one uses it still";
  ASSERT_NE(libraries.find(kHost), nullptr);
  EXPECT_EQ(libraries.find(kHost)->boot_ns, 7u);
  EXPECT_EQ(libraries.functions(), 2u);
}

TEST(ProbedLibraries, OneThatNobodyUsesGoesAfterAWhile) {
  ProbedLibraries libraries;
  libraries.add(kHost, some_probes(), 100);
  libraries.add(kImage, some_probes(), 100);
  libraries.use(kHost, 1);
  libraries.use(kImage, 2);
  libraries.leave(2, 1000);
  EXPECT_TRUE(libraries.unused(1000 + kGrace - 1).empty());
  EXPECT_EQ(libraries.unused(1000 + kGrace), std::vector<FileId>{kImage});
  EXPECT_EQ(libraries.take_unused(kImage, 1000 + kGrace).functions.size(), 2u);
  EXPECT_EQ(libraries.find(kImage), nullptr);
  EXPECT_EQ(libraries.size(), 1u);
}

TEST(ProbedLibraries, OneThatIsUsedAgainMeanwhileStays) {
  ProbedLibraries libraries;
  libraries.add(kImage, some_probes(), 100);
  EXPECT_EQ(libraries.unused(100 + kGrace).size(), 1u) << "who had it placed never came to use it";
  libraries.use(kImage, 3);
  EXPECT_TRUE(libraries.take_unused(kImage, 100 + kGrace).functions.empty());
  EXPECT_NE(libraries.find(kImage), nullptr);
  libraries.leave(3, 200);
  EXPECT_TRUE(libraries.unused(100 + kGrace).empty()) << "it counts from the last one's leave";
}

TEST(ProbedLibraries, InodesAndNamesOfInodesAreNotMixedUp) {
  ProbedLibraries libraries;
  const FileId named{.device_minor = 42, .inode = kHost.inode_id};
  libraries.add(kHost, some_probes(), 0);
  EXPECT_EQ(libraries.find(named), nullptr);
}

}  // namespace
}  // namespace loiter
