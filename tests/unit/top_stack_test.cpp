// The pane with the stack of the thread under the cursor: when it asks, what it shows, and where it fits.
#include <gtest/gtest.h>

#include "cli/top/app.h"
#include "cli/top/layout.h"
#include "tests/unit/top_samples.h"

namespace loiter::top::test {
namespace {

constexpr uint64_t kNow = 100 * kSecond;

cli::StackThread stack_of(uint32_t tid, size_t frames = 3, const std::string& name = "f") {
  cli::StackThread stack;
  stack.tid = tid;
  stack.frames = {{"futex_wait", "/lib/libc.so.6", {}, {}, {}, false},
                  {"pthread_mutex_lock", "/lib/libc.so.6", {}, {}, {}, false}};
  while (stack.frames.size() < frames)
    stack.frames.push_back({name + std::to_string(stack.frames.size()), "/bin/api", {}, {}, {}, false});
  return stack;
}

class TopStack : public ::testing::Test {
 protected:
  TopStack() {
    waiter.wait = cli::Wait{};
    waiter.wait->kind = "lock";
    waiter.wait->detail = "pthread_mutex_t";
    waiter.wait->object = "0x55d0a1b2c0f0";
    waiter.wait->holder_tid = 10;
    waiter.wait->holder_name = "main";
    waiter.voluntary_switches = 7;
    app.on_reply(list_reply({alpha}), kNow);
    app.on_key(key_of(KeyCode::enter));
    deliver_threads();
    app.on_key(key_of(KeyCode::end));  // on the waiter
  }

  void deliver_threads() { app.on_reply(tree_reply(alpha, {leader, waiter}), kNow); }

  // What is asked for besides the pictures.
  std::vector<Request> asked() const {
    std::vector<Request> requests = app.wanted();
    std::erase_if(requests, [](const Request& request) { return request.tid == 0; });
    return requests;
  }
  Request asked_once() const {
    const std::vector<Request> requests = asked();
    EXPECT_EQ(requests.size(), 1u);
    return requests.empty() ? Request{} : requests[0];
  }
  void answer(const Request& request, cli::StackThread stack) {
    auto stacks = std::make_shared<cli::Stacks>();
    stacks->process = alpha;
    stacks->threads = {std::move(stack)};
    app.on_reply({request, nullptr, nullptr, std::nullopt, stacks}, kNow);
  }
  std::vector<std::string> screen(size_t rows = 24, size_t columns = 80) {
    Frame frame = app.frame(rows, columns, kNow);
    for (const Line& line : frame.lines) EXPECT_LE(line.width(), columns);
    return text_of(frame.lines);
  }
  bool shows(const std::string& what) { return joined(screen()).find(what) != std::string::npos; }

  cli::ProcessRow alpha = process(10, "alpha", 90, 1);
  cli::ThreadRow leader = thread(10, {}, "main", 1), waiter = thread(11, 10, "worker", 2, 192);
  App app{kSecond, 5 * kSecond};
};

TEST_F(TopStack, NothingIsAskedBeforeTheKey) {
  EXPECT_TRUE(asked().empty());
  EXPECT_TRUE(shows("s stack"));
}

TEST_F(TopStack, TheColumnTellsTheWaitInWords) {
  EXPECT_TRUE(shows("WAIT"));
  EXPECT_TRUE(shows("mutex of 10 main"));
  EXPECT_NE(joined(screen(24, 90)).find("mutex held by 10 main"), std::string::npos);
  EXPECT_NE(joined(screen(24, 200)).find("mutex 0x55d0a1b2c0f0 held by 10 main"), std::string::npos);
}

TEST_F(TopStack, TheKeyOpensItAndClosesIt) {
  type(app, "s");
  EXPECT_TRUE(shows("─ 11 worker: sleeping 3m12s, mutex 0x55d0a1b2c0f0 held by 10 main"));
  EXPECT_TRUE(shows("reading its stack"));
  const Request request = asked_once();
  EXPECT_EQ(request.pid, 10u);
  EXPECT_EQ(request.tid, 11u);
  answer(request, stack_of(11));
  EXPECT_TRUE(shows("#0 futex_wait in libc.so.6"));
  EXPECT_TRUE(shows("#2 f2 in api"));
  EXPECT_TRUE(shows("TID")) << "the table stays";
  type(app, "s");
  EXPECT_FALSE(shows("#2 f2 in api"));
  EXPECT_TRUE(asked().empty());
}

TEST_F(TopStack, AnsweredItAsksAgainOnlyWhenTheThreadHasRun) {
  type(app, "s");
  const Request first = asked_once();
  answer(first, stack_of(11));
  EXPECT_TRUE(asked().empty());
  deliver_threads();
  EXPECT_TRUE(asked().empty());
  ++waiter.voluntary_switches;
  deliver_threads();
  const Request second = asked_once();
  EXPECT_NE(second, first);
  EXPECT_TRUE(shows("#2 f2 in api")) << "the one before stays until then";
  answer(second, stack_of(11, 3, "g"));
  EXPECT_TRUE(shows("#2 g2 in api"));
  ++waiter.involuntary_switches;
  deliver_threads();
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(TopStack, ItFollowsTheCursor) {
  type(app, "s");
  answer(asked_once(), stack_of(11));
  app.on_key(key_of(KeyCode::up));
  EXPECT_EQ(asked_once().tid, 10u);
  EXPECT_TRUE(shows("─ 10 main: sleeping"));
  EXPECT_FALSE(shows("#2 f2 in api")) << "no stack of another thread";
}

TEST_F(TopStack, PausedItGoesOnWorking) {
  type(app, " s");
  EXPECT_EQ(app.wanted().size(), 1u);
  answer(asked_once(), stack_of(11));
  EXPECT_TRUE(shows("#2 f2 in api"));
}

TEST_F(TopStack, WhatWentWrongIsToldAndAskedAgain) {
  type(app, "s");
  const Request request = asked_once();
  app.on_reply({request, nullptr, nullptr, Error{Error::Kind::unavailable, "no thread 11\x1b"}}, kNow);
  EXPECT_TRUE(shows("no stack: no thread 11\\x1b"));
  EXPECT_FALSE(app.failure());
  EXPECT_EQ(asked_once(), request);
  answer(request, stack_of(99));
  EXPECT_TRUE(shows("no stack: the daemon tells of no such thread"));
}

TEST_F(TopStack, APidUsedAgainIsNotTakenForTheProcess) {
  alpha.start_time = "2026-11-21T06:00:00Z";
  deliver_threads();
  type(app, "s");
  const Request request = asked_once();
  alpha.start_time = "2026-11-21T07:00:00Z";
  answer(request, stack_of(11));
  EXPECT_TRUE(shows("its pid is in use again"));
}

TEST_F(TopStack, AnEndedThreadIsNotAskedFor) {
  app.on_reply(tree_reply(alpha, {leader}, 100, {ended(thread(12, 10, "bygone", 3), 4)}), kNow);
  type(app, "se");
  app.on_key(key_of(KeyCode::end));
  EXPECT_TRUE(shows("it has ended"));
  EXPECT_TRUE(asked().empty());
}

TEST_F(TopStack, AnEmptyStackSaysWhy) {
  type(app, "s");
  cli::StackThread running = stack_of(11);
  running.frames.clear();
  running.cut = "it is running";
  answer(asked_once(), running);
  EXPECT_TRUE(shows("no stack: it is running"));
}

TEST_F(TopStack, ALongStackBeginsWithItsOwnCodeAndSaysWhatIsLeft) {
  type(app, "s");
  answer(asked_once(), stack_of(11, 60));
  EXPECT_FALSE(shows("#0 "));
  EXPECT_TRUE(shows("#2  f2 in api"));
  EXPECT_TRUE(shows("more: loiter stacks"));
}

TEST_F(TopStack, AnotherViewAsksForNone) {
  type(app, "s?");
  EXPECT_TRUE(asked().empty());
  EXPECT_TRUE(shows("the stack of the one under the cursor"));
}

TEST_F(TopStack, At80x24TableAndStackShareTheRoom) {
  type(app, "s");
  answer(asked_once(), stack_of(11, 9));
  const auto lines = screen();
  EXPECT_EQ(lines.size(), 24u);
  size_t head = 0;
  for (size_t i = 0; i < lines.size(); ++i)
    if (lines[i].starts_with("─ 11 worker")) head = i;
  EXPECT_EQ(head, 13u) << joined(lines);
  EXPECT_TRUE(shows("#8 f8 in api"));
  EXPECT_TRUE(lines[23].starts_with("? help"));
}

TEST_F(TopStack, EverySizeOfScreenGetsAFrameThatFits) {
  type(app, "s");
  answer(asked_once(), stack_of(11, 60, std::string(300, 'x')));
  for (size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 60})
    for (size_t columns : {1, 2, 9, 40, 80, 200}) {
      Frame frame = app.frame(rows, columns, kNow);
      EXPECT_LE(frame.lines.size(), rows);
      for (const Line& line : frame.lines) EXPECT_LE(line.width(), columns);
    }
}

TEST_F(TopStack, WithoutRoomItSaysSo) {
  type(app, "s");
  screen(8, 80);
  EXPECT_NE(joined(screen(8, 80)).find("no room for its stack"), std::string::npos);
  EXPECT_NE(joined(screen(8, 80)).find("11"), std::string::npos) << "the table goes first";
  screen();
  EXPECT_FALSE(shows("no room for its stack"));
}

TEST_F(TopStack, HostileNamesStayOnTheirLine) {
  type(app, "s");
  answer(asked_once(), stack_of(11, 4, "a\x1b[2J\n\xff"));
  for (const std::string& line : screen()) EXPECT_EQ(line.find_first_of("\x1b\n\xff"), line.npos);
}

TEST_F(TopStack, TheWaitCanBeSearchedFor) {
  type(app, "\\55d0a1");
  EXPECT_TRUE(shows("1 shown"));
}

TEST(TopLayout, ThePaneLeavesTheTableItsRoom) {
  EXPECT_EQ(pane_lines(0), 0u);
  EXPECT_EQ(pane_lines(6), 0u);
  EXPECT_EQ(pane_lines(7), 3u);
  EXPECT_EQ(pane_lines(20), 10u);
  for (size_t lines = 7; lines < 300; ++lines) EXPECT_GE(lines - pane_lines(lines), 4u);
}

}  // namespace
}  // namespace loiter::top::test
