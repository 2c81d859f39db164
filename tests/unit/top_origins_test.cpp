// The page of `loiter top` with the creation sites of a process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/top_samples.h"

namespace loiter::top::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

cli::OriginSite site(uint32_t id, const std::string& function, uint64_t live, uint64_t ended) {
  cli::OriginSite made;
  made.id = id;
  made.frames = {{"clone3", "/lib/libc.so.6", std::nullopt, 1, std::nullopt, false},
                 {function, "/bin/x", std::nullopt, 1, std::nullopt, false},
                 {"main", "/bin/x", std::nullopt, 1, std::nullopt, false}};
  made.live = live;
  made.ended = ended;
  made.births = live + ended;
  if (live) made.oldest_ns = 60 * kSecond;
  return made;
}

Reply origins_reply(uint32_t pid, std::vector<cli::OriginSite> sites, uint64_t at_s = 100) {
  auto origins = std::make_shared<cli::Origins>();
  origins->as_of_boottime_ns = at_s * kSecond;
  origins->process.pid = pid;
  origins->process.start_boottime_ns = pid * kSecond;
  origins->sites = std::move(sites);
  Reply reply;
  reply.request.pid = pid;
  reply.request.origins = true;
  reply.origins = origins;
  return reply;
}

std::vector<std::string> lines_of(App& app) {
  std::vector<std::string> lines;
  for (const Line& line : app.frame(24, 100, 100 * kSecond).lines) lines.push_back(line.text());
  return lines;
}

class TopOrigins : public ::testing::Test {
 protected:
  TopOrigins() : app_(kSecond, kSecond) {
    app_.on_reply(list_reply({process(7, "maker", 5)}), 100 * kSecond);
  }
  App app_;
};

TEST_F(TopOrigins, OpenOnTheKeyAndShowSitesAndTheStackOfOne) {
  app_.on_key(key_of(U'o'));
  Request wanted{7};
  wanted.origins = true;
  EXPECT_THAT(app_.wanted(), Contains(wanted));
  app_.on_reply(origins_reply(7, {site(1, "grow", 3, 4), site(2, "once", 0, 5)}), 100 * kSecond);
  const auto lines = lines_of(app_);
  EXPECT_THAT(lines, Contains(HasSubstr("7 maker: where its threads were made")));
  EXPECT_THAT(lines, Contains(HasSubstr("MADE AT")));
  EXPECT_THAT(lines, Contains(HasSubstr("grow in x")));
  EXPECT_THAT(lines, Contains(HasSubstr("once in x")));
  EXPECT_THAT(lines, Contains(HasSubstr("3 live of 7 born, 4 ended")));
  EXPECT_THAT(lines, Contains(HasSubstr("#1 grow in x"))) << "the stack of the first";
  app_.on_key(key_of(KeyCode::down));
  EXPECT_THAT(lines_of(app_), Contains(HasSubstr("#1 once in x")));
  app_.on_key(key_of(KeyCode::escape));
  EXPECT_THAT(lines_of(app_), Not(Contains(HasSubstr("MADE AT"))));
}

TEST_F(TopOrigins, OpenFromTheThreadsToo) {
  app_.on_key(key_of(KeyCode::enter));
  app_.on_key(key_of(U'o'));
  EXPECT_THAT(lines_of(app_), Contains(HasSubstr("waiting for where its threads were made")));
  app_.on_reply(origins_reply(7, {}), 100 * kSecond);
  EXPECT_THAT(lines_of(app_), Contains(HasSubstr("no thread of it was made since loiterd looks")));
}

TEST_F(TopOrigins, StayAsTheyWereWhenTheProcessEnds) {
  app_.on_key(key_of(U'o'));
  app_.on_reply(origins_reply(7, {site(1, "grow", 3, 4)}), 100 * kSecond);
  app_.on_reply(list_reply({process(8, "other", 5)}, 101), 101 * kSecond);
  const auto lines = lines_of(app_);
  EXPECT_THAT(lines, Contains(HasSubstr("PROCESS has ended")));
  EXPECT_THAT(lines, Contains(HasSubstr("grow in x")));
}

TEST_F(TopOrigins, OfAnotherProcessAreNotTaken) {
  app_.on_key(key_of(U'o'));
  app_.on_reply(origins_reply(9, {site(1, "grow", 3, 4)}), 100 * kSecond);
  EXPECT_THAT(lines_of(app_), Not(Contains(HasSubstr("grow in x"))));
}

}  // namespace
}  // namespace loiter::top::test
