// Waits from document to words, and what must not break them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/columns.h"
#include "cli/model.h"
#include "cli/wait_text.h"
#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

Wait wait_of(const json& members) {
  return parse_wait(json{{"wait", members}}).value();
}

json mutex_document() {
  return json::parse(R"({"kind": "lock", "syscall": "futex", "object": "0x55d0a1b2c0f0", "holder_tid": 4711,
    "holder_pid": 812, "timeout_ns": null, "detail": "pthread_mutex_t, normal", "timeout_left_ns": null,
    "bounded": false, "private": true, "fd": null, "holder_name": "db-writer", "holder_state": "alive",
    "peers": [], "a_new_field": 1})");
}

TEST(ParseWait, ReadsEveryField) {
  json members = mutex_document();
  members["fd"] = 3;
  members["timeout_ns"] = 5;
  members["timeout_left_ns"] = 4;
  members["peers"] = json::parse(R"([{"pid": 9, "tid": null, "comm": "x", "fd": 3}])");
  const Wait wait = wait_of(members);
  EXPECT_EQ(wait.kind, "lock");
  EXPECT_EQ(wait.syscall, "futex");
  EXPECT_EQ(wait.object, "0x55d0a1b2c0f0");
  EXPECT_EQ(wait.detail, "pthread_mutex_t, normal");
  EXPECT_EQ(wait.holder_tid, 4711u);
  EXPECT_EQ(wait.holder_pid, 812u);
  EXPECT_EQ(wait.holder_name, "db-writer");
  EXPECT_EQ(wait.holder_state, "alive");
  EXPECT_EQ(wait.timeout_ns, 5u);
  EXPECT_EQ(wait.timeout_left_ns, 4u);
  EXPECT_EQ(wait.bounded, false);
  EXPECT_EQ(wait.fd, 3);
  ASSERT_EQ(wait.peers.size(), 1u);
  EXPECT_EQ(wait.peers[0].pid, 9u);
  EXPECT_FALSE(wait.peers[0].tid);
  EXPECT_EQ(wait.peers[0].comm, "x");
}

TEST(WaitText, NamesTheChildOfAVforkOnce) {
  EXPECT_EQ(wait_text(wait_of({{"kind", "vfork"},
                               {"object", "pid 4712"},
                               {"holder_pid", 4712},
                               {"holder_name", "sh"},
                               {"holder_state", "alive"}})),
            "vfork pid 4712 sh");
  EXPECT_EQ(wait_text(wait_of({{"kind", "vfork"}, {"object", "pid 4712"}})), "vfork pid 4712");
}

TEST(WaitText, NamesAllThatHoldAFileLockTogether) {
  json members = {
      {"kind", "file_lock"}, {"syscall", "flock"}, {"object", "/run/lock"}, {"holder_state", "unknown"}};
  EXPECT_EQ(wait_text(wait_of(members)), "flock /run/lock holder unknown");
  members["peers"] = json::parse(R"([{"pid": 9, "comm": "flock"}, {"pid": 10, "comm": "sleep"}])");
  EXPECT_EQ(wait_text(wait_of(members)), "flock /run/lock held by 9 flock or 10 sleep");
  members["peers"].push_back({{"pid", 11}, {"comm", "sh"}});
  EXPECT_EQ(wait_text(wait_of(members)), "flock /run/lock held by 9 flock or 10 sleep or 1 more");
}

TEST(ParseWait, NullAndMissingAreNone) {
  EXPECT_FALSE(parse_wait(json{{"wait", nullptr}}));
  EXPECT_FALSE(parse_wait(json::object()));
}

TEST(ParseWait, EachMissingMemberIsNotKnown) {
  const json whole = mutex_document();
  for (const auto& [key, value] : whole.items()) {
    json members = whole;
    members.erase(key);
    EXPECT_FALSE(wait_text_long(wait_of(members)).empty()) << key;
    members[key] = nullptr;
    EXPECT_FALSE(wait_sentence(wait_of(members)).empty()) << key;
  }
  EXPECT_EQ(wait_text(wait_of(json::object())), "?");
  EXPECT_EQ(wait_sentence(wait_of(json::object())), "is blocked in something not known");
}

TEST(ParseWait, AnotherTypeRefusesTheDocument) {
  for (const char* key : {"kind", "object", "holder_tid", "peers", "bounded", "fd"}) {
    json wait = mutex_document();
    wait[key] = json::array({json::array()});
    const json document{{"process", {{"pid", 1}}}, {"threads", {{{"tid", 1}, {"wait", wait}}}}};
    EXPECT_FALSE(parse_tree(document)) << key;
  }
  json wait = mutex_document();
  wait["holder_tid"] = -1;
  EXPECT_FALSE(parse_tree(json{{"process", {{"pid", 1}}}, {"threads", {{{"wait", wait}}}}}));
}

TEST(ParseWait, PeersAreBounded) {
  json members{{"kind", "read"}, {"peers", json::array()}};
  for (int pid = 1; pid <= 5000; ++pid) members["peers"].push_back({{"pid", pid}});
  EXPECT_LE(wait_of(members).peers.size(), 64u);
}

struct Told {
  const char* document;
  const char* text;
};

class WaitWords : public ::testing::TestWithParam<Told> {};

TEST_P(WaitWords, AsPeopleSayThem) {
  EXPECT_EQ(wait_text(wait_of(json::parse(GetParam().document))), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Cli, WaitWords,
    ::testing::Values(
        Told{R"({"kind": "lock", "object": "0x55d0", "detail": "pthread_mutex_t, normal", "holder_tid": 4711,
                 "holder_name": "db-writer", "holder_state": "alive"})",
             "mutex 0x55d0 held by 4711 db-writer"},
        Told{
            R"({"kind": "lock", "object": "0x1", "detail": "pthread_rwlock_t, write", "holder_state": "unknown"})",
            "rwlock 0x1 holder unknown"},
        Told{R"({"kind": "lock", "object": "0x1", "detail": "FILE", "holder_tid": 5})",
             "FILE lock 0x1 held by 5"},
        Told{R"({"kind": "lock", "object": "0x1", "detail": "Rust Mutex", "holder_state": "none"})",
             "lock 0x1"},
        Told{R"({"kind": "lock", "object": "0x1", "detail": "pthread_mutex_t", "holder_tid": 4711,
                 "holder_state": "ended"})",
             "mutex 0x1 owner 4711 ENDED"},
        Told{R"({"kind": "lock", "object": "0x1", "detail": "pthread_mutex_t", "holder_tid": 4711,
                 "holder_state": "inherited"})",
             "mutex 0x1 locked before the fork (inherited)"},
        Told{
            R"({"kind": "lock", "detail": "pthread_mutex_t", "holder_tid": 1, "timeout_left_ns": 12000000000})",
            "mutex held by 1, 12.0s left"},
        Told{R"({"kind": "condvar", "object": "0x1", "bounded": false, "holder_state": "none"})",
             "condvar 0x1, no timeout"},
        Told{R"({"kind": "condvar", "object": "0x1", "bounded": true})", "condvar 0x1, with a timeout"},
        Told{R"({"kind": "condvar", "object": "0x1"})", "condvar 0x1"},
        Told{R"({"kind": "semaphore", "object": "0x1", "timeout_ns": 5000000000, "bounded": true})",
             "semaphore 0x1, timeout 5.00s"},
        Told{R"({"kind": "join", "object": "0x1", "holder_tid": 4713, "holder_name": "worker"})",
             "join 4713 worker"},
        Told{R"({"kind": "join", "holder_tid": 4713, "holder_state": "ended"})", "join 4713 ENDED"},
        Told{R"({"kind": "sleep", "syscall": "nanosleep", "bounded": true, "timeout_left_ns": 72000000000})",
             "nanosleep, 1m12s left"},
        Told{R"({"kind": "sleep", "bounded": true, "timeout_left_ns": 0})", "sleep, its time is up"},
        Told{R"({"kind": "read", "syscall": "read", "object": "pipe:[123]",
                 "peers": [{"pid": 712, "comm": "sh"}]})",
             "read pipe:[123], other end 712 sh"},
        Told{R"({"kind": "read", "object": "pipe:[1]",
                 "peers": [{"pid": 1, "comm": "a"}, {"pid": 2}, {"tid": 3}, {}, {"comm": "d"}]})",
             "read pipe:[1], other end 1 a, 2 and 2 more"},
        Told{R"({"kind": "poll", "syscall": "epoll_wait", "object": "epoll of 3: tcp x", "bounded": false})",
             "epoll of 3: tcp x"},
        Told{R"({"kind": "poll", "syscall": "ppoll", "object": "eventfd"})", "ppoll eventfd"},
        Told{R"({"kind": "file_lock", "syscall": "flock", "object": "/var/x", "holder_pid": 99})",
             "flock /var/x held by pid 99"},
        Told{R"({"kind": "wait_child", "syscall": "wait4", "object": "pid 123"})", "wait4 pid 123"},
        Told{R"({"kind": "other", "syscall": "sched_yield"})", "sched_yield"},
        Told{R"({"kind": "stopped"})", "stopped"},
        Told{R"({"kind": "a kind of later", "object": "thing"})", "a kind of later thing"}));

class WaitSentences : public ::testing::TestWithParam<Told> {};

TEST_P(WaitSentences, SayWhatTheThreadDoes) {
  EXPECT_EQ(wait_sentence(wait_of(json::parse(GetParam().document))), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Cli, WaitSentences,
    ::testing::Values(
        Told{R"({"kind": "lock", "object": "0x1", "detail": "pthread_mutex_t", "holder_tid": 7})",
             "waits for mutex 0x1 held by 7"},
        Told{R"({"kind": "join", "holder_tid": 7, "holder_name": "w"})", "waits for 7 w to end (join)"},
        Told{R"({"kind": "join"})", "waits for a thread to end (join)"},
        Told{R"({"kind": "sleep", "syscall": "nanosleep", "timeout_left_ns": 1000000000})",
             "sleeps (nanosleep), 1.00s left"},
        Told{R"({"kind": "read", "object": "tcp 127.0.0.1:80 -> 127.0.0.1:4711 established"})",
             "waits to read from TCP connection 127.0.0.1:80 -> 127.0.0.1:4711 established"},
        Told{R"({"kind": "poll"})", "waits for something to happen on its descriptors"},
        Told{R"({"kind": "accept", "object": "unix /run/x"})",
             "waits for somebody to connect to unix /run/x"},
        Told{R"({"kind": "wait_child", "object": "pid 5"})", "waits for its child pid 5 to end"},
        Told{R"({"kind": "wait_child"})", "waits for its child processes to end"},
        Told{R"({"kind": "disk"})", "waits for the disk"}, Told{R"({"kind": "frozen"})", "is frozen"},
        Told{R"({"kind": "other", "syscall": "x"})", "is blocked in x"},
        Told{R"({"kind": "file_lock", "syscall": "flock", "object": "/x", "holder_pid": 9})",
             "waits for flock /x held by pid 9"}));

TEST(WaitText, TheLongFormHasDetailAndDescriptor) {
  EXPECT_EQ(wait_text_long(wait_of(mutex_document())),
            "mutex 0x55d0a1b2c0f0 held by 4711 db-writer (pthread_mutex_t, normal)");
  EXPECT_EQ(wait_text_long(wait_of({{"kind", "read"}, {"object", "eventfd"}, {"fd", 3}})),
            "read eventfd (fd 3)");
}

TEST(WaitText, NarrowerItKeepsWhoHoldsIt) {
  const Wait wait = wait_of(mutex_document());
  EXPECT_EQ(wait_text_within(wait, 80), "mutex 0x55d0a1b2c0f0 held by 4711 db-writer");
  EXPECT_EQ(wait_text_within(wait, 42), "mutex 0x…c0f0 held by 4711 db-writer");
  EXPECT_EQ(wait_text_within(wait, 30), "mutex held by 4711 db-writer");
  EXPECT_EQ(wait_text_within(wait, 23), "mutex of 4711 db-writer");
  EXPECT_EQ(wait_text_within(wait, 14), "mutex of 4711…");
  const Wait read = wait_of({{"kind", "read"}, {"object", "pipe:[123]"}});
  EXPECT_EQ(wait_text_within(read, 9), "read pip…");
}

TEST(WaitText, NeverWiderThanAsked) {
  for (const json& members :
       {mutex_document(), json{{"kind", "read"}, {"object", "日本語のファイル"}}, json::object()})
    for (size_t columns = 0; columns < 60; ++columns)
      EXPECT_LE(display_width(wait_text_within(wait_of(members), columns)), columns);
}

TEST(WaitText, HostileStringsAreEscapedInEveryForm) {
  const std::string nasty = "a\x1b[31m\nb\xff\u202e";
  for (const char* kind :
       {"lock",   "condvar", "join",    "semaphore",  "barrier",    "futex",  "sleep",     "poll",
        "accept", "read",    "write",   "connect",    "wait_child", "signal", "file_lock", "ipc",
        "disk",   "vfork",   "stopped", "page_fault", "io_uring",   "other",  "\x1b\n\xff"}) {
    Wait wait;
    wait.kind = kind;
    wait.syscall = wait.object = wait.detail = wait.holder_name = nasty;
    wait.holder_tid = 5;
    wait.peers = {{{}, {}, nasty}};
    for (const std::string& text :
         {wait_text(wait), wait_text_long(wait), wait_sentence(wait), wait_text_within(wait, 30)}) {
      EXPECT_EQ(text.find_first_of("\x1b\n\xff"), text.npos) << kind;
      EXPECT_EQ(text.find("\u202e"), text.npos) << kind;
      EXPECT_EQ(to_valid_utf8(text), text) << kind;
    }
  }
}

TEST(WaitClass, LocksMustEndAndPollIsIdle) {
  for (const char* kind : {"lock", "barrier", "disk", "write", "connect", "file_lock", "vfork"})
    EXPECT_EQ(wait_class(wait_of({{"kind", kind}})), WaitClass::must_end) << kind;
  for (const char* kind : {"poll", "accept", "sleep", "condvar", "semaphore", "join", "signal", "stopped"})
    EXPECT_EQ(wait_class(wait_of({{"kind", kind}})), WaitClass::idle) << kind;
  for (const char* kind : {"futex", "other", "", "of later"})
    EXPECT_EQ(wait_class(wait_of({{"kind", kind}})), WaitClass::unclear) << kind;
}

TEST(WaitColumn, IsTheWaitElseTheSyscall) {
  const ThreadColumn& column = *find_column(thread_columns(), "wait");
  ThreadRow row;
  EXPECT_EQ(column.text(row), "");
  row.syscall = "futex";
  EXPECT_EQ(column.text(row), "futex");
  EXPECT_EQ(column.text_within(row, 10), "futex");
  row.wait = wait_of(mutex_document());
  EXPECT_EQ(column.text(row), "mutex 0x55d0a1b2c0f0 held by 4711 db-writer");
  EXPECT_EQ(column.text_within(row, 23), "mutex of 4711 db-writer");
  EXPECT_EQ(display_width(column.text_within(row, 20)), 20u);
}

}  // namespace
}  // namespace loiter::cli
