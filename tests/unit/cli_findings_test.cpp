// Findings as text, from documents as API.md has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/event_text.h"
#include "cli/finding_text.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json blocked_thread(uint32_t tid, const std::string& name, uint32_t holder) {
  return {
      {"pid", 812},
      {"comm", "api"},
      {"tid", tid},
      {"name", name},
      {"state", "sleeping"},
      {"blocked_ns", 5'000'000'000},
      {"blocked_max_ns", 5'000'000'000},
      {"exactness", "exact"},
      {"wait",
       {{"kind", "lock"},
        {"syscall", "futex"},
        {"object", "0x1000"},
        {"holder_tid", holder},
        {"holder_pid", 812},
        {"holder_name", "other"},
        {"holder_state", "alive"},
        {"detail", "pthread_mutex_t, normal"},
        {"bounded", false}}},
      {"stack",
       {{{"symbol", "pthread_mutex_lock"}, {"module", "/lib/libc.so.6"}, {"offset", 1}},
        {{"symbol", name + "_work"}, {"module", "/bin/api"}, {"offset", 2}, {"file", "a.c"}, {"line", 7}}}},
      {"cut", nullptr}};
}

json deadlock_finding() {
  return {
      {"id", "deadlock-812-1"},
      {"kind", "deadlock"},
      {"severity", "critical"},
      {"certainty", "proven"},
      {"process", {{"pid", 812}, {"comm", "api\x1b[2J"}, {"unit", "api.service"}}},
      {"count", 5},
      {"chain", 2},
      {"threads",
       {blocked_thread(814, "one", 815), blocked_thread(815, "two", 814), blocked_thread(816, "three", 814)}},
      {"summary", "2 threads wait for one another"},
      {"hint", "take them in order"},
      {"since", "2026-11-21T06:18:04.123456789Z"},
      {"first_seen", "2026-11-21T06:18:06.5Z"},
      {"last_seen", "2026-11-21T06:18:09Z"},
      {"resolved", nullptr},
      {"resolution", nullptr}};
}

TEST(FindingText, TellsAllOfACircleWithItsStacks) {
  EXPECT_THAT(
      finding_lines(deadlock_finding()),
      ElementsAre(
          "critical deadlock (proven): 2 threads wait for one another",
          "  deadlock-812-1, process 812 api\\x1b[2J of api.service, since 2026-11-21T06:18:04Z, first seen "
          "2026-11-21T06:18:06Z",
          HasSubstr("814 one: sleeping 5.00s, mutex 0x1000 held by 815 other"), "      one_work at a.c:7",
          HasSubstr("815 two: sleeping 5.00s, mutex 0x1000 held by 814 other"), "      two_work at a.c:7",
          "    and 3 more", "  hint: take them in order"));
}

TEST(FindingText, OfAChainOnlyTheRootHasItsStack) {
  json stuck = deadlock_finding();
  stuck["kind"] = "stuck";
  const auto lines = finding_lines(stuck);
  EXPECT_EQ(std::ranges::count(lines, "      one_work at a.c:7"), 1);
  EXPECT_EQ(std::ranges::count(lines, "      two_work at a.c:7"), 0);
}

TEST(FindingText, ShortIsWhatAndWhatToDo) {
  EXPECT_THAT(
      short_finding_lines(deadlock_finding()),
      ElementsAre("critical deadlock (proven): 2 threads wait for one another", "  take them in order"));
}

TEST(FindingText, OneWithoutThreads) {
  json unjoined = deadlock_finding();
  unjoined["kind"] = "unjoined";
  unjoined["threads"] = json::array();
  unjoined["chain"] = 0;
  EXPECT_EQ(finding_lines(unjoined).size(), 3u);
}

TEST(FindingText, OneThatIsGoneSaysWhy) {
  json gone = deadlock_finding();
  EXPECT_TRUE(counts_as_failure(gone));
  gone["resolved"] = "2026-11-21T06:19:00.1Z";
  gone["resolution"] = "process_ended";
  EXPECT_FALSE(counts_as_failure(gone));
  EXPECT_THAT(finding_lines(gone)[1], HasSubstr("resolved 2026-11-21T06:19:00Z (process_ended)"));
  json info = deadlock_finding();
  info["severity"] = "info";
  EXPECT_FALSE(counts_as_failure(info));
}

TEST(FindingText, AnEventIsOneLine) {
  const json event{{"type", "finding"}, {"time", "2026-11-21T06:18:04.123456789Z"},
                   {"boottime_ns", 1},  {"change", "raised"},
                   {"pid", 812},        {"finding", deadlock_finding()}};
  EXPECT_EQ(finding_event_line(event),
            "2026-11-21T06:18:04Z  raised  critical deadlock (proven): 2 threads wait for one another");
  EXPECT_EQ(event_line(event),
            "2026-11-21T06:18:04.123456Z  finding raised critical deadlock: 2 threads wait for one another");
}

TEST(FindingText, WhatIsNoFindingThrows) {
  EXPECT_THROW(finding_lines(json::object()), std::exception);
}

}  // namespace
}  // namespace loiter::cli
