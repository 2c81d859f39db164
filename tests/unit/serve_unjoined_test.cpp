// The document of what ended and was never taken note of: counts, sums and dates, and null where a thing is
// not known.
#include "daemon/serve/unjoined_document.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/pictures.h"

namespace loiter::test {
namespace {

using nlohmann::json;

Inspection sample_inspection() {
  Inspection inspection;
  inspection.pid = 100;
  inspection.routines = {{"worker", 5, 0x10, ""}, {"", 5, 0x20, ""}};
  inspection.modules[5] = "/bin/x";
  PthreadCounts& counts = inspection.pthreads.emplace();
  counts.live = 4;
  counts.joining = 1;
  counts.unjoined = {{.thread_pointer = 0x1000, .start_routine = 1, .routine = 0, .stack_bytes = 4096},
                     {.thread_pointer = 0x2000, .start_routine = 1, .routine = 0, .stack_bytes = 8192},
                     {.thread_pointer = 0x3000, .start_routine = 2, .routine = 1, .stack_bytes = 4096}};
  return inspection;
}

std::shared_ptr<Picture> sample_picture() {
  auto snapshot = make_snapshot({make_process(100, "api", {make_thread(100, "api", {})}),
                                 make_process(200, "child", {make_thread(200, "child", {})}),
                                 make_process(201, "alive", {make_thread(201, "alive", {})})});
  for (ProcessView& process : snapshot->processes) process.parent_pid = process.key.tid == 100 ? 1 : 100;
  snapshot->processes[1].threads[0].state = TaskState::zombie;
  snapshot->processes[1].threads[0].ended_boot_ns = 1'900'000'000;
  for (const uint64_t end : {1'000'000'000, 1'500'000'000}) {  // the second had the descriptor of the first
    EndedThread ended;
    ended.key = {end == 1'000'000'000 ? 110U : 111U, 5};
    ended.tgid = 100;
    ended.process_start_boot_ns = 100'000;
    ended.ended_boot_ns = end;
    ended.tls_base = 0x2000;
    snapshot->ended.push_back(ended);
  }
  EndedThread foreign = snapshot->ended.back();
  foreign.tgid = 77;
  foreign.tls_base = 0x3000;
  snapshot->ended.push_back(foreign);
  return make_picture(snapshot);
}

json document_of(const Inspection& inspection) {
  const auto picture = sample_picture();
  return json::parse(unjoined_document(*picture, *picture->snapshot->find(100), inspection));
}

TEST(UnjoinedDocument, CountsByRoutineAndDatesWhatWasSeen) {
  const json document = document_of(sample_inspection());
  EXPECT_EQ(document["failure"], nullptr);
  EXPECT_EQ(document["unjoined"], 3);
  EXPECT_EQ(document["stack_bytes"], 16384);
  EXPECT_EQ(document["live_joinable"], 4);
  EXPECT_EQ(document["joining"], 1);
  ASSERT_EQ(document["by_routine"].size(), 2u);
  EXPECT_EQ(document["by_routine"][0]["count"], 2);
  EXPECT_EQ(document["by_routine"][0]["stack_bytes"], 12288);
  EXPECT_EQ(document["by_routine"][0]["start_routine"]["symbol"], "worker");
  EXPECT_EQ(document["by_routine"][0]["start_routine"]["module"], "/bin/x");
  EXPECT_EQ(document["by_routine"][0]["age_ns"], 500'000'000);
  EXPECT_EQ(document["by_routine"][1]["age_ns"], nullptr) << "that was a thread of another process";
  EXPECT_EQ(document["threads"][0]["tid"], nullptr);
  EXPECT_EQ(document["threads"][1]["tid"], 111) << "the last that had the descriptor";
  EXPECT_EQ(document["threads"][1]["ended_boottime_ns"], 1'500'000'000);
  EXPECT_EQ(document["threads"][1]["exactness"], "exact");
  ASSERT_EQ(document["findings"].size(), 1u);
  EXPECT_EQ(document["findings"][0]["severity"], "warning");
  EXPECT_EQ(document["findings"][0]["count"], 3);
}

TEST(UnjoinedDocument, AnUnknownStackMakesTheSumsUnknown) {
  Inspection inspection = sample_inspection();
  inspection.pthreads->unjoined[2].stack_bytes.reset();
  json document = document_of(inspection);
  EXPECT_EQ(document["stack_bytes"], nullptr);
  EXPECT_EQ(document["by_routine"][0]["stack_bytes"], 12288);
  EXPECT_EQ(document["by_routine"][1]["stack_bytes"], nullptr);
  inspection.pthreads->unjoined[2].user_stack = true;
  document = document_of(inspection);
  EXPECT_EQ(document["stack_bytes"], 12288) << "the program's own does not count";
}

TEST(UnjoinedDocument, ZombiesAreToldAlsoWhereThreadsCannotBe) {
  Inspection inspection;
  inspection.pthreads_failure = "musl keeps no list";
  const json document = document_of(inspection);
  EXPECT_EQ(document["failure"], "musl keeps no list");
  EXPECT_EQ(document["unjoined"], nullptr);
  EXPECT_EQ(document["stack_bytes"], nullptr);
  EXPECT_EQ(document["detached"], nullptr);
  EXPECT_TRUE(document["findings"].empty());
  ASSERT_EQ(document["zombies"].size(), 1u);
  EXPECT_EQ(document["zombies"][0]["pid"], 200);
  EXPECT_EQ(document["zombies"][0]["age_ns"], 100'000'000);
  EXPECT_EQ(document["zombies"][0]["exactness"], "exact");
}

}  // namespace
}  // namespace loiter::test
