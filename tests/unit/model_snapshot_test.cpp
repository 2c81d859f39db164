// Looking things up in a snapshot.
#include "daemon/model/snapshot.h"

#include <gtest/gtest.h>

#include <cstring>

namespace loiter {
namespace {

ProcessView make_process(uint32_t pid, std::optional<uint64_t> ended = {}) {
  ProcessView process;
  process.key = {pid, 1};
  process.ended_boot_ns = ended;
  if (ended) return process;
  process.threads.resize(2);
  process.threads[0].key = {pid, 1};
  process.threads[1].key = {pid + 1, 2};
  return process;
}

TEST(Snapshot, FindsALiveProcessBeforeAnEndedOneOfThatPid) {
  Snapshot snapshot;
  snapshot.processes = {make_process(10), make_process(20), make_process(30)};
  snapshot.ended_processes = {make_process(20, 5), make_process(40, 6), make_process(40, 9),
                              make_process(40, 7)};
  EXPECT_EQ(snapshot.find(20), &snapshot.processes[1]);
  EXPECT_EQ(snapshot.find(40)->ended_boot_ns, 9u);
  EXPECT_EQ(snapshot.find(31), nullptr);
  EXPECT_EQ(snapshot.find(0), nullptr);
}

TEST(Snapshot, FindsTheProcessOfAThread) {
  Snapshot snapshot;
  snapshot.processes = {make_process(10), make_process(20)};
  EXPECT_EQ(snapshot.find_thread(21), &snapshot.processes[1]);
  EXPECT_EQ(snapshot.find_thread(20), &snapshot.processes[1]);
  EXPECT_EQ(snapshot.find_thread(12), nullptr);
}

TEST(Comm, EndsWithItsBytesThoughNoNulDoes) {
  Comm comm;
  EXPECT_EQ(comm.view(), "");
  std::memset(comm.bytes, 'x', sizeof(comm.bytes));
  EXPECT_EQ(comm.view().size(), sizeof(comm.bytes));
}

TEST(Exactness, EachHasItsWord) {
  EXPECT_STREQ(to_string(Exactness::exact), "exact");
  EXPECT_STREQ(to_string(Exactness::estimated), "estimated");
  EXPECT_STREQ(to_string(Exactness::lower_bound), "lower_bound");
  EXPECT_STREQ(to_string(Exactness::unknown), "unknown");
}

}  // namespace
}  // namespace loiter
