// Stacks from document to text: frames, groups, and what must not break them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/stack_text.h"
#include "cli/word_wrap.h"
#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

json frame(const char* symbol, const char* module = "/usr/lib/libc.so.6") {
  return {{"symbol", symbol}, {"module", module}, {"offset", 31},
          {"file", nullptr},  {"line", nullptr},  {"inlined", false}};
}

json thread(uint32_t tid, const char* name, json stack, json cut = nullptr) {
  return {{"tid", tid},
          {"name", name},
          {"state", "sleeping"},
          {"blocked_ns", tid * 1'000'000'000},
          {"exactness", "exact"},
          {"wait", nullptr},
          {"stack", std::move(stack)},
          {"cut", std::move(cut)},
          {"kernel_stack", nullptr}};
}

json document_of(json threads) {
  return {{"schema", 1},
          {"as_of", "2026"},
          {"process", {{"pid", 812}, {"start_time", "2026"}, {"comm", "api"}, {"exe", "/usr/bin/api"}}},
          {"threads", std::move(threads)}};
}

std::vector<std::string> lines_of(const json& document, size_t columns = 80) {
  auto stacks = parse_stacks(document);
  if (!stacks) return {stacks.error().message};
  return stacks_lines(*stacks, columns);
}

TEST(ParseStacks, ReadsEveryField) {
  json one = thread(4713, "worker", {frame("f", "/bin/x")}, "code without unwinding rules");
  one["stack"][0]["file"] = "a.c";
  one["stack"][0]["line"] = 9;
  one["stack"][0]["inlined"] = true;
  one["wait"] = {{"kind", "sleep"}};
  one["kernel_stack"] = {"futex_wait_queue+0x5d"};
  auto stacks = parse_stacks(document_of({one}));
  ASSERT_TRUE(stacks) << stacks.error().message;
  EXPECT_EQ(stacks->as_of, "2026");
  EXPECT_EQ(stacks->process.pid, 812u);
  ASSERT_EQ(stacks->threads.size(), 1u);
  const StackThread& worker = stacks->threads[0];
  EXPECT_EQ(worker.tid, 4713u);
  EXPECT_EQ(worker.age.exactness, Exactness::exact);
  EXPECT_EQ(worker.wait->kind, "sleep");
  EXPECT_EQ(worker.cut, "code without unwinding rules");
  EXPECT_THAT(worker.kernel_frames.value(), ElementsAre("futex_wait_queue+0x5d"));
  EXPECT_EQ(worker.frames.at(0), (StackFrame{"f", "/bin/x", "a.c", 31, 9, true}));
}

TEST(ParseStacks, RefusesWhatIsNone) {
  EXPECT_FALSE(parse_stacks(json()));
  EXPECT_FALSE(parse_stacks(json::array()));
  EXPECT_FALSE(parse_stacks(json{{"process", {{"pid", 1}}}}));
  for (const char* key : {"tid", "name", "stack", "cut", "kernel_stack", "wait"}) {
    json document = document_of({thread(1, "a", json::array())});
    document["threads"][0][key] = json{{"x", json::array({json::array()})}};
    if (std::string(key) == "wait") document["threads"][0][key] = 5;
    EXPECT_FALSE(parse_stacks(document)) << key;
  }
}

TEST(ParseStacks, MissingMembersAreNotKnown) {
  const auto lines = lines_of({{"process", {{"pid", 1}}}, {"threads", {json::object()}}});
  EXPECT_THAT(lines, Contains("  state not known"));
  EXPECT_THAT(lines, Contains("  no stack"));
  EXPECT_THAT(lines_of(document_of({{{"tid", 1}, {"stack", {json::object()}}}})), Contains("  #0 ??"));
}

TEST(FrameText, TheBestThatIsKnown) {
  EXPECT_EQ(frame_text({"f(int)", "/bin/x", "/src/a.c", 31, 9, false}), "f(int) at /src/a.c:9");
  EXPECT_EQ(frame_text({"f", "/bin/x", "/src/a.c", 31, {}, true}), "f at /src/a.c (inlined)");
  EXPECT_EQ(frame_text({"f", "/lib/libc.so.6", {}, 31, {}, false}), "f in libc.so.6");
  EXPECT_EQ(frame_text({"f", {}, {}, {}, {}, false}), "f");
  EXPECT_EQ(frame_text({{}, "/bin/x", {}, 31, {}, false}), "x+0x1f");
  EXPECT_EQ(frame_text({{}, "/bin/x", {}, {}, {}, false}), "x");
  EXPECT_EQ(frame_text({{}, {}, {}, 31, {}, false}), "?? at 0x1f");
  EXPECT_EQ(frame_text({}), "??");
}

TEST(StacksText, SameStacksStandTogetherMostCommonFirst) {
  const json common{frame("wait"), frame("work", "/bin/api")};
  const auto lines = lines_of(document_of({thread(1, "main", {frame("join")}), thread(2, "w", common),
                                           thread(3, "w", common), thread(4, "w", common)}));
  EXPECT_THAT(
      lines, ElementsAre("812 api  /usr/bin/api  4 threads", "", "3 threads: 2 w, 3 w, 4 w",
                         "  3 sleeping 4.00s (the longest)", "  #0 wait in libc.so.6", "  #1 work in api", "",
                         "1 main", "  sleeping 1.00s", "  #0 join in libc.so.6"));
}

TEST(StacksText, DifferentWaitsOfOneStackAreToldApart) {
  json threads = json::array();
  for (uint32_t tid = 1; tid <= 6; ++tid) {
    threads.push_back(thread(tid, "w", {frame("lock")}));
    threads.back()["wait"] = {
        {"kind", "lock"}, {"object", "0x" + std::to_string(tid / 2)}, {"holder_tid", 9}};
  }
  const auto lines = lines_of(document_of(threads));
  EXPECT_THAT(lines, Contains("  2 sleeping 3.00s, lock 0x1 held by 9 (the longest)"));
  EXPECT_THAT(lines, Contains("  and 1 different waits more"));
}

TEST(StacksText, WhatIsLeftOfATimeoutMakesNoDifference) {
  json a = thread(1, "w", {frame("sleep")}), b = thread(2, "w", {frame("sleep")});
  a["wait"] = {{"kind", "sleep"}, {"timeout_left_ns", 5}};
  b["wait"] = {{"kind", "sleep"}, {"timeout_left_ns", 6}};
  EXPECT_THAT(lines_of(document_of({a, b})), Contains("  2 sleeping 2.00s, sleep, 6ns left (the longest)"));
}

TEST(StacksText, AThousandThreadsStayWithinTheirLine) {
  json threads = json::array();
  for (uint32_t tid = 1000; tid < 2000; ++tid) threads.push_back(thread(tid, "worker", {frame("f")}));
  for (size_t columns : {40, 80, 100}) {
    const auto lines = lines_of(document_of(threads), columns);
    ASSERT_EQ(lines.size(), 5u);
    EXPECT_LE(display_width(lines[2]), columns);
    EXPECT_THAT(lines[2], HasSubstr("1000 threads: 1000 worker"));
    EXPECT_THAT(lines[2], ::testing::EndsWith(" more"));
  }
  EXPECT_EQ(lines_of(document_of(threads), 20)[2], "1000 threads");
}

TEST(StacksText, CutStacksAndRunningThreadsSayWhy) {
  json running = thread(2, "busy", json::array(), "it is running");
  running["state"] = "running";
  running["blocked_ns"] = running["exactness"] = nullptr;
  const auto lines =
      lines_of(document_of({thread(1, "w", {frame("f")}, "code without unwinding rules"), running}));
  EXPECT_THAT(lines, Contains("  … cut: code without unwinding rules"));
  EXPECT_THAT(lines, Contains("  running"));
  EXPECT_THAT(lines, Contains("  no stack: it is running"));
}

TEST(StacksText, TheKernelsPartComesLast) {
  json one = thread(1, "w", {frame("f")});
  one["kernel_stack"] = {"futex_wait_queue+0x5d", "do_futex+0x1"};
  const auto lines = lines_of(document_of({one}));
  EXPECT_EQ(lines.back(), "  kernel  do_futex+0x1");
}

TEST(StacksText, NumbersOfFramesAreAligned) {
  json stack = json::array();
  for (int i = 0; i < 11; ++i) stack.push_back(frame("f"));
  const auto lines = lines_of(document_of({thread(1, "w", stack)}));
  EXPECT_THAT(lines, Contains("  #0  f in libc.so.6"));
  EXPECT_THAT(lines, Contains("  #10 f in libc.so.6"));
}

TEST(StacksText, HostileStringsAreEscaped) {
  const std::string nasty = "a\x1b[2J\n\xff\u202e";
  Stacks stacks;
  stacks.process.comm = stacks.process.exe = nasty;
  StackThread one;
  one.name = one.state = nasty;
  one.cut = nasty;
  one.kernel_frames = {nasty};
  one.frames = {
      {nasty, nasty, nasty, 1, 1, true}, {{}, nasty, {}, 1, 1, true}, {nasty, nasty, {}, 1, 1, true}};
  stacks.threads = {one, one};
  for (const std::string& line : stacks_lines(stacks, 20)) {
    EXPECT_EQ(line.find_first_of("\x1b\n\xff"), line.npos) << escape_for_terminal(line);
    EXPECT_EQ(line.find("\u202e"), line.npos);
    EXPECT_EQ(to_valid_utf8(line), line);
  }
}

TEST(OwnFrame, SkipsTheWaitItself) {
  std::vector<StackFrame> frames{{"__lll_lock_wait", "/lib/libc.so.6", {}, {}, {}, false},
                                 {"pthread_mutex_lock", "/lib/libc.so.6", {}, {}, {}, false},
                                 {"std::mutex::lock()", "/bin/api", {}, {}, {}, true},
                                 {"flush", "/bin/api", {}, {}, {}, false},
                                 {"main", "/bin/api", {}, {}, {}, false}};
  EXPECT_EQ(first_own_frame(frames), 3u);
  frames.resize(2);
  EXPECT_EQ(first_own_frame(frames), 0u) << "better than nothing";
  EXPECT_EQ(first_own_frame({}), 0u);
}

TEST(WordWrap, BreaksAtBlanks) {
  EXPECT_THAT(word_wrap("aa bb  cc", 5), ElementsAre("aa bb", "cc"));
  EXPECT_THAT(word_wrap("aa bb", 80), ElementsAre("aa bb"));
  EXPECT_THAT(word_wrap("", 80), ElementsAre());
  EXPECT_THAT(word_wrap("   ", 80), ElementsAre());
}

TEST(WordWrap, LongWordsAreBrokenBetweenCharacters) {
  EXPECT_THAT(word_wrap("a bcdefg h", 3), ElementsAre("a", "bcd", "efg", "h"));
  EXPECT_THAT(word_wrap("äöü", 2), ElementsAre("äö", "ü"));
  EXPECT_THAT(word_wrap("日a", 1), ElementsAre("日", "a"));
}

TEST(WordWrap, NoLineIsWiderThanAsked) {
  const std::string text = "one wonderfully long paragraph of words, some_of_them_longer_than_the_line ü é.";
  for (size_t columns = 1; columns < 90; ++columns) {
    std::string all;
    for (const std::string& line : word_wrap(text, columns)) {
      EXPECT_LE(display_width(line), columns);
      all += line;
    }
    std::string expected = text;
    std::erase(expected, ' ');
    std::erase(all, ' ');
    EXPECT_EQ(all, expected);
  }
}

}  // namespace
}  // namespace loiter::cli
