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

// A process and two of its threads: one is marked, one is not.
class TopMarks : public ::testing::Test {
 protected:
  TopMarks() : app_(kSecond, kSecond) {
    process_.finding = cli::FindingMark{"a", "deadlock", "critical"};
    app_.on_reply(list_reply({process_, process(8, "idle", 4)}), 100 * kSecond);
  }
  void open() {
    cli::ThreadRow marked = thread(9, 7, "marked", 2);
    marked.finding = cli::FindingMark{"b", "stuck", "warning"};
    app_.on_key(key_of(KeyCode::enter));
    app_.on_reply(tree_reply(process_, {thread(7, {}, "main", 1), marked}), 100 * kSecond);
  }
  std::vector<std::string> lines() { return text_of(app_.frame(24, 80, 100 * kSecond).lines); }
  std::string line_of(const std::string& what) {
    for (const std::string& line : lines())
      if (line.find(what) != line.npos) return line;
    return {};
  }
  Style style_of(const std::string& what) {
    for (const Line& line : app_.frame(24, 80, 100 * kSecond).lines)
      for (const Span& span : line.spans())
        if (span.text.find(what) != span.text.npos) return span.style;
    return Style::normal;
  }
  void go_to_findings() {
    app_.on_key(key_of(U'f'));
    app_.on_reply(findings_reply(
                      {finding("c", "critical", 9), finding("a", "critical", 2), finding("b", "warning", 3)}),
                  100 * kSecond);
  }
  cli::ProcessRow process_ = process(7, "api", 5);
  App app_;
};

TEST_F(TopMarks, BothTablesHaveThemIn80Columns) {
  EXPECT_THAT(line_of("COMM"), HasSubstr("FINDING"));
  EXPECT_THAT(line_of(" api "), HasSubstr("deadlock"));
  open();
  EXPECT_THAT(line_of("STATE"), testing::AllOf(HasSubstr("FINDING"), HasSubstr("WAIT")));
  EXPECT_THAT(line_of("└─marked"), HasSubstr("stuck"));
  EXPECT_THAT(line_of("main"), Not(HasSubstr("stuck")));
  EXPECT_EQ(style_of("stuck"), Style::overdue);
}

TEST_F(TopMarks, AreFilteredByTheirKind) {
  type(app_, "\\deadl");
  EXPECT_THAT(lines(), Contains(HasSubstr("filter 'deadl': 1 shown")));
  app_.on_key(key_of(KeyCode::enter));
  app_.on_key(key_of(KeyCode::escape));
  open();
  type(app_, "\\stuck");
  EXPECT_THAT(lines(), Contains(HasSubstr("filter 'stuck': 1 shown")));
}

TEST_F(TopMarks, FGoesToTheFindingOfTheRow) {
  go_to_findings();
  EXPECT_THAT(lines(), Contains(HasSubstr("hint: mend a"))) << "of the process";
  app_.on_key(key_of(KeyCode::escape));
  open();
  EXPECT_THAT(lines().back(), HasSubstr("f findings"));
  go_to_findings();
  EXPECT_THAT(lines(), Contains(HasSubstr("hint: mend a"))) << "its main thread is in none, the process is";
  app_.on_key(key_of(KeyCode::escape));
  app_.on_key(key_of(KeyCode::down));
  go_to_findings();
  EXPECT_THAT(lines(), Contains(HasSubstr("hint: mend b"))) << "of the thread";
  app_.on_reply(findings_reply({finding("b", "warning", 3), finding("d", "critical", 9)}), 101 * kSecond);
  EXPECT_THAT(lines(), Contains(HasSubstr("hint: mend b"))) << "the cursor stays there";
}

TEST_F(TopMarks, OneThatIsGoneIsSaidSo) {
  app_.on_key(key_of(U'f'));
  app_.on_reply(findings_reply({finding("c", "critical", 9)}), 100 * kSecond);
  EXPECT_THAT(lines(), Contains(HasSubstr("a is there no more")));
  EXPECT_THAT(lines(), Contains(HasSubstr("hint: mend c")));
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
