// Events out of the bytes of the ring: what each record holds, records cut short, and bytes that are none.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "daemon/sensors/event_reader.h"

namespace loiter::test {
namespace {

loiter_event make_head(loiter_event_type type) {
  loiter_event head{};
  head.type = type;
  head.boot_ns = 123;
  head.task = {.tid = 7, .tgid = 5, .start_boot_ns = 99, .exec_id = 3, .pad = 0};
  return head;
}

// From memory of just that size, so that a reader beyond its end is caught.
bool decode(const void* data, size_t size, Event& event) {
  std::unique_ptr<char[]> exact(new char[size]);
  if (size) std::memcpy(exact.get(), data, size);
  return decode_event(exact.get(), size, event);
}

void expect_head(const Event& event, loiter_event_type type) {
  EXPECT_EQ(event.type, type);
  EXPECT_EQ(event.boot_ns, 123u);
  EXPECT_EQ(event.task.tid, 7u);
  EXPECT_EQ(event.task.tgid, 5u);
  EXPECT_EQ(event.task.start_boot_ns, 99u);
  EXPECT_EQ(event.task.exec_id, 3u);
}

TEST(DecodeEvent, ABirth) {
  loiter_birth record{.event = make_head(LOITER_EVENT_BIRTH),
                      .creator = {.tid = 5, .tgid = 5, .start_boot_ns = 44, .exec_id = 3, .pad = 0},
                      .clone_flags = 0x10900,
                      .parent_tgid = 1,
                      .task_flags = 0x40,
                      .tls_base = 0x7f0000001000,
                      .comm = "parent",
                      .slice_state = LOITER_SLICE_TAKEN,
                      .slice = 17};
  Event event;
  ASSERT_TRUE(decode(&record, sizeof(record), event));
  expect_head(event, LOITER_EVENT_BIRTH);
  EXPECT_EQ(event.creator.start_boot_ns, 44u);
  EXPECT_EQ(event.clone_flags, 0x10900u);
  EXPECT_EQ(event.parent_tgid, 1u);
  EXPECT_EQ(event.task_flags, 0x40u);
  EXPECT_EQ(event.tls_base, 0x7f0000001000u);
  EXPECT_EQ(event.slice_state, LOITER_SLICE_TAKEN);
  EXPECT_EQ(event.slice, 17u);
  EXPECT_EQ(event.name, "parent");
}

TEST(DecodeEvent, ABirthNamesNoSlotThatThereIsNot) {
  loiter_birth record{};
  record.event = make_head(LOITER_EVENT_BIRTH);
  Event event;
  record.slice = LOITER_SLICES - 1;
  EXPECT_TRUE(decode(&record, sizeof(record), event));
  record.slice = LOITER_SLICES;
  EXPECT_FALSE(decode(&record, sizeof(record), event));
  record.slice = 0;
  record.slice_state = LOITER_SLICE_STATE_COUNT;
  EXPECT_FALSE(decode(&record, sizeof(record), event));
}

TEST(DecodeEvent, AnExecSendsNoMoreThanItsPath) {
  loiter_exec record{};
  record.event = make_head(LOITER_EVENT_EXEC);
  record.old_tid = 6;
  std::strcpy(record.comm, "prog");
  std::strcpy(record.filename, "/bin/prog");
  record.filename_len = 9;
  Event event;
  ASSERT_TRUE(decode(&record, offsetof(loiter_exec, filename) + 10, event));
  expect_head(event, LOITER_EVENT_EXEC);
  EXPECT_EQ(event.old_tid, 6u);
  EXPECT_EQ(event.name, "prog");
  EXPECT_EQ(event.filename, "/bin/prog");
}

TEST(DecodeEvent, AnExecMayClaimNoMoreThanWasSent) {
  loiter_exec record{};
  record.event = make_head(LOITER_EVENT_EXEC);
  Event event;
  for (uint32_t length : {11u, 256u, 0xffffffffu}) {
    record.filename_len = length;
    EXPECT_FALSE(decode(&record, offsetof(loiter_exec, filename) + 10, event)) << length;
  }
  record.filename_len = LOITER_FILENAME_LEN;
  EXPECT_FALSE(decode(&record, sizeof(record), event));
  record.filename_len = LOITER_FILENAME_LEN - 1;
  EXPECT_TRUE(decode(&record, sizeof(record), event));
  EXPECT_EQ(event.filename.size(), size_t{LOITER_FILENAME_LEN - 1});
}

TEST(DecodeEvent, AnExit) {
  const loiter_exit record{.event = make_head(LOITER_EVENT_EXIT), .cpu_ns = 55, .exit_code = 0x100, .pad = 0};
  Event event;
  ASSERT_TRUE(decode(&record, sizeof(record), event));
  expect_head(event, LOITER_EVENT_EXIT);
  EXPECT_EQ(event.cpu_ns, 55u);
  EXPECT_EQ(event.exit_code, 0x100u);
  EXPECT_EQ(event.name, "");
}

TEST(DecodeEvent, ARenameToBytesOfAnyKind) {
  loiter_rename record{.event = make_head(LOITER_EVENT_RENAME), .comm = {}};
  std::memcpy(record.comm, "\xff\x1b[2J\n", 6);
  Event event;
  ASSERT_TRUE(decode(&record, sizeof(record), event));
  expect_head(event, LOITER_EVENT_RENAME);
  EXPECT_EQ(event.name, "\xff\x1b[2J\n");
  std::memset(record.comm, 'x', sizeof(record.comm));  // without a NUL
  ASSERT_TRUE(decode(&record, sizeof(record), event));
  EXPECT_EQ(event.name, std::string(LOITER_COMM_LEN, 'x'));
}

TEST(DecodeEvent, RecordsCutShortAreNone) {
  const size_t sizes[] = {0, sizeof(loiter_birth), offsetof(loiter_exec, filename), sizeof(loiter_exit),
                          sizeof(loiter_rename)};
  for (int type = LOITER_EVENT_BIRTH; type <= LOITER_EVENT_RENAME; ++type) {
    loiter_exec record{};
    record.event = make_head(static_cast<loiter_event_type>(type));
    Event event;
    for (size_t size = 0; size < sizes[type]; ++size)
      EXPECT_FALSE(decode(&record, size, event)) << type << size;
    EXPECT_TRUE(decode(&record, sizes[type], event)) << type;
  }
}

TEST(DecodeEvent, ACallOfAThreadLibrary) {
  loiter_pthread record{};
  record.event = make_head(LOITER_EVENT_PTHREAD);
  record.tls_base = 0x7f00;
  record.thread = 0x8f00;
  record.routine = 0x4000;
  record.arg = 9;
  record.call = LOITER_PTHREAD_CLOCK_JOIN;
  record.detached = LOITER_DETACHED_UNKNOWN;
  Event event;
  ASSERT_TRUE(decode(&record, sizeof(record), event));
  expect_head(event, LOITER_EVENT_PTHREAD);
  EXPECT_EQ(event.call, LOITER_PTHREAD_CLOCK_JOIN);
  EXPECT_EQ(event.tls_base, 0x7f00u);
  EXPECT_EQ(event.thread, 0x8f00u);
  EXPECT_EQ(event.routine, 0x4000u);
  EXPECT_EQ(event.arg, 9u);
  EXPECT_EQ(event.detached, LOITER_DETACHED_UNKNOWN);
  EXPECT_FALSE(decode(&record, sizeof(record) - 1, event));
  record.call = LOITER_PTHREAD_CALL_COUNT;
  EXPECT_FALSE(decode(&record, sizeof(record), event));
}

TEST(DecodeEvent, UnknownTypesAreNone) {
  loiter_exec record{};
  Event event;
  for (uint32_t type : {0u, 6u, 0xffffffffu}) {
    record.event.type = type;
    EXPECT_FALSE(decode(&record, sizeof(record), event)) << type;
  }
}

TEST(DecodeEvent, RandomBytesGiveNothingLargerThanARecordCanHold) {
  std::mt19937_64 random(1);
  size_t decoded = 0;
  for (int round = 0; round < 100'000; ++round) {
    unsigned char bytes[400];
    const size_t size = random() % (sizeof(bytes) + 1);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<unsigned char>(random());
    if (size >= 4) {
      const uint32_t type = static_cast<uint32_t>(random() % 6);
      std::memcpy(bytes, &type, sizeof(type));
    }
    constexpr size_t kLength = offsetof(loiter_exec, filename_len);
    if (size >= kLength + 4 && random() % 2) {
      const uint32_t length = static_cast<uint32_t>(random() % 300);
      std::memcpy(bytes + kLength, &length, sizeof(length));
    }
    Event event;
    if (!decode(bytes, size, event)) continue;
    ++decoded;
    ASSERT_LE(event.name.size(), size_t{LOITER_COMM_LEN});
    ASSERT_LT(event.filename.size(), size_t{LOITER_FILENAME_LEN});
  }
  EXPECT_GT(decoded, 10'000u);
}

}  // namespace
}  // namespace loiter::test
