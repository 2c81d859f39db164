#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace loiter::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using Words = std::vector<std::string>;

Options parsed(const Words& words) {
  auto result = parse_options(words);
  if (const EarlyExit* exit = std::get_if<EarlyExit>(&result)) {
    ADD_FAILURE() << ::testing::PrintToString(words) << ": " << exit->complaint;
    return {};
  }
  return std::get<Options>(result);
}

EarlyExit exit_of(const Words& words) {
  auto result = parse_options(words);
  if (const EarlyExit* exit = std::get_if<EarlyExit>(&result)) return *exit;
  ADD_FAILURE() << ::testing::PrintToString(words) << " was taken";
  return {};
}

TEST(Options, Commands) {
  EXPECT_EQ(parsed({"ps"}).command, Command::ps);
  EXPECT_EQ(parsed({"tree", "5"}).command, Command::tree);
  EXPECT_EQ(parsed({"events"}).command, Command::events);
  EXPECT_EQ(parsed({"doctor"}).command, Command::doctor);
  EXPECT_EQ(parsed({"scan"}).command, Command::scan);
  EXPECT_EQ(parsed({"top"}).command, Command::top);
  EXPECT_EQ(parsed({"stacks", "5"}).command, Command::stacks);
  EXPECT_EQ(parsed({"chain", "5"}).command, Command::chain);
  EXPECT_EQ(parsed({"why", "5"}).command, Command::why);
  EXPECT_EQ(parsed({"unjoined", "5"}).command, Command::unjoined);
  EXPECT_EQ(parsed({"history"}).command, Command::history);
  EXPECT_EQ(parsed({"history", "812"}).pid, 812u);
  EXPECT_EQ(parsed({"history", "nginx", "--since", "2h"}).name, "nginx");
  EXPECT_EQ(parsed({"history", "nginx", "--since", "2h"}).since_ns, 7'200'000'000'000u);
  EXPECT_EQ(parsed({"explain", "stuck-5-0a"}).command, Command::explain);
  EXPECT_EQ(parsed({"explain", "stuck-5-0a", "--ignore"}).finding, "stuck-5-0a");
  EXPECT_TRUE(parsed({"explain", "stuck-5-0a", "--ignore"}).print_rule);
}

TEST(Options, Defaults) {
  const Options options = parsed({"ps"});
  EXPECT_EQ(options.sort, "oldest");
  EXPECT_EQ(options.interval_ns, 1'000'000'000u);
  EXPECT_FALSE(options.threshold_ns || options.socket || options.limit || options.pid || options.for_ns);
  EXPECT_FALSE(options.json || options.kernel_threads || options.strict || options.once || options.ended);
}

TEST(Options, CommonOnesStandBeforeOrAfterTheCommand) {
  for (const Words& words : {Words{"--socket", "/s", "--threshold", "5s", "--json", "--kernel-threads", "ps"},
                             Words{"ps", "--socket", "/s", "--threshold", "5s", "--json", "--kernel-threads"},
                             Words{"--json", "--threshold=5s", "ps", "--socket=/s", "--kernel-threads"}}) {
    const Options options = parsed(words);
    EXPECT_EQ(options.socket, "/s");
    EXPECT_EQ(options.threshold_ns, 5'000'000'000u);
    EXPECT_TRUE(options.json);
    EXPECT_TRUE(options.kernel_threads);
  }
}

TEST(Options, OfEachCommand) {
  const Options scan = parsed({"scan", "--pid", "812", "--for", "1m30s", "--strict"});
  EXPECT_EQ(scan.pid, 812u);
  EXPECT_EQ(scan.for_ns, 90'000'000'000u);
  EXPECT_TRUE(scan.strict);
  const Options events = parsed({"events", "--pid", "1", "--count", "3", "--for", "250ms"});
  EXPECT_EQ(events.count, 3u);
  EXPECT_EQ(events.for_ns, 250'000'000u);
  EXPECT_FALSE(events.pthreads);
  EXPECT_TRUE(parsed({"events", "--pid", "1", "--pthreads"}).pthreads);
  const Options tree = parsed({"tree", "--ended", "4194304"});
  EXPECT_TRUE(tree.ended);
  EXPECT_EQ(tree.pid, 4194304u);
  const Options stacks = parsed({"stacks", "812", "814", "--kernel", "--no-lines"});
  EXPECT_EQ(stacks.pid, 812u);
  EXPECT_EQ(stacks.tid, 814u);
  EXPECT_TRUE(stacks.kernel_stacks);
  EXPECT_FALSE(stacks.lines);
  const Options chain = parsed({"chain", "812"});
  EXPECT_EQ(chain.pid, 812u);
  EXPECT_FALSE(chain.tid);
  EXPECT_TRUE(chain.lines);
  EXPECT_EQ(parsed({"chain", "812", "814"}).tid, 814u);
  const Options ps = parsed({"ps", "--sort", "CPU", "--limit", "10"});
  EXPECT_EQ(ps.sort, "CPU");
  EXPECT_EQ(ps.limit, 10u);
  const Options top = parsed({"top", "--once", "--interval", "100ms"});
  EXPECT_TRUE(top.once);
  EXPECT_EQ(top.interval_ns, 100'000'000u);
}

// Wrong usage is exit code 2 and one line, whatever was typed.
class WrongUsage : public ::testing::TestWithParam<Words> {};

TEST_P(WrongUsage, IsOneLineAndTwo) {
  const EarlyExit exit = exit_of(GetParam());
  EXPECT_EQ(exit.code, 2);
  EXPECT_EQ(exit.out, "");
  EXPECT_THAT(exit.complaint, Not(::testing::IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(
    Options, WrongUsage,
    ::testing::Values(
        Words{"frob"}, Words{"--frob"}, Words{"ps", "--frob"}, Words{"ps", "tree"}, Words{"ps", "x"},
        Words{"tree"}, Words{"tree", "abc"}, Words{"tree", "-5"}, Words{"tree", "0"}, Words{"tree", ""},
        Words{"tree", "99999999999"}, Words{"tree", "4194305"}, Words{"tree", "5x"}, Words{"tree", " 5"},
        Words{"tree", "1", "2"}, Words{"scan", "--pid", "0"}, Words{"events", "--pid", "x"},
        Words{"scan", "--threshold"}, Words{"scan", "--threshold", ""}, Words{"scan", "--threshold", "5"},
        Words{"--threshold", "-1s", "ps"}, Words{"scan", "--for", "soon"}, Words{"top", "--interval", "99ms"},
        Words{"top", "--interval", "x"}, Words{"ps", "--sort", "colour"}, Words{"ps", "--limit", "0"},
        Words{"ps", "--limit", "-1"}, Words{"events", "--count", "many"}, Words{"ps", "--socket", ""},
        Words{"--threshold", "5s", "events"}, Words{"doctor", "--threshold", "5s"}, Words{"stacks"},
        Words{"stacks", "x"}, Words{"stacks", "1", "x"}, Words{"stacks", "1", "0"},
        Words{"stacks", "1", "2", "3"}, Words{"chain"}, Words{"chain", "1", "-2"},
        Words{"chain", "1", "--kernel"}, Words{"why"}, Words{"why", "1", "2"}, Words{"why", "0"},
        Words{"--threshold", "5s", "why", "1"}));

TEST(Options, ComplaintsNameTheWordAndTheHelp) {
  EXPECT_THAT(exit_of({"frob"}).complaint, HasSubstr("there is no command 'frob'"));
  EXPECT_THAT(exit_of({"--json", "frob"}).complaint, HasSubstr("'frob'"));
  EXPECT_THAT(exit_of({"tree", "abc"}).complaint, HasSubstr("'abc' is not a process id"));
  EXPECT_THAT(exit_of({"stacks", "1", "abc"}).complaint, HasSubstr("'abc' is not a thread id"));
  EXPECT_THAT(exit_of({"tree", "abc"}).complaint, HasSubstr("loiter tree --help"));
  EXPECT_THAT(exit_of({"scan", "--threshold", "5"}).complaint, HasSubstr("as in 30s"));
  EXPECT_THAT(exit_of({"ps", "--sort", "x"}).complaint, HasSubstr("oldest"));
}

TEST(Options, AloneItIsHelpAndTwo) {
  const EarlyExit exit = exit_of({});
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, HasSubstr("Usage: loiter"));
}

TEST(Options, HelpOfEachCommandHasExamples) {
  EXPECT_THAT(exit_of({"--help"}).out, HasSubstr("doctor"));
  for (const char* command :
       {"ps", "tree", "events", "doctor", "scan", "top", "stacks", "chain", "why", "unjoined"}) {
    const EarlyExit exit = exit_of({command, "--help"});
    EXPECT_EQ(exit.code, 0);
    EXPECT_THAT(exit.out, HasSubstr("Usage: loiter " + std::string(command)));
    EXPECT_THAT(exit.out, HasSubstr("Examples:"));
    EXPECT_THAT(exit.out, HasSubstr("--json"));
  }
}

TEST(Options, Version) {
  const EarlyExit exit = exit_of({"--version"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_THAT(exit.out, ::testing::MatchesRegex("loiter [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Options, CheckTakesWhatStandsBehindTheMark) {
  const Options options =
      parsed({"check",    "--grace",     "2s",     "--ignore", "a*",      "--ignore=b", "--follow",
              "--within", "1m",          "--json", "/j",       "--junit", "/x",         "--report-threads-of",
              "jvm",      "--threshold", "1s",     "--",       "top",     "--once",     "--",
              "-x"});
  EXPECT_EQ(options.command, Command::check);
  EXPECT_EQ(options.words, (Words{"top", "--once", "--", "-x"}));
  EXPECT_EQ(options.grace_ns, 2'000'000'000u);
  EXPECT_EQ(options.within_ns, 60'000'000'000u);
  EXPECT_EQ(options.threshold_ns, 1'000'000'000u);
  EXPECT_EQ(options.ignore, (Words{"a*", "b"}));
  EXPECT_EQ(options.count_runtimes, Words{"jvm"});
  EXPECT_EQ(options.json_file, "/j");
  EXPECT_EQ(options.junit_file, "/x");
  EXPECT_TRUE(options.follow);
  const Options plain = parsed({"check", "--", "true"});
  EXPECT_FALSE(plain.follow || plain.within_ns || plain.json_file || plain.junit_file || plain.json);
  EXPECT_EQ(plain.grace_ns, 0u);
}

TEST(Options, CheckRefusesWithACodeThatIsNotTheCommands) {
  for (const Words& words :
       {Words{"check"}, Words{"check", "--"}, Words{"check", "true"},
        Words{"check", "--grace", "2", "--", "true"}, Words{"check", "--json", "-", "--", "true"},
        Words{"check", "--json", "--", "true"}, Words{"--json", "check", "--", "true"},
        Words{"check", "--ignore", "", "--", "true"},
        Words{"check", "--report-threads-of", "perl", "--", "true"},
        Words{"check", "--bogus", "--", "true"}}) {
    const EarlyExit exit = exit_of(words);
    EXPECT_EQ(exit.code, 125) << ::testing::PrintToString(words);
    EXPECT_NE(exit.complaint, "") << ::testing::PrintToString(words);
  }
  EXPECT_EQ(exit_of({"check", "--help"}).code, 0);
  EXPECT_THAT(exit_of({"check", "--help"}).out, HasSubstr("-- COMMAND"));
}

}  // namespace
}  // namespace loiter::cli
