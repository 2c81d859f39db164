// Findings as the API tells them: what a rule did, what is ignored, what `id` gives.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "daemon/serve/finding_documents.h"
#include "tests/unit/pictures.h"

namespace loiter::test {
namespace {

using nlohmann::json;

KeptFindingPtr kept(const std::string& id, uint32_t pid, uint32_t rule_line = 0) {
  auto made = std::make_shared<KeptFinding>();
  made->finding.id = id;
  made->finding.kind = FindingKind::stuck;
  made->finding.process.key = {pid, 1};
  made->finding.rule_line = rule_line;
  if (rule_line) made->finding.rule_reason = "why\xff";
  return made;
}

Verdicts verdicts() {
  Verdicts made;
  made.snapshot = make_snapshot({});
  made.live = {kept("a", 1), kept("b", 2, 7)};
  made.resolved = {kept("c", 1)};
  made.ignored = {kept("d", 1, 9), kept("e", 2, 9)};
  made.ignored_count = 5;
  return made;
}

std::vector<std::string> ids(const json& list) {
  std::vector<std::string> all;
  for (const json& finding : list) all.push_back(finding.at("id"));
  return all;
}

using Ids = std::vector<std::string>;

TEST(FindingsDocument, TellsTheRuleAndWhatIsIgnored) {
  const json document = json::parse(findings_document(verdicts(), {}));
  EXPECT_EQ(ids(document.at("findings")), (Ids{"a", "b"}));
  EXPECT_EQ(ids(document.at("ignored")), (Ids{"d", "e"}));
  EXPECT_EQ(document.at("ignored_count"), 5);
  EXPECT_TRUE(document.at("findings")[0].at("rule").is_null());
  EXPECT_EQ(document.at("findings")[1].at("rule"), (json{{"line", 7}, {"reason", "why\xef\xbf\xbd"}}));
}

TEST(FindingsDocument, GivesWhatWasAskedFor) {
  const Verdicts all = verdicts();
  json document = json::parse(findings_document(all, {.pid = 1, .id = {}}));
  EXPECT_EQ(ids(document.at("findings")), Ids{"a"});
  EXPECT_EQ(ids(document.at("ignored")), Ids{"d"});
  document = json::parse(findings_document(all, {.pid = {}, .id = "c"}));
  EXPECT_EQ(ids(document.at("findings")), Ids{"c"});
  EXPECT_EQ(ids(document.at("ignored")), Ids{});
  document = json::parse(findings_document(all, {.pid = {}, .id = "e"}));
  EXPECT_EQ(ids(document.at("findings")), Ids{});
  EXPECT_EQ(ids(document.at("ignored")), Ids{"e"});
}

TEST(ScanDocument, HoldsStrictFindingsToTheRulesToo) {
  ThreadView idle = make_thread(11, "idle", 60'000'000'000);
  const auto picture = make_picture(make_snapshot(
      {make_process(10, "p", {idle}), make_process(20, "q", {make_thread(21, "w", 60'000'000'000)})}));
  Verdicts made;
  made.snapshot = picture->snapshot;
  Rule rule{.matches = {{RuleFact::comm, "p"}, {RuleFact::kind, "overdue"}}, .ignore = true, .line = 1};
  made.rules = std::make_shared<const Rules>(std::vector<Rule>{rule});
  const json document = json::parse(scan_document(*picture, &made, 30'000'000'000, {}, true));
  ASSERT_EQ(document.at("findings").size(), 1u);
  EXPECT_EQ(document.at("findings")[0].at("process").at("comm"), "q");
  EXPECT_EQ(document.at("ignored_count"), 1);
  EXPECT_EQ(document.at("overdue").size(), 2u) << "a mark, which no rule takes away";
}

}  // namespace
}  // namespace loiter::test
