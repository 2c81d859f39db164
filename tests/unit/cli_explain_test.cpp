// `loiter explain`: what led to a finding, and the rule that would ignore it, which the daemon's own reader
// takes and which matches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/explain_text.h"
#include "cli/finding_text.h"
#include "cli/ignore_rule.h"
#include "daemon/config.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/subprocess.h"
#include "tests/unit/cli_unix_server.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

json stuck() {
  return json::parse(R"json({
    "id": "stuck-812-0a1b", "kind": "stuck", "severity": "warning", "certainty": "likely", "subject": "thread",
    "process": {"pid": 812, "comm": "api", "exe": "/usr/bin/api", "unit": "api.service", "uid": 0},
    "count": 3, "blocked_ns": 60000000000, "blocked_max_ns": 61000000000, "exactness": "estimated", "chain": 2,
    "threads": [
      {"pid": 812, "comm": "api", "tid": 815, "name": "reader-7", "state": "sleeping", "blocked_ns": 60000000000,
       "blocked_max_ns": 61000000000, "exactness": "estimated", "wait": {"kind": "read", "object": "pipe:[1]"},
       "via": "lock", "cut": null, "created_by": null,
       "stack": [{"symbol": "read", "module": "/lib/libc.so.6"}, {"symbol": "fetch(char*)", "module": "/usr/bin/api"},
                 {"symbol": "serve", "module": "/usr/bin/api"}],
       "start_routine": {"symbol": "execute_native_thread_routine", "module": "/lib/libstdc++.so.6",
                         "callable": null}},
      {"pid": 812, "comm": "api", "tid": 816, "name": "waiter", "state": "sleeping", "blocked_ns": 50000000000,
       "exactness": "exact", "wait": {"kind": "lock"}, "stack": [], "cut": null, "start_routine": null}],
    "summary": "it waits\u001b", "evidence": {"threshold_ns": 30000000000, "longest_ns": 60000000000, "waiters": 2,
    "cause": "a\u001b"}, "hint": "do this", "rule": null,
    "since": null, "first_seen": "2026-11-21T06:18:04.1Z", "last_seen": "2026-11-21T06:19:04.1Z", "resolved": null,
    "resolution": null})json");
}

TEST(ExplainText, TellsTheRuleTheEvidenceAndHowWellItIsKnown) {
  const auto lines = explain_lines(stuck(), false, "/etc/f.toml");
  EXPECT_EQ(lines[0], "warning stuck (likely): it waits\\x1b");
  EXPECT_THAT(lines,
              Contains(HasSubstr("rule: stuck: a thread is blocked past the threshold in a wait that must")));
  EXPECT_THAT(lines, Contains(HasSubstr("certainty: likely: all that was measured fits")));
  EXPECT_THAT(lines, Contains("configuration: no rule of it applies"));
  EXPECT_THAT(lines, Contains("  threshold: 30.0s"));
  EXPECT_THAT(lines, Contains("  longest: 1m00s"));
  EXPECT_THAT(lines, Contains("  waiters: 2"));
  EXPECT_THAT(lines, Contains("  cause: a\\x1b"));
  EXPECT_THAT(lines, Contains(HasSubstr("  blocked: 1m00s..1m01s, estimated: ")));
  EXPECT_THAT(lines, Contains("chain, from its end:"));
  EXPECT_THAT(lines, Contains(HasSubstr("fetch(char*) in api")));
  EXPECT_EQ(lines.back(), "  hint: do this");
}

TEST(ExplainText, TellsWhatTheConfigurationDid) {
  json finding = stuck();
  finding["rule"] = {{"line", 12}, {"reason", "tapes\nare slow"}};
  EXPECT_THAT(explain_lines(finding, true, "/etc/f.toml"),
              Contains("configuration: ignored by the rule in line 12 of /etc/f.toml: tapes\\nare slow"));
  EXPECT_THAT(explain_lines(finding, false, ""),
              Contains("configuration: the rule in line 12: tapes\\nare slow"));
  EXPECT_THAT(finding_lines(finding),
              Contains("  by the rule in line 12 of the configuration: tapes\\nare slow"));
  finding["rule"]["reason"] = nullptr;
  EXPECT_THAT(finding_lines(finding), Contains("  by the rule in line 12 of the configuration"));
}

TEST(ExplainText, EveryKindHasItsRule) {
  for (const char* kind :
       {"deadlock", "orphan", "stuck", "leak", "unjoined", "exhaustion", "starved", "spin", "overdue"}) {
    json finding = stuck();
    finding["kind"] = kind;
    EXPECT_THAT(explain_lines(finding, false, ""), Not(Contains(HasSubstr("does not know")))) << kind;
  }
}

TEST(ExplainText, WhatIsGoneIsToldAsWell) {
  json finding = stuck();
  finding["resolved"] = "2026-11-21T06:20:04.1Z";
  finding["resolution"] = "process_ended";
  finding["evidence"] = json::object();
  finding["threads"] = json::array();
  finding["exactness"] = nullptr;
  finding["chain"] = 0;
  const auto lines = explain_lines(finding, false, "");
  EXPECT_THAT(lines, Contains(HasSubstr("resolved 2026-11-21T06:20:04Z (process_ended)")));
  EXPECT_THAT(lines, Contains("  none was kept"));
}

TEST(IgnoreRule, IsOfWhatStaysTheSame) {
  json finding = stuck();
  EXPECT_THAT(ignore_matches(finding),
              ElementsAre(Pair("comm", "api"), Pair("kind", "stuck"), Pair("thread", "reader-*"),
                          Pair("frame", "fetch(char\\*)")));
  finding["threads"][0]["start_routine"]["callable"] = "shop::Keeper";
  EXPECT_THAT(ignore_matches(finding),
              ElementsAre(Pair("comm", "api"), Pair("kind", "stuck"), Pair("start_routine", "shop::Keeper"),
                          Pair("frame", "fetch(char\\*)")));
  finding["threads"][0]["name"] = "api";
  finding["threads"][0]["start_routine"] = nullptr;
  finding["threads"][0]["stack"] = json::array();
  EXPECT_THAT(ignore_matches(finding), ElementsAre(Pair("comm", "api"), Pair("kind", "stuck")));
  EXPECT_THAT(ignore_rule(finding), Contains(HasSubstr("Nothing more telling is known")));
}

TEST(IgnoreRule, OfThreadsThatShareAFindingIsWhatAllHave) {
  json finding = stuck();
  finding["chain"] = 0;
  finding["threads"][1]["name"] = "reader-8";
  EXPECT_THAT(ignore_matches(finding), Contains(Pair("thread", "reader-*")));
  finding["threads"][1]["name"] = "writer";
  EXPECT_THAT(ignore_matches(finding), Not(Contains(Pair("thread", ::testing::_))));
}

TEST(IgnoreRule, EscapesForTomlAndForGlobs) {
  EXPECT_EQ(toml_string("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(toml_string("\x1b\n\t\x7f"), R"("\u001B\u000A\u0009\u007F")");
  EXPECT_EQ(toml_string("\xc2\x9b\xe2\x80\xae\xe2\x80\xa8"), R"("\u009B\u202E\u2028")");
  EXPECT_EQ(toml_string("\xc3\xa4\xf0\x9f\x98\x80"), "\"\xc3\xa4\xf0\x9f\x98\x80\"");
  EXPECT_EQ(toml_string("\xf3\xa0\x80\xa1"), R"("\U000E0021")");
  EXPECT_EQ(exact_glob("operator[](int*)?\\"), R"(operator\[](int\*)\?\\)");
  EXPECT_EQ(exact_glob("a\xef\xbf\xbd\xef\xbf\xbd"
                       "b"),
            "a*b");
  EXPECT_EQ(exact_glob("*\xef\xbf\xbd"), "\\**");
}

// What the daemon itself would see of a thread with such names.
Finding daemons(const std::string& name) {
  Finding finding{.id = "x", .kind = FindingKind::stuck};
  finding.process.comm = name;
  finding.process.exe = name == "other" ? "/usr/bin/other" : "/usr/bin/api";
  finding.chain = 1;
  FindingThread& thread = finding.threads.emplace_back();
  thread.name = "t" + name;
  thread.stack.push_back(
      {.symbol = "f" + name, .module = "/bin/x", .offset = 0, .file = "", .line = 0, .inlined = false});
  return finding;
}

TEST(IgnoreRule, OfAnyNamesIsTakenByTheDaemonAndMatches) {
  for (const std::string name : {"plain", "a\"b", "back\\slash", "\x1b[2J", "new\nline", "[[rule]]",
                                 "a*b?[c]", "\xff\xfe", "tr\xc3\xa4ge", "\xe2\x80\xaeright", "# no", "'''",
                                 "\"\"\"", "\xf3\xa0\x80\xa1", "9", "{}", "a = 1", "\t"}) {
    json finding = stuck();
    const auto valid = [](const std::string& bytes) {
      return json::parse(json(bytes).dump(-1, ' ', false, json::error_handler_t::replace));
    };
    finding["process"]["comm"] = valid(name);
    finding["summary"] = valid(name + "\r\n[[rule]]");
    finding["threads"][0]["name"] = valid("t" + name);
    finding["threads"][0]["stack"] = json::array({{{"symbol", valid("f" + name)}, {"module", "/bin/x"}}});
    std::string toml;
    for (const std::string& line : ignore_rule(finding)) toml += line + "\n";
    EXPECT_EQ(std::ranges::count(toml, '\x1b'), 0) << toml;
    const auto parsed = parse_config(toml, "f", {});
    const auto* config = std::get_if<Config>(&parsed);
    ASSERT_TRUE(config) << toml << ::testing::PrintToString(std::get<ConfigErrors>(parsed));
    ASSERT_EQ(config->rules.size(), 1u) << toml;
    EXPECT_EQ(config->rules.list()[0].matches.size(), 4u) << toml;
    std::vector<Finding> findings{daemons(name), daemons("other")};
    EXPECT_EQ(config->rules.apply(findings, {}).ignored.size(), 1u) << toml;
    EXPECT_EQ(findings.size(), 1u) << "it matches too much: " << toml;
  }
}

TEST(IgnoreRule, OfALongNameMatchesByItsBeginning) {
  json finding = stuck();
  const std::string symbol = std::string(3'000, 'x') + "*";
  finding["threads"][0]["stack"] = json::array({{{"symbol", symbol}, {"module", "/bin/x"}}});
  std::string toml;
  for (const std::string& line : ignore_rule(finding)) toml += line + "\n";
  const auto parsed = parse_config(toml, "f", {});
  ASSERT_TRUE(std::get_if<Config>(&parsed)) << toml;
  for (const Rule::Match& match : std::get<Config>(parsed).rules.list()[0].matches) {
    if (match.fact != RuleFact::frame) continue;
    EXPECT_TRUE(glob_matches(match.glob, symbol));
    EXPECT_FALSE(glob_matches(match.glob, "y" + symbol));
  }
  EXPECT_THAT(toml, HasSubstr("frame = "));
}

// --- the program -----------------------------------------------------------------------------------------

test::UnixServer::Handler one_finding() {
  return [](int connection, const std::string& target) {
    json document = {{"schema", 1}, {"findings", json::array()}, {"ignored", json::array()}};
    if (target.starts_with("/v1/findings?id=stuck-812-0a1b&"))
      document["findings"].push_back(stuck());
    else if (target.starts_with("/v1/findings?id=ignored-1&")) {
      document["ignored"].push_back(stuck());
      document["ignored"][0]["rule"] = {{"line", 4}, {"reason", "r"}};
    } else if (target == "/v1/status")
      document = {{"schema", 1}, {"config", {{"path", "/etc/x.toml"}}}};
    test::send_json(connection, document.dump());
  };
}

test::RunResult explain(const test::UnixServer& server, std::vector<std::string> words) {
  words.insert(words.begin(), {test::loiter_path(), "explain", "--socket", server.path()});
  return test::run(words);
}

TEST(ExplainProgram, TellsOneFinding) {
  const test::UnixServer server(one_finding());
  const auto told = explain(server, {"stuck-812-0a1b"});
  EXPECT_EQ(told.status.code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("rule: stuck: "));
  const auto ignored = explain(server, {"ignored-1"});
  EXPECT_THAT(ignored.out, HasSubstr("configuration: ignored by the rule in line 4 of /etc/x.toml: r\n"));
  const json document = json::parse(explain(server, {"ignored-1", "--json"}).out);
  EXPECT_EQ(document.at("schema"), 1);
  EXPECT_EQ(document.at("ignored"), true);
  EXPECT_EQ(document.at("finding").at("kind"), "stuck");
  const auto rule = explain(server, {"stuck-812-0a1b", "--ignore"});
  EXPECT_THAT(rule.out, HasSubstr("\n[[rule]]\ncomm = \"api\"\n"));
  const json rule_document = json::parse(explain(server, {"stuck-812-0a1b", "--ignore", "--json"}).out);
  EXPECT_EQ(rule_document.at("toml"), rule.out);
  EXPECT_EQ(rule_document.at("matches").at("thread"), "reader-*");
}

TEST(ExplainProgram, WithoutSuchAFindingItIsThree) {
  const test::UnixServer server(one_finding());
  const auto result = explain(server, {"stuck-1-0"});
  EXPECT_EQ(result.status.code, 3);
  EXPECT_THAT(result.err, HasSubstr("there is no finding stuck-1-0"));
}

TEST(ExplainProgram, TakesIdsOnly) {
  const test::UnixServer server(one_finding());
  for (const char* word : {"a&b=c", "x y", "../x", "", "A"}) {
    const auto result = explain(server, {word});
    EXPECT_EQ(result.status.code, 2) << word;
    EXPECT_TRUE(test::is_one_line(result.err));
  }
  const auto help = test::run({test::loiter_path(), "explain", "--help"});
  EXPECT_EQ(help.status.code, 0);
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
}

}  // namespace
}  // namespace loiter::cli
