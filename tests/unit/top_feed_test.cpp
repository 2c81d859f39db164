// The feed: asks what is wanted, once an interval and at once when it is new, and never holds up who waits
// for it.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cli/top/feed.h"

namespace loiter::top {
namespace {

using nlohmann::json;

constexpr uint64_t kHour = 3'600'000'000'000;

// Answers by the contract; holds a request back until it is let go.
class SlowClient : public Client {
 public:
  Result<json> get(const std::string& target) override {
    std::unique_lock lock(mutex_);
    asked_.push_back(target);
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_ || cancelled_; });
    if (cancelled_ || broken_) return Error{Error::Kind::unavailable, "no daemon"};
    if (target.find("/stacks") != target.npos)
      return json{{"process", {{"pid", 7}}}, {"threads", {{{"tid", 9}}}}};
    if (target.starts_with("/v1/processes/"))
      return json{{"process", {{"pid", 7}}}, {"threads", json::array()}};
    return json{{"host", {{"name", "devbox"}}}, {"processes", json::array()}};
  }
  Status stream(const std::string&, const std::function<bool(std::string_view)>&) override { return ok(); }
  void cancel() override {
    std::lock_guard lock(mutex_);
    cancelled_ = !deaf_;
    changed_.notify_all();
  }
  bool is_private() const override { return false; }

  void hold(bool held) {
    std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }
  void break_down() {
    std::lock_guard lock(mutex_);
    broken_ = true;
  }
  void be_deaf_to_cancel() { deaf_ = true; }
  std::vector<std::string> await_requests(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return asked_.size() >= count; });
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> asked_;
  bool held_ = false, broken_ = false, cancelled_ = false, deaf_ = false;
};

std::vector<Reply> await_replies(Feed& feed, size_t count) {
  std::vector<Reply> replies;
  while (replies.size() < count) {
    pollfd ready{feed.fd(), POLLIN, 0};
    if (poll(&ready, 1, 60'000) != 1) break;
    for (Reply& reply : feed.take()) replies.push_back(std::move(reply));
  }
  return replies;
}

TEST(TopFeed, NothingIsAskedBeforeAnythingIsWanted) {
  SlowClient client;
  Feed feed(client, {});
  EXPECT_TRUE(feed.stop());
  EXPECT_TRUE(client.await_requests(0).empty());
}

TEST(TopFeed, BringsBothPicturesAndTheThreshold) {
  SlowClient client;
  Feed feed(client, {kHour, 250});
  feed.want({Request{7}, Request{}});
  auto replies = await_replies(feed, 2);
  ASSERT_EQ(replies.size(), 2u);
  ASSERT_TRUE(replies[0].tree);
  EXPECT_EQ(replies[0].tree->process.pid, 7u);
  ASSERT_TRUE(replies[1].list);
  EXPECT_EQ(replies[1].list->host.name, "devbox");
  EXPECT_EQ(client.await_requests(2),
            (std::vector<std::string>{"/v1/processes/7?findings=1&threshold_ns=250",
                                      "/v1/processes?findings=1&threshold_ns=250"}));
}

TEST(TopFeed, WhatIsNewIsAskedForAtOnce) {
  SlowClient client;
  Feed feed(client, {kHour, 0});
  feed.want({Request{}});
  ASSERT_EQ(await_replies(feed, 1).size(), 1u);
  feed.want({Request{7}});
  auto replies = await_replies(feed, 1);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_TRUE(replies[0].tree);
}

TEST(TopFeed, BringsTheStackOfAThread) {
  SlowClient client;
  Feed feed(client, {kHour, 250});
  feed.want({Request{7, 9}});
  auto replies = await_replies(feed, 1);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].request, (Request{7, 9}));
  ASSERT_TRUE(replies[0].stacks);
  EXPECT_EQ(replies[0].stacks->threads.at(0).tid, 9u);
  EXPECT_EQ(client.await_requests(1), std::vector<std::string>{"/v1/processes/7/stacks?tid=9"});
}

TEST(TopFeed, ACursorOnItsWayAsksForNoStack) {
  SlowClient client;
  Feed feed(client, {kHour, 0});
  for (uint32_t tid = 1; tid <= 1000; ++tid) feed.want({Request{7, tid}});
  ASSERT_EQ(await_replies(feed, 1).size(), 1u);
  EXPECT_EQ(client.await_requests(1).back(), "/v1/processes/7/stacks?tid=1000");
  EXPECT_LT(client.await_requests(1).size(), 10u) << "each of them only where it was wanted for a moment";
}

// One that runs is another request at each picture: in the place of the one before, not later than that.
TEST(TopFeed, AThreadThatRunsAllTheTimeIsAskedForToo) {
  SlowClient client;
  Feed feed(client, {kHour, 0});
  pollfd ready{feed.fd(), POLLIN, 0};
  uint64_t switches = 0;
  for (; switches < 6000; ++switches) {
    feed.want({Request{7, 9, 1, switches}});
    if (poll(&ready, 1, 10) == 1) break;
  }
  EXPECT_LT(switches, 6000u) << "never";
  EXPECT_EQ(feed.take().size(), 1u);
}

TEST(TopFeed, WhatIsNewDoesNotBringTheRestForward) {
  SlowClient client;
  Feed feed(client, {kHour, 0});
  feed.want({Request{}});
  ASSERT_EQ(await_replies(feed, 1).size(), 1u);
  feed.want({Request{7}, Request{}});
  ASSERT_EQ(await_replies(feed, 1).size(), 1u);
  EXPECT_TRUE(feed.stop());
  EXPECT_EQ(client.await_requests(0),
            (std::vector<std::string>{"/v1/processes?findings=1", "/v1/processes/7?findings=1"}));
}

TEST(TopFeed, AsksAgainEachInterval) {
  SlowClient client;
  Feed feed(client, {1'000'000, 0});
  feed.want({Request{}});
  EXPECT_GE(client.await_requests(20).size(), 20u);
  EXPECT_TRUE(feed.stop());
}

TEST(TopFeed, ASlowDaemonHoldsUpNobody) {
  SlowClient client;
  client.hold(true);
  Feed feed(client, {kHour, 0});
  feed.want({Request{}});
  client.await_requests(1);
  EXPECT_TRUE(feed.take().empty());
  feed.want({Request{7}});
  client.hold(false);
  EXPECT_EQ(await_replies(feed, 2).size(), 2u);
}

TEST(TopFeed, ErrorsAreHandedOn) {
  SlowClient client;
  client.break_down();
  Feed feed(client, {kHour, 0});
  feed.want({Request{}});
  auto replies = await_replies(feed, 1);
  ASSERT_EQ(replies.size(), 1u);
  ASSERT_TRUE(replies[0].error);
  EXPECT_EQ(replies[0].error->message, "no daemon");
}

TEST(TopFeed, StoppingEndsARequestUnderWay) {
  SlowClient client;
  client.hold(true);
  Feed feed(client, {kHour, 0});
  feed.want({Request{}});
  client.await_requests(1);
  EXPECT_TRUE(feed.stop());
}

TEST(TopFeed, StoppingSaysWhereARequestHangs) {
  SlowClient client;
  client.be_deaf_to_cancel();
  client.hold(true);
  Feed feed(client, {kHour, 0});
  feed.want({Request{}});
  client.await_requests(1);
  EXPECT_FALSE(feed.stop());
  client.hold(false);
  EXPECT_TRUE(feed.stop());
}

}  // namespace
}  // namespace loiter::top
