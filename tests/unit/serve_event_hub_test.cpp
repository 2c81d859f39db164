// The stream of events: who hears what, what becomes of those who do not listen, and the text of each line.
#include "daemon/serve/event_hub.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/unit/model_records.h"

namespace loiter::test {
namespace {

using nlohmann::json;

const WallClock kWall{1'000'000'000'000'000'000};

// Opens a reader, and closes it when it goes.
class Listener {
 public:
  explicit Listener(EventHub& hub, const StreamWish& wish = {})
      : hub_(hub), reader_(hub.open(wish, 0, [this] { ++wakes; })) {}
  ~Listener() {
    if (reader_) hub_.close(*reader_);
  }
  bool admitted() const { return reader_ != nullptr; }
  bool ready() const { return reader_->ready(); }

  std::string take_text(size_t at_once = 64 * 1024) {
    std::string text, part(at_once, '\0');
    while (size_t size = reader_->take(part.data(), part.size())) text.append(part, 0, size);
    return text;
  }

  std::vector<json> take(size_t at_once = 64 * 1024) {
    std::vector<json> lines;
    std::istringstream text(take_text(at_once));
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
    return lines;
  }

  std::atomic<int> wakes = 0;

 private:
  EventHub& hub_;
  std::unique_ptr<EventHub::Reader> reader_;
};

void push(EventHub& hub, const Event& event, const std::string& old_name = "") {
  hub.push(event, old_name, kWall);
}

TEST(EventHub, AStreamBeginsWithItsSchema) {
  EventHub hub;
  Listener listener(hub);
  const auto lines = listener.take();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["schema"], 1);
  EXPECT_EQ(lines[0]["type"], "start");
  EXPECT_TRUE(lines[0].contains("time") && lines[0].contains("boottime_ns"));
}

TEST(EventHub, CallsOfThreadLibrariesAreForThoseWhoAsked) {
  EventHub hub;
  Listener plain(hub), asked(hub, {.pid = 1, .pthreads = true, .findings = false});
  plain.take();
  asked.take();
  Event call;
  call.type = LOITER_EVENT_PTHREAD;
  call.boot_ns = 5;
  call.task = task_id(2, 1, 10);
  call.call = LOITER_PTHREAD_CREATE;
  call.routine = 0x4000;
  call.arg = 7;
  call.detached = LOITER_DETACHED;
  push(hub, call);
  call.call = LOITER_PTHREAD_TIMED_JOIN;
  call.thread = 0x7f00;
  push(hub, call);
  call.call = LOITER_PTHREAD_EXIT;
  call.tls_base = 0x8f00;
  push(hub, call);
  hub.push_probes({.pid = 1, .boot_ns = 6, .placed = {"pthread_join"}, .failed = {{1, "", "", "why", 1}}},
                  kWall);
  EXPECT_TRUE(plain.take().empty());
  const auto lines = asked.take();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0]["function"], "pthread_create");
  EXPECT_EQ(lines[0]["routine"], "0x4000");
  EXPECT_EQ(lines[0]["argument"], "0x7");
  EXPECT_EQ(lines[0]["detached"], true);
  EXPECT_TRUE(lines[0]["pthread"].is_null());
  EXPECT_EQ(lines[1]["function"], "pthread_timedjoin_np");
  EXPECT_EQ(lines[1]["pthread"], "0x7f00");
  EXPECT_TRUE(lines[1]["argument"].is_null() && lines[1]["detached"].is_null());
  EXPECT_EQ(lines[2]["function"], "pthread_exit");
  EXPECT_EQ(lines[2]["pthread"], "0x8f00");
  EXPECT_EQ(lines[3]["type"], "probes");
  EXPECT_EQ(lines[3]["placed"], json({"pthread_join"}));
  EXPECT_EQ(lines[3]["failed"], json::parse(R"([{"library": null, "function": null, "reason": "why"}])"));
}

TEST(EventHub, EachKindHasItsFields) {
  EventHub hub;
  Listener listener(hub);
  listener.take();
  push(hub, birth_event(task_id(2, 1, 10), task_id(1, 1, 5), 1'000'000'000, "a"));
  push(hub, birth_event(task_id(3, 3, 11), task_id(2, 1, 10), 2, "b"));
  push(hub, exec_event(task_id(1, 1, 5, 1), 2, 3, "c", "/bin/c"));
  Event exit = exit_event(task_id(2, 1, 10), 4, 55);
  exit.name = "d";
  exit.exit_code = 3 << 8;
  push(hub, exit);
  push(hub, rename_event(task_id(2, 1, 10), 5, "e"), "d");
  hub.push_lost(7, "ring_full_birth", kWall);
  const auto lines = listener.take();
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], json::parse(R"({"type": "birth", "time": "2001-09-09T01:46:41.000000000Z",
      "boottime_ns": 1000000000, "pid": 1, "tid": 2, "name": "a", "process": false,
      "creator_pid": 1, "creator_tid": 1})"));
  EXPECT_EQ(lines[1]["process"], true);
  EXPECT_EQ(lines[1]["creator_tid"], 2);
  EXPECT_EQ(lines[2]["type"], "exec");
  EXPECT_EQ(lines[2]["old_tid"], 2);
  EXPECT_EQ(lines[2]["filename"], "/bin/c");
  EXPECT_EQ(lines[3]["type"], "exit");
  EXPECT_EQ(lines[3]["name"], "d");
  EXPECT_EQ(lines[3]["exit_code"], 3);
  EXPECT_EQ(lines[3]["signal"], nullptr);
  EXPECT_EQ(lines[3]["cpu_ns"], 55);
  EXPECT_EQ(lines[4]["type"], "rename");
  EXPECT_EQ(lines[4]["name"], "e");
  EXPECT_EQ(lines[4]["old_name"], "d");
  EXPECT_EQ(lines[5]["type"], "lost");
  EXPECT_EQ(lines[5]["count"], 7);
  EXPECT_EQ(lines[5]["cause"], "ring_full_birth");
}

TEST(EventHub, WhatIsNotKnownIsNull) {
  EventHub hub;
  Listener listener(hub);
  listener.take();
  Event killed = exit_event(task_id(2, 1, 10), 4);
  killed.exit_code = SIGKILL;
  push(hub, killed);
  push(hub, rename_event(task_id(2, 1, 10), 5, "e"), "");
  const auto lines = listener.take();
  EXPECT_EQ(lines[0]["name"], nullptr);
  EXPECT_EQ(lines[0]["exit_code"], nullptr);
  EXPECT_EQ(lines[0]["signal"], SIGKILL);
  EXPECT_EQ(lines[1]["old_name"], nullptr);
}

TEST(EventHub, ALineIsOneLineWhateverTheName) {
  EventHub hub;
  Listener listener(hub);
  listener.take();
  push(hub, rename_event(task_id(2, 1, 10), 5, "\xff\n\x1b[2J\""), "\xc3\r\n");
  const auto lines = listener.take();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["name"], "\xef\xbf\xbd\n\x1b[2J\"");
}

TEST(EventHub, WithAPidOnlyWhatConcernsItAndItsChildrensBirths) {
  EventHub hub;
  Listener listener(hub, {.pid = 1, .pthreads = false, .findings = false});
  listener.take();
  push(hub, birth_event(task_id(3, 3, 11), task_id(1, 1, 5), 1, "child"));
  push(hub, exit_event(task_id(3, 3, 11), 2));
  push(hub, birth_event(task_id(9, 8, 11), task_id(8, 8, 5), 3));
  push(hub, rename_event(task_id(2, 1, 5), 4, "own"));
  hub.push_lost(1, "ring_full_exit", kWall);
  const auto lines = listener.take();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["type"], "birth");
  EXPECT_EQ(lines[1]["type"], "rename");
  EXPECT_EQ(lines[2]["type"], "lost");
}

TEST(EventHub, ListenersHearOnlyWhatComesAfterThem) {
  EventHub hub;
  Listener first(hub);
  push(hub, rename_event(task_id(2, 1, 5), 4, "one"));
  Listener second(hub);
  push(hub, rename_event(task_id(2, 1, 5), 5, "two"));
  EXPECT_EQ(first.take().size(), 3u);
  EXPECT_EQ(second.take().size(), 2u);
}

TEST(EventHub, NothingIsKeptWhileNobodyListens) {
  EventHub hub;
  push(hub, rename_event(task_id(2, 1, 5), 4, "one"));
  { Listener gone(hub); }
  push(hub, rename_event(task_id(2, 1, 5), 4, "two"));
  Listener listener(hub);
  EXPECT_EQ(listener.take().size(), 1u);
  EXPECT_FALSE(listener.ready());
}

TEST(EventHub, TextComesWholeInPiecesOfAnySize) {
  EventHub hub;
  Listener listener(hub);
  for (int i = 0; i < 20; ++i) push(hub, rename_event(task_id(2, 1, 5), 4, "n" + std::to_string(i)));
  const auto lines = listener.take(7);
  ASSERT_EQ(lines.size(), 21u);
  EXPECT_EQ(lines[20]["name"], "n19");
}

TEST(EventHub, ASlowReaderIsToldHowManyItMissed) {
  EventHub hub;
  Listener slow(hub);
  Listener quick(hub);
  const size_t extra = 100;
  for (size_t i = 0; i < EventHub::kMaxLines + extra; ++i) {
    push(hub, rename_event(task_id(2, 1, 5), i, std::to_string(i)));
    if (i % 1000 == 0) quick.take();
  }
  const auto lines = slow.take();
  ASSERT_EQ(lines.size(), EventHub::kMaxLines + 2);
  EXPECT_EQ(lines[1]["type"], "lost");
  EXPECT_EQ(lines[1]["cause"], "slow_reader");
  EXPECT_EQ(lines[1]["count"], extra);
  EXPECT_EQ(lines[2]["name"], std::to_string(extra));
  for (const json& line : quick.take()) EXPECT_NE(line["type"], "lost");
}

TEST(EventHub, WakesThoseForWhomThereIsSomethingOnceABatch) {
  EventHub hub;
  Listener listener(hub);
  listener.take();
  hub.flush();
  EXPECT_EQ(listener.wakes, 0);
  push(hub, rename_event(task_id(2, 1, 5), 4, "one"));
  push(hub, rename_event(task_id(2, 1, 5), 4, "two"));
  EXPECT_TRUE(listener.ready());
  hub.flush();
  EXPECT_EQ(listener.wakes, 1);
  listener.take();
  EXPECT_FALSE(listener.ready());
  hub.flush();
  EXPECT_EQ(listener.wakes, 1);
}

TEST(EventHub, AdmitsNoMoreListenersThanItMay) {
  EventHub hub;
  std::vector<std::unique_ptr<Listener>> listeners;
  for (size_t i = 0; i < EventHub::kMaxReaders; ++i) listeners.push_back(std::make_unique<Listener>(hub));
  EXPECT_TRUE(listeners.back()->admitted());
  EXPECT_FALSE(Listener(hub).admitted());
  EXPECT_EQ(hub.reader_count(), EventHub::kMaxReaders);
  listeners.clear();
  EXPECT_EQ(hub.reader_count(), 0u);
  EXPECT_TRUE(Listener(hub).admitted());
}

// One pushes, others open, read and close: for the thread sanitizer, and to see that nothing is lost between.
TEST(EventHub, MayBeUsedByManyThreads) {
  EventHub hub;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  std::atomic<size_t> heard = 0;
  Listener steady(hub);
  steady.take();
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      do {
        Listener listener(hub, {.pid = 1, .pthreads = false, .findings = false});
        heard += listener.take(100).size();
      } while (!done);
    });
  constexpr size_t kEvents = 5000;
  for (size_t i = 0; i < kEvents; ++i) {
    push(hub, rename_event(task_id(2, 1, 5), i, "x"));
    if (i % 50 == 0) hub.flush();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(steady.take().size(), kEvents);
  EXPECT_GT(heard, 0u);
}

}  // namespace
}  // namespace loiter::test
