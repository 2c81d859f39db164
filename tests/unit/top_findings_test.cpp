// The page of `loiter top` with the findings of the host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/top_samples.h"

namespace loiter::top::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

cli::FindingRow finding(const std::string& id, const std::string& severity, uint64_t count) {
  cli::FindingRow row;
  row.id = id;
  row.kind = "stuck";
  row.severity = severity;
  row.certainty = "likely";
  row.comm = "api";
  row.summary = "what " + id + " is";
  row.pid = 7;
  row.count = count;
  row.lines = {"all of " + id, "  hint: mend " + id};
  return row;
}

Reply findings_reply(std::vector<cli::FindingRow> rows) {
  auto list = std::make_shared<cli::FindingList>();
  list->as_of_boottime_ns = 100 * kSecond;
  list->findings = std::move(rows);
  Reply reply;
  reply.request.findings = true;
  reply.findings = list;
  return reply;
}

class TopFindings : public ::testing::Test {
 protected:
  TopFindings() : app_(kSecond, kSecond) {
    app_.on_reply(list_reply({process(7, "api", 5)}), 100 * kSecond);
    app_.on_key(key_of(U'f'));
  }
  std::vector<std::string> lines() {
    std::vector<std::string> lines;
    for (const Line& line : app_.frame(24, 110, 100 * kSecond).lines) lines.push_back(line.text());
    return lines;
  }
  App app_;
};

TEST_F(TopFindings, TheWorstIsFirstAndAllOfItBelow) {
  Request wanted;
  wanted.findings = true;
  EXPECT_THAT(app_.wanted(), Contains(wanted));
  EXPECT_THAT(lines(), Contains(HasSubstr("waiting for the first verdict")));
  app_.on_reply(findings_reply({finding("a", "warning", 3), finding("b", "critical", 412)}), 100 * kSecond);
  EXPECT_THAT(lines(), Contains(HasSubstr("1 critical")));
  EXPECT_THAT(lines(), Contains(HasSubstr("what a is")));
  EXPECT_THAT(lines(), Contains(HasSubstr("412")));
  EXPECT_THAT(lines(), Contains(HasSubstr("hint: mend b"))) << "of the worst";
  app_.on_key(key_of(KeyCode::down));
  EXPECT_THAT(lines(), Contains(HasSubstr("hint: mend a")));
  app_.on_key(key_of(KeyCode::escape));
  EXPECT_THAT(lines(), Not(Contains(HasSubstr("CERTAIN"))));
}

TEST_F(TopFindings, NoneIsSaidSo) {
  app_.on_reply(findings_reply({}), 100 * kSecond);
  EXPECT_THAT(lines(), Contains(HasSubstr("no findings")));
}

TEST_F(TopFindings, WhyThereAreNone) {
  Reply reply;
  reply.request.findings = true;
  reply.error = Error{Error::Kind::unavailable, "nothing has been judged yet"};
  app_.on_reply(reply, 100 * kSecond);
  EXPECT_THAT(lines(), Contains(HasSubstr("nothing has been judged yet")));
}

}  // namespace
}  // namespace loiter::top::test
