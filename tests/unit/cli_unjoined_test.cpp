// What ended and was never taken note of, from document to text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/unjoined_report.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json sample() {
  return json::parse(R"({"schema": 1, "process": {"pid": 812, "comm": "api"}, "failure": null, "unjoined": 3,
    "stack_bytes": 25165824, "joining": 1, "live_joinable": 4, "detached": 0, "unclear": 0,
    "by_routine": [
      {"start_routine": {"symbol": "worker", "module": "/usr/bin/api", "offset": 9, "callable": null},
       "count": 2, "stack_bytes": 16777216, "ended": null, "age_ns": 192000000000},
      {"start_routine": null, "count": 1, "stack_bytes": null, "age_ns": null}],
    "threads": [], "zombies": [{"pid": 900, "comm": "sh\u001b[2J", "age_ns": null}],
    "findings": [{"kind": "unjoined", "severity": "warning", "hint": "join each"}]})");
}

TEST(UnjoinedReport, TellsThemByWhereTheyBegan) {
  const auto lines = unjoined_lines(sample());
  EXPECT_EQ(lines.at(0), "812 api: 3 threads ended and nobody joined them, stacks 24.0 MiB");
  EXPECT_THAT(lines.at(2), ::testing::AllOf(HasSubstr("2"), HasSubstr("16.0 MiB"), HasSubstr("3m12s ago"),
                                            HasSubstr("worker")));
  EXPECT_THAT(lines.at(3), ::testing::AllOf(HasSubstr("1"), HasSubstr("?")));
  EXPECT_THAT(lines, Contains("the others: 4 alive and joinable, 1 being joined now"));
  EXPECT_THAT(lines, Contains("1 child process ended and nobody waited for it:"));
  EXPECT_THAT(lines, Contains(HasSubstr(R"(sh\x1b[2J)")));
  EXPECT_EQ(lines.back(), "hint: join each");
}

TEST(UnjoinedReport, SaysWhyItCannotBeTold) {
  json document = sample();
  document["failure"] = "musl keeps no list";
  document["unjoined"] = nullptr;
  document["findings"] = document["zombies"] = json::array();
  EXPECT_THAT(unjoined_lines(document),
              ElementsAre("812 api: which threads were never joined cannot be told: musl keeps no list"));
}

TEST(UnjoinedReport, SaysThatThereAreNone) {
  json document = sample();
  document["unjoined"] = document["joining"] = 0;
  document["by_routine"] = document["findings"] = document["zombies"] = json::array();
  EXPECT_THAT(unjoined_lines(document),
              ElementsAre("812 api: no thread has ended unjoined", "the others: 4 alive and joinable"));
}

}  // namespace
}  // namespace loiter::cli
