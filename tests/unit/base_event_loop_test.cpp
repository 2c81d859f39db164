// The event loop and its timers.
#include "daemon/base/event_loop.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <optional>
#include <system_error>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

struct Pair {
  Fd here, there;
  Pair() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) throw std::runtime_error("socketpair");
    here = Fd(ends[0]);
    there = Fd(ends[1]);
  }
  void write_byte() { EXPECT_EQ(write(there.get(), "x", 1), 1); }
  void read_byte() {
    char byte;
    EXPECT_EQ(read(here.get(), &byte, 1), 1);
  }
};

TEST(EventLoop, CallsForWhatIsReadable) {
  EventLoop loop;
  Pair quiet, loud;
  int calls = 0;
  loop.add(quiet.here.get(), [&] { ADD_FAILURE(); });
  loop.add(loud.here.get(), [&] {
    loud.read_byte();
    if (++calls < 3) return loud.write_byte();
    loop.stop();
  });
  loud.write_byte();
  loop.run();
  EXPECT_EQ(calls, 3);
}

TEST(EventLoop, CallsForAHangUp) {
  EventLoop loop;
  Pair pair;
  pair.there.reset();
  loop.add(pair.here.get(), [&] { loop.stop(); });
  loop.run();
}

TEST(EventLoop, ACallbackMayRemoveItself) {
  EventLoop loop;
  Pair once, last;
  int calls = 0;
  loop.add(once.here.get(), [&, token = std::string(1000, 'x')] {
    ++calls;
    loop.remove(once.here.get());
    EXPECT_EQ(token.size(), 1000u);  // what it holds is still there
    last.write_byte();
  });
  loop.add(last.here.get(), [&] { loop.stop(); });
  once.write_byte();
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, ACallbackMayRemoveAnotherThatIsReadyToo) {
  EventLoop loop;
  Pair pairs[2];
  int calls = 0;
  for (int i : {0, 1}) {
    loop.add(pairs[i].here.get(), [&, i] {
      ++calls;
      loop.remove(pairs[1 - i].here.get());
      loop.stop();
    });
    pairs[i].write_byte();
  }
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, AfterAStopNoMoreIsCalled) {
  EventLoop loop;
  Pair pairs[2];
  int calls = 0;
  for (Pair& pair : pairs) {
    loop.add(pair.here.get(), [&] {
      ++calls;
      loop.stop();
    });
    pair.write_byte();
  }
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, WhatCannotBeWaitedForThrows) {
  EventLoop loop;
  EXPECT_THROW(loop.add(-1, [] {}), std::system_error);
}

bool readable(int fd, int timeout_ms) {
  pollfd state{fd, POLLIN, 0};
  return poll(&state, 1, timeout_ms) == 1;
}

TEST(Timer, FiresOnceAndIsQuietAfterwards) {
  Timer timer;
  const uint64_t begin = monotonic_now_ns();
  timer.once(5'000'000);
  ASSERT_TRUE(readable(timer.fd(), 60'000));
  EXPECT_GE(monotonic_now_ns() - begin, 5'000'000u);
  timer.acknowledge();
  EXPECT_FALSE(readable(timer.fd(), 20));
}

TEST(Timer, FiresAgainAndAgain) {
  Timer timer;
  timer.every(2'000'000);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(readable(timer.fd(), 60'000));
    timer.acknowledge();
  }
}

TEST(Timer, NothingMeansAtOnceAndNotNever) {
  Timer timer;
  timer.once(0);
  EXPECT_TRUE(readable(timer.fd(), 60'000));
}

TEST(Timer, MayBeAcknowledgedBeforeItFires) {
  Timer timer;
  timer.acknowledge();
  timer.once(3'000'000'000'000'000'000);  // 95 years
  EXPECT_FALSE(readable(timer.fd(), 0));
}

TEST(FdTest, ClosesOnceWhatItOwns) {
  Pair pair;
  const int number = pair.here.get();
  {
    Fd moved = std::move(pair.here);
    EXPECT_FALSE(pair.here);
    EXPECT_EQ(moved.get(), number);
    Fd* same = &moved;
    moved = std::move(*same);
    EXPECT_EQ(moved.get(), number);
  }
  EXPECT_TRUE(readable(pair.there.get(), 0));  // hung up
  EXPECT_EQ(Fd(7777).release(), 7777);
}

}  // namespace
}  // namespace loiter
