// The file of the history: what is written is read again; bounds of age and size; files that are damaged,
// newer or not ours.
#include "daemon/history/history_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "daemon/history/history_reader.h"
#include "tests/lib/daemon.h"
#include "tests/unit/history_made.h"

namespace loiter::test {
namespace {

constexpr uint64_t kHourNs = 3600 * kSecondNs;
constexpr uint64_t kDayNs = 24 * kHourNs;

class HistoryFileTest : public ::testing::Test {
 protected:
  HistoryFileTest() { wall_.offset_ns = static_cast<int64_t>(realtime_now_ns() - boottime_now_ns()); }

  std::unique_ptr<HistoryFile> open(const std::string& boot = current_boot_id()) {
    auto file = HistoryFile::open(options_, boot, wall_, set_aside_);
    EXPECT_TRUE(file) << (file ? "" : file.error().message);
    return file ? std::move(*file) : nullptr;
  }
  // So long ago; 0: now.
  CountBatch batch(uint64_t ago_ns, std::vector<CountRow> rows) {
    const uint64_t now = boottime_now_ns() + kFarNs;  // the host may have been up for minutes only
    WallClock wall = wall_;
    wall.offset_ns -= static_cast<int64_t>(kFarNs);
    return {.end_boot_ns = now - ago_ns, .length_ns = 60 * kSecondNs, .wall = wall, .rows = std::move(rows)};
  }
  HistoryAnswer counts(uint64_t since_ns, size_t points = 10, std::optional<std::string> name = {}) {
    return read_history(options_.dir, false,
                        {.name = std::move(name), .since_ns = since_ns, .points = points, .limit = 100},
                        realtime_now_ns());
  }
  HistoryAnswer finding(const std::string& id) {
    return read_history(options_.dir, false, {.kind = HistoryQuery::Kind::findings, .limit = 10, .id = id},
                        realtime_now_ns());
  }
  uint64_t bytes_in_dir() const {
    uint64_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator(options_.dir)) sum += entry.file_size();
    return sum;
  }

  static constexpr uint64_t kFarNs = 100 * kDayNs;
  TempDir dir_;
  WallClock wall_;
  HistoryOptions options_{dir_.file("state"), 7 * kDayNs, 64 << 20};
  std::vector<std::string> set_aside_;
};

TEST_F(HistoryFileTest, IsForNobodyElse) {
  const auto file = open();
  struct stat found {};
  ASSERT_EQ(stat(options_.dir.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
  file->write(batch(0, {made_row(10, 3)}));
  for (const auto& entry : std::filesystem::directory_iterator(options_.dir)) {
    ASSERT_EQ(stat(entry.path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600u) << entry.path();
  }
}

TEST_F(HistoryFileTest, FollowsNoLink) {
  std::filesystem::create_directory(options_.dir);
  std::filesystem::permissions(options_.dir, std::filesystem::perms(0700));
  std::ofstream(dir_.file("elsewhere")) << "precious";
  std::filesystem::create_symlink(dir_.file("elsewhere"), options_.dir + "/history.db");
  const auto file = HistoryFile::open(options_, "boot", wall_, set_aside_);
  ASSERT_FALSE(file);
  EXPECT_EQ(std::filesystem::file_size(dir_.file("elsewhere")), 8u);
}

TEST_F(HistoryFileTest, GivesBackAFindingWithAllOfIt) {
  const auto kept = made_finding("deadlock-10-1");
  open()->write({{kept, wall_, {{20, 0, "other"}, {20, 21, "holder"}}}});
  const HistoryAnswer answer = finding("deadlock-10-1");
  EXPECT_EQ(answer.failure, "");
  ASSERT_EQ(answer.findings.size(), 1u);
  const StoredFinding& stored = answer.findings[0];
  EXPECT_TRUE(stored.of_this_boot);
  EXPECT_EQ(stored.kept.finding.threads.at(0).stack, kept->finding.threads.at(0).stack);
  EXPECT_EQ(stored.snapshot->wall.offset_ns, wall_.offset_ns);
  ASSERT_TRUE(stored.snapshot->find(20));
  EXPECT_EQ(stored.snapshot->find(20)->comm.view(), "other");
  EXPECT_EQ(stored.snapshot->find(20)->threads.at(0).name.view(), "holder");
  EXPECT_TRUE(finding("deadlock-10-2").findings.empty());
}

TEST_F(HistoryFileTest, WhatLastedIsTakenUpAgain) {
  auto gone = std::make_shared<KeptFinding>(*made_finding("b"));
  gone->resolved_boot_ns = 9 * kSecondNs;
  gone->resolution = Resolution::cause_gone;
  open()->write({{made_finding("a"), wall_, {}}, {gone, wall_, {}}});
  const auto unresolved = open()->take_unresolved();
  ASSERT_EQ(unresolved.size(), 1u);
  EXPECT_EQ(unresolved[0].finding.id, "a");
  EXPECT_EQ(unresolved[0].first_boot_ns, kSecondNs);
}

TEST_F(HistoryFileTest, WhatLastedBeforeARebootIsResolvedByThat) {
  open("another boot")->write({{made_finding("a"), wall_, {}}});
  EXPECT_TRUE(open()->take_unresolved().empty());
  const HistoryAnswer answer = finding("a");
  ASSERT_EQ(answer.findings.size(), 1u);
  EXPECT_EQ(answer.findings[0].kept.resolution, Resolution::host_restarted);
  EXPECT_TRUE(answer.findings[0].kept.unwatched);
  EXPECT_FALSE(answer.findings[0].of_this_boot);
  EXPECT_GT(answer.findings[0].kept.resolved_boot_ns, 0u);
}

TEST_F(HistoryFileTest, CountsAreToldWithWhatLiesBetween) {
  const auto file = open();
  file->write(batch(0, {made_row(10, 3), made_row(20, 50, 7)}));
  CountRow ended = made_row(20, 0);
  ended.process_ended = true;
  ended.least = 1;
  ended.most = 60;
  file->write(batch(0, {ended}));
  const HistoryAnswer answer = counts(kHourNs);
  EXPECT_EQ(answer.failure, "");
  ASSERT_EQ(answer.processes.size(), 2u);
  EXPECT_EQ(answer.processes[0].key.tid, 20u) << "who changed most comes first";
  EXPECT_EQ(answer.processes[0].total.most, 60u);
  EXPECT_TRUE(answer.processes[0].ended_ns);
  EXPECT_EQ(answer.processes[1].total.live, 3u);
  EXPECT_EQ(answer.processes[1].points.size(), 10u);
  EXPECT_FALSE(answer.processes[1].points.front().known);
  EXPECT_TRUE(answer.processes[1].points.back().known);
  EXPECT_EQ(counts(kHourNs, 10, "api").processes.size(), 2u);
  EXPECT_EQ(counts(kHourNs, 10, "/usr/bin/api").processes.size(), 2u);
  EXPECT_EQ(counts(kHourNs, 10, "ap").processes.size(), 0u);
}

TEST_F(HistoryFileTest, OldPeriodsAreMadeLongerAndKeepTheirExtremes) {
  const auto file = open();
  for (uint64_t minute = 60 * 8; minute > 0; --minute) {
    CountRow row = made_row(10, minute == 450 ? 99 : 5, 1);
    file->write(batch(minute * 60 * kSecondNs, {row}));
  }
  file->tidy(realtime_now_ns());
  Database database(options_.dir + "/history.db", Database::Mode::read);
  EXPECT_LT(database.number("SELECT count(*) FROM sample"), 60 * 6 + 2 * 6 + 15);
  EXPECT_GT(database.number("SELECT count(*) FROM sample"), 60 * 6);
  EXPECT_EQ(database.number("SELECT max(most) FROM sample"), 99);
  EXPECT_EQ(database.number("SELECT sum(births) FROM sample"), 60 * 8);
  EXPECT_EQ(database.number("SELECT live FROM sample ORDER BY at LIMIT 1"), 5);
}

TEST_F(HistoryFileTest, WhatIsTooOldGoes) {
  const auto file = open();
  file->write(batch(8 * kDayNs, {made_row(10, 3), made_row(20, 3)}));
  file->write(batch(8 * kDayNs - kHourNs, {made_row(10, 4)}));
  CountRow ended = made_row(20, 0);
  ended.process_ended = true;
  file->write(batch(8 * kDayNs - kHourNs, {ended}));
  file->write(batch(kDayNs, {made_row(10, 5)}));
  auto old = std::make_shared<KeptFinding>(*made_finding("old"));
  old->resolved_boot_ns = 2 * kSecondNs;
  WallClock long_ago = wall_;
  long_ago.offset_ns = static_cast<int64_t>(realtime_now_ns() - 8 * kDayNs);
  file->write({{old, long_ago, {}}, {made_finding("lasts"), long_ago, {}}});
  file->tidy(realtime_now_ns());
  Database database(options_.dir + "/history.db", Database::Mode::read);
  EXPECT_EQ(database.number("SELECT count(*) FROM sample WHERE live = 3"), 0);
  EXPECT_EQ(database.number("SELECT count(*) FROM sample WHERE live = 4"), 1) << "as it was before";
  EXPECT_EQ(database.number("SELECT count(*) FROM process"), 1);
  EXPECT_EQ(database.number("SELECT count(*) FROM finding"), 1);
  EXPECT_EQ(finding("lasts").findings.size(), 1u);
}

TEST_F(HistoryFileTest, StaysWithinItsSize) {
  options_.most_bytes = 4 << 20;
  const auto file = open();
  std::mt19937 random(1);
  uint64_t largest = 0;
  for (uint64_t minute = 300; minute > 0; --minute) {
    std::vector<CountRow> rows;
    for (uint32_t pid = 1; pid <= 500; ++pid) rows.push_back(made_row(pid, random() % 100, random() % 9));
    file->write(batch(minute * 60 * kSecondNs, std::move(rows)));
    auto kept = std::make_shared<KeptFinding>(*made_finding("f" + std::to_string(minute)));
    kept->finding.hint.resize(4000);
    for (char& c : kept->finding.hint) c = static_cast<char>('a' + random() % 26);
    kept->resolved_boot_ns = boottime_now_ns();
    file->write({{kept, wall_, {}}});
    file->tidy(realtime_now_ns());
    largest = std::max(largest, bytes_in_dir());
  }
  EXPECT_LE(largest, options_.most_bytes);
  EXPECT_GT(largest, options_.most_bytes / 3) << "the room is used";
  const HistoryAnswer answer = counts(kHourNs);
  EXPECT_EQ(answer.failure, "");
  EXPECT_EQ(answer.processes.size(), 100u);
  EXPECT_EQ(answer.processes_left_out, 400u) << "what is left out is counted";
}

TEST_F(HistoryFileTest, ANewerFileIsSetAside) {
  open();
  {
    Database database(options_.dir + "/history.db", Database::Mode::write);
    database.run("PRAGMA user_version = 99");
  }
  EXPECT_NE(counts(kHourNs).failure.find("newer"), std::string::npos);
  EXPECT_TRUE(open());
  ASSERT_EQ(set_aside_.size(), 1u);
  EXPECT_TRUE(set_aside_[0].starts_with("history.db.newer-")) << set_aside_[0];
  EXPECT_EQ(counts(kHourNs).failure, "");
}

TEST_F(HistoryFileTest, OfThoseSetAsideAFewAreKept) {
  for (int i = 0; i < 5; ++i) {
    std::filesystem::create_directories(options_.dir);
    std::filesystem::permissions(options_.dir, std::filesystem::perms(0700));
    std::ofstream(options_.dir + "/history.db") << "damaged " << i << std::string(9000, '.');
    std::filesystem::permissions(options_.dir + "/history.db", std::filesystem::perms(0600));
    EXPECT_TRUE(open());
  }
  EXPECT_EQ(set_aside_.size(), 5u);
  size_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(options_.dir))
    left += entry.path().filename().string().starts_with("history.db.damaged-");
  EXPECT_EQ(left, 2u);
}

// Of a file that holds some of all, cut and garbled in many ways: it is written to, read, and set aside where
// that is seen.
TEST_F(HistoryFileTest, NoDamageEndsAnything) {
  {
    const auto file = open();
    for (uint64_t minute = 30; minute > 0; --minute) {
      std::vector<CountRow> rows;
      for (uint32_t pid = 1; pid <= 60; ++pid) rows.push_back(made_row(pid, pid, minute));
      file->write(batch(minute * 60 * kSecondNs, std::move(rows)));
    }
    for (int i = 0; i < 30; ++i) file->write({{made_finding("f" + std::to_string(i)), wall_, {}}});
  }
  const std::string path = options_.dir + "/history.db";
  std::ifstream in(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  ASSERT_GT(whole.size(), 20'000u);
  std::mt19937 random(7);
  size_t damaged = 0;
  for (int i = 0; i < 150; ++i) {
    std::string broken = whole;
    if (i % 3 == 0) broken.resize(random() % whole.size());
    const size_t flips = i % 3 == 1 ? 1 + random() % 200 : i % 3 == 2 ? 4000 : 0;
    // The first pages hold what the others hang on.
    const size_t range = i % 2 ? 8192 : broken.size();
    for (size_t k = 0; k < flips; ++k) broken[random() % range] = static_cast<char>(random());
    for (const auto& entry : std::filesystem::directory_iterator(options_.dir))
      std::filesystem::remove(entry.path());
    std::ofstream(path, std::ios::binary) << broken;
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    counts(7 * kDayNs, 50);
    finding("f7");
    std::vector<std::string> names;
    auto file = HistoryFile::open(options_, current_boot_id(), wall_, names);
    damaged += !names.empty();
    if (!file) continue;
    try {
      (*file)->take_unresolved();
      (*file)->write(batch(0, {made_row(10, 3)}));
      (*file)->write({{made_finding("x"), wall_, {}}});
      (*file)->tidy(realtime_now_ns());
    } catch (const DatabaseError& error) {
      EXPECT_FALSE(error.message.empty());
    }
  }
  EXPECT_GT(damaged, 50u);
}

}  // namespace
}  // namespace loiter::test
