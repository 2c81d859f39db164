// Threads that nobody joined: what the book keeps of the looks, and what is found of it.
#include "daemon/detect/unjoined.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/pictures.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

constexpr TaskKey kProcess{100, 100'000};

// A process, its looks and its snapshots. Thresholds of 2 s: windows of 8 s.
class Looks {
 public:
  Looks() {
    snapshot = make_snapshot({make_process(100, "api", {make_thread(100, "api", 0)})});
    snapshot->begin_boot_ns = 5000 * kSecond;
    inspection.pid = kProcess.tid;
    inspection.start_boot_ns = kProcess.start_boot_ns;
    inspection.routines = {{"worker", 5, 0x10, ""}, {"", 5, 0x20, "shop::Keeper"}};
    inspection.modules[5] = "/bin/x";
    inspection.pthreads.emplace();
  }

  void add(uint64_t pointer, uint32_t routine = 0, std::optional<uint64_t> bytes = 4096) {
    UnjoinedThread thread;
    thread.thread_pointer = pointer;
    thread.routine = routine;
    thread.stack_bytes = bytes;
    inspection.pthreads->unjoined.push_back(thread);
  }
  // Its end was seen.
  void log_end(uint64_t pointer, uint64_t born_boot_ns, uint64_t ended_boot_ns) {
    EndedThread ended;
    ended.key = {static_cast<uint32_t>(pointer), born_boot_ns};
    ended.tgid = kProcess.tid;
    ended.process_start_boot_ns = kProcess.start_boot_ns;
    ended.ended_boot_ns = ended_boot_ns;
    ended.tls_base = pointer;
    snapshot->ended.push_back(ended);
  }
  // Somebody is in pthread_join() since.
  void join_since(uint64_t boot_ns) {
    inspection.pthreads->joining = 1;
    InspectedThread joiner;
    joiner.record.id.tid = kProcess.tid;
    joiner.blocked = true;
    joiner.wait.emplace().kind = WaitKind::join;
    inspection.threads = {joiner};
    snapshot->processes[0].threads[0].blocked_ns = snapshot->begin_boot_ns - boot_ns;
  }
  void look() { book.take(inspection, *snapshot); }
  void pass(uint64_t ns) { snapshot->begin_boot_ns += ns; }
  uint64_t now() const { return snapshot->begin_boot_ns; }
  std::vector<Finding> found() const {
    const HostCase host(*snapshot, waits, Thresholds::of(2 * kSecond));
    return find_unjoined(host, book);
  }

  std::shared_ptr<Snapshot> snapshot;
  Inspection inspection;
  UnjoinedBook book;
  Waits waits;
};

TEST(UnjoinedBook, KeepsSinceWhen) {
  Looks looks;
  const uint64_t first = looks.now();
  looks.add(0x2000);
  looks.look();
  looks.pass(5 * kSecond);
  looks.add(0x1000, 1);
  looks.log_end(0x3000, 1, 4990 * kSecond);
  looks.add(0x3000);
  looks.look();
  const UnjoinedProcess* told = looks.book.find(kProcess);
  ASSERT_TRUE(told);
  ASSERT_EQ(told->threads.size(), 3u);
  EXPECT_EQ(told->threads[0].thread_pointer, 0x1000u);
  EXPECT_EQ(told->threads[0].since_boot_ns, first + 5 * kSecond);
  EXPECT_EQ(told->threads[1].since_boot_ns, first);
  EXPECT_EQ(told->threads[2].since_boot_ns, 4990 * kSecond) << "its end was seen";
  EXPECT_EQ(told->routines[told->threads[0].routine].callable, "shop::Keeper");
  EXPECT_EQ(told->routines[told->threads[1].routine].frame.symbol, "worker");
}

TEST(UnjoinedBook, ALookThatCannotTellChangesNothing) {
  Looks looks;
  looks.add(0x2000);
  looks.look();
  looks.inspection.pthreads.reset();
  looks.look();
  EXPECT_EQ(looks.book.find(kProcess)->threads.size(), 1u);
}

TEST(UnjoinedBook, ForgetsProcessesAndIsBounded) {
  Looks looks;
  for (size_t i = 0; i < UnjoinedBook::kMostThreads + 10; ++i) looks.add(0x1000 + i);
  looks.look();
  EXPECT_EQ(looks.book.thread_count(), UnjoinedBook::kMostThreads);
  EXPECT_EQ(looks.book.find(kProcess)->left_out, 10u);
  looks.look();
  EXPECT_EQ(looks.book.thread_count(), UnjoinedBook::kMostThreads) << "in place of the first look";
  looks.book.expire(*looks.snapshot);
  EXPECT_TRUE(looks.book.find(kProcess));
  looks.snapshot->processes[0].key.start_boot_ns = 7;
  looks.book.expire(*looks.snapshot);
  EXPECT_FALSE(looks.book.find(kProcess));
  EXPECT_EQ(looks.book.thread_count(), 0u);
}

TEST(UnjoinedBook, ListsKnowMoreThanProbes) {
  Looks looks;
  PthreadsView view;
  view.process = kProcess;
  Pthread thread;
  thread.id = 0x9000;
  thread.task = {7, 70};
  thread.ended_boot_ns = 4000 * kSecond;
  thread.routine = 0x55d0;
  view.unjoined = {thread};
  thread.joined_boot_ns = 4100 * kSecond;
  view.live = {thread};
  looks.book.take(view, *looks.snapshot);
  const UnjoinedProcess* told = looks.book.find(kProcess);
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->by_probes);
  EXPECT_EQ(told->threads[0].since_boot_ns, 4000 * kSecond);
  EXPECT_EQ(told->joining, 1u);
  EXPECT_EQ(told->joins_since_boot_ns, 4100 * kSecond);
  looks.add(0x2000);
  looks.look();
  looks.book.take(view, *looks.snapshot);
  EXPECT_FALSE(looks.book.find(kProcess)->by_probes);
  EXPECT_EQ(looks.book.find(kProcess)->threads[0].thread_pointer, 0x2000u);
}

TEST(Unjoined, OnlyPastTheThreshold) {
  Looks looks;
  for (uint64_t i = 0; i < 8; ++i) looks.add(0x1000 + i, i < 6 ? 0 : 1);
  looks.look();
  looks.pass(2 * kSecond - 1);
  EXPECT_TRUE(looks.found().empty());
  looks.look();
  EXPECT_TRUE(looks.found().empty());
  looks.pass(1);
  EXPECT_TRUE(looks.found().empty()) << "somebody may have joined them since they were seen";
  looks.look();
  const std::vector<Finding> findings = looks.found();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, FindingKind::unjoined);
  EXPECT_EQ(findings[0].severity, Severity::warning);
  EXPECT_EQ(findings[0].certainty, Certainty::proven);
  EXPECT_EQ(findings[0].count, 8u);
  EXPECT_NE(findings[0].summary.find("(worker 6, shop::Keeper 2)"), std::string::npos) << findings[0].summary;
  EXPECT_EQ(findings[0].threads.size(), 8u);
}

TEST(Unjoined, AFewAreToldAndNoWarning) {
  Looks looks;
  for (uint64_t i = 0; i < 7; ++i) looks.add(0x1000 + i);
  looks.look();
  looks.pass(100 * kSecond);
  looks.look();
  const std::vector<Finding> findings = looks.found();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity, Severity::info);
}

TEST(Unjoined, AFewThatGrowAreAWarning) {
  for (const bool hole : {false, true}) {
    Looks looks;
    for (uint64_t window = 0; window < 3; ++window) {
      if (!hole || window != 1) looks.add(0x1000 + window);
      looks.look();
      looks.pass(8 * kSecond);
    }
    looks.look();
    const std::vector<Finding> findings = looks.found();
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].severity, hole ? Severity::info : Severity::warning);
  }
}

TEST(Unjoined, NoneWhileSomebodyMayBeWorkingThroughAList) {
  Looks looks;
  for (uint64_t i = 0; i < 20; ++i) looks.add(0x1000 + i);
  looks.join_since(4000 * kSecond);
  looks.look();
  looks.pass(100 * kSecond);
  EXPECT_TRUE(looks.found().empty());
  // Born before the join began.
  for (uint64_t i = 0; i < 20; ++i) looks.log_end(0x1000 + i, 3999 * kSecond, 4500 * kSecond);
  looks.look();
  EXPECT_TRUE(looks.found().empty());
}

// As under a main thread that joins its server for ever.
TEST(Unjoined, ThreadsYoungerThanTheJoinAreInNoList) {
  Looks looks;
  for (uint64_t i = 0; i < 20; ++i) {
    looks.add(0x1000 + i);
    looks.log_end(0x1000 + i, (i < 9 ? 4001 : 3999) * kSecond, 4500 * kSecond);
  }
  looks.join_since(4000 * kSecond);
  looks.look();
  const std::vector<Finding> findings = looks.found();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].count, 9u);
  looks.inspection.pthreads->joining = 2;  // of one of them it is not known since when
  looks.look();
  EXPECT_TRUE(looks.found().empty());
}

TEST(Unjoined, IsGoneWhenTheyWereJoined) {
  Looks looks;
  for (uint64_t i = 0; i < 8; ++i) looks.add(0x1000 + i);
  looks.look();
  looks.pass(10 * kSecond);
  looks.look();
  ASSERT_EQ(looks.found().size(), 1u);
  looks.inspection.pthreads->unjoined.clear();
  looks.look();
  EXPECT_TRUE(looks.found().empty());
}

TEST(Unjoined, WhoAsksIsToldOfAllAtOnce) {
  Looks looks;
  looks.add(0x1000);
  looks.add(0x2000, 1, std::nullopt);
  const std::optional<UnjoinedProcess> told = unjoined_of(looks.inspection, *looks.snapshot);
  ASSERT_TRUE(told);
  const std::optional<Finding> finding = all_unjoined(looks.snapshot->processes[0], *told);
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->count, 2u);
  EXPECT_EQ(finding->severity, Severity::warning);
  EXPECT_FALSE(std::ranges::any_of(finding->evidence,
                                   [](const Evidence& item) { return item.name == "stack_bytes"; }));
  UnjoinedProcess none;
  EXPECT_FALSE(all_unjoined(looks.snapshot->processes[0], none));
}

}  // namespace
}  // namespace loiter::test
