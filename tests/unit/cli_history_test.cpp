// `loiter history` as text.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/history_text.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

json period(uint64_t most) {
  return {{"live", most}, {"least", most}, {"most", most}, {"births", 0}, {"ends", 0}};
}

json document() {
  return json::parse(R"({
    "schema": 1, "since": "2026-11-21T06:00:00.000000000Z", "until": "2026-11-21T08:00:00.000000000Z",
    "period_ns": 60000000000,
    "watched": [{"begin": "2026-11-21T06:00:00.000000000Z", "end": "2026-11-21T06:30:00.000000000Z"},
                {"begin": "2026-11-21T07:00:00.000000000Z", "end": "2026-11-21T08:00:00.000000000Z"}],
    "findings": [
      {"id": "deadlock-8-1", "kind": "deadlock", "severity": "critical", "certainty": "proven", "pid": 8, "comm": "api",
       "count": 2, "summary": "two\u001b[31m wait", "first_seen": "2026-11-21T06:10:00.5Z",
       "last_seen": "2026-11-21T06:30:00.5Z", "resolved": "2026-11-21T07:00:01.5Z", "resolution": "process_ended",
       "resolved_exactness": "estimated"},
      {"id": "stuck-9-1", "kind": "stuck", "severity": "warning", "certainty": "likely", "pid": 9, "comm": "x",
       "count": 1, "summary": "stuck", "first_seen": "2026-11-21T06:20:00.5Z", "last_seen": "2026-11-21T08:00:00Z",
       "resolved": null, "resolution": null, "resolved_exactness": null}],
    "findings_left_out": 0, "processes": [], "processes_left_out": 0})");
}

TEST(HistoryText, TellsWhatCameAndWentInItsOrder) {
  const std::vector<std::string> lines = history_lines(document(), Glyphs::ascii);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[1], "not watched: 2026-11-21T06:30:00Z to 2026-11-21T07:00:00Z");
  EXPECT_EQ(
      lines[2],
      "2026-11-21T06:10:00Z  raised         critical deadlock (proven): two\\x1b[31m wait  deadlock-8-1");
  EXPECT_EQ(lines[3], "2026-11-21T06:20:00Z  raised, lasts  warning stuck (likely): stuck  stuck-9-1");
  EXPECT_EQ(lines[4],
            "2026-11-21T07:00:01Z  resolved       critical deadlock (proven): two\\x1b[31m wait  deadlock-8-1"
            "  process_ended, at some time from 2026-11-21T06:30:00Z");
}

TEST(HistoryText, BarsAreAsTallAsTheMost) {
  const json periods = {nullptr, period(1), period(50), period(100), period(0)};
  EXPECT_EQ(bar_line(periods, Glyphs::ascii), " .=@.");
  EXPECT_EQ(bar_line(periods, Glyphs::unicode), " ▁▄█▁");
}

TEST(HistoryText, TellsTheNumbersOfAProcess) {
  json all = document();
  all["processes"] = {{{"pid", 8},
                       {"comm", "api"},
                       {"start_time", "2026-11-21T05:00:00.5Z"},
                       {"ended", nullptr},
                       {"live", 5},
                       {"least", 2},
                       {"most", 9},
                       {"births", 7},
                       {"ends", 4},
                       {"periods", {period(5), nullptr}}}};
  const std::vector<std::string> lines = history_lines(all, Glyphs::ascii);
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[6], "threads, each bar 1m00s:");
  EXPECT_NE(lines[8].find("2026-11-21T05:00:00Z"), std::string::npos) << lines[8];
  for (const char* word : {"8", "2", "9", "5", "7", "4", "api", "@"})
    EXPECT_NE(lines[8].find(word), std::string::npos) << word << " is not in " << lines[8];
}

}  // namespace
}  // namespace loiter::cli
