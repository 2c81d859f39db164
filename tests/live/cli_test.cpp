// The command line against a daemon: what it prints, its exit codes, and its one line for each mistake.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

class Cli : public ::testing::Test {
 protected:
  RunResult loiter(std::vector<std::string> args) const {
    args.insert(args.begin(), loiter_path());
    args.insert(args.begin() + 2, {"--socket", daemon.socket()});
    return run(args);
  }

  // Exit 0, nothing on stderr, and one document of schema 1 on stdout.
  json document(const std::vector<std::string>& args) const {
    const RunResult result = loiter(args);
    EXPECT_EQ(to_string(result.status), "exit 0") << result.err;
    EXPECT_EQ(result.err, "");
    json parsed = json::parse(result.out);
    EXPECT_EQ(parsed.at("schema"), 1);
    return parsed;
  }

  void expect_refusal(const std::vector<std::string>& args, int code) const {
    const RunResult result = loiter(args);
    EXPECT_EQ(to_string(result.status), "exit " + std::to_string(code)) << json(args) << result.err;
    EXPECT_EQ(result.out, "") << json(args);
    EXPECT_TRUE(is_one_line(result.err));
  }

  Daemon daemon;
};

std::string text(pid_t pid) {
  return std::to_string(pid);
}

TEST_F(Cli, EveryCommandPrintsOneJsonDocument) {
  Workload workload("blocker", {"futex"});
  EXPECT_TRUE(document({"ps", "--json"}).contains("processes"));
  EXPECT_TRUE(document({"top", "--once", "--json"}).contains("processes"));
  EXPECT_TRUE(document({"top", "--json"}).contains("processes")) << "stdout is no terminal";
  const json tree = document({"tree", text(workload.pid()), "--json"});
  EXPECT_EQ(tids(tree.at("threads")), threads_of(workload.pid()));
  EXPECT_EQ(document({"unjoined", text(workload.pid()), "--json"}).at("unjoined"), 0);
  const json scan = document({"scan", "--json", "--threshold", "1h"});
  EXPECT_TRUE(scan.at("findings").empty());
  EXPECT_TRUE(scan.contains("overdue") && scan.contains("not_judged"));
  EXPECT_TRUE(document({"doctor", "--json"}).contains("checks"));
}

TEST_F(Cli, EveryCommandHasHelp) {
  for (const char* command : {"top", "ps", "tree", "events", "doctor", "scan", "findings", "check"}) {
    const RunResult result = run({loiter_path(), command, "--help"});
    EXPECT_EQ(to_string(result.status), "exit 0") << command;
    EXPECT_NE(result.out.find("--"), std::string::npos) << command;
    EXPECT_EQ(result.err, "") << command;
  }
  EXPECT_EQ(to_string(run({loiter_path(), "--help"}).status), "exit 0");
  EXPECT_EQ(to_string(run({loiter_path(), "--version"}).status), "exit 0");
}

TEST_F(Cli, TheTextShowsTheThreads) {
  Workload workload("spawn_tree", {"2", "1"});
  const RunResult tree = loiter({"tree", text(workload.pid())});
  EXPECT_EQ(to_string(tree.status), "exit 0") << tree.err;
  for (pid_t tid : threads_of(workload.pid()))
    EXPECT_NE(tree.out.find(text(tid)), std::string::npos) << tid << " is missing in\n" << tree.out;
  for (const auto& args : std::vector<std::vector<std::string>>{{"ps"}, {"top"}, {"top", "--once"}}) {
    const RunResult result = loiter(args);
    EXPECT_EQ(to_string(result.status), "exit 0") << result.err;
    EXPECT_NE(result.out.find("spawn_tree"), std::string::npos) << result.out;
    EXPECT_EQ(result.out.find('\x1b'), std::string::npos) << "no escape sequences but for a terminal";
  }
}

TEST_F(Cli, NamesCannotMoveTheTerminal) {
  Workload workload("renamer");
  for (const char* name : {"1b5b33316d726564", "74776f0a6c696e6573", "ff9b324a", "e280ae726576"}) {
    workload.command(std::string("self ") + name);
    daemon.status();
    for (const auto& args : std::vector<std::vector<std::string>>{
             {"tree", text(workload.pid())},
             {"ps"},
             {"scan", "--threshold", "1ns", "--pid", text(workload.pid())}}) {
      const RunResult result = loiter(args);
      EXPECT_EQ(to_string(result.status), "exit 0") << result.err;
      for (char byte : result.out)
        ASSERT_TRUE(byte == '\n' || static_cast<unsigned char>(byte) >= 0x20) << result.out;
      EXPECT_EQ(result.out.find("\xe2\x80\xae"), std::string::npos) << result.out;
      EXPECT_EQ(result.out.find('\x9b'), std::string::npos) << result.out;
    }
    const json tree = document({"tree", text(workload.pid()), "--json"});
    EXPECT_EQ(tree.at("threads").size(), 2u);
  }
}

TEST_F(Cli, APidThatCannotBeShownIsRefused) {
  Workload workload("spawn_tree", {"1", "1"});
  const pid_t thread = workload.facts().front().at("tid");
  daemon.status();
  pid_t vanished;
  {
    Workload gone("spawn_tree", {"0", "0"});
    vanished = gone.pid();
  }
  for (const std::string& pid : {std::string("4194304"), text(thread), std::string("2")}) {
    expect_refusal({"tree", pid}, 3);
    expect_refusal({"tree", pid, "--json"}, 3);
    expect_refusal({"scan", "--pid", pid}, 3);
  }
  expect_refusal({"scan", "--pid", text(vanished)}, 3);
}

TEST_F(Cli, MistakesOfUsageAreTold) {
  expect_refusal({"tree"}, 2);
  expect_refusal({"tree", "abc"}, 2);
  expect_refusal({"tree", "-1"}, 2);
  expect_refusal({"tree", "99999999999999999999"}, 2);
  expect_refusal({"scan", "--threshold", "30"}, 2);
  expect_refusal({"scan", "--threshold", "soon"}, 2);
  expect_refusal({"scan", "--threshold", ""}, 2);
  expect_refusal({"scan", "--for", "-1s"}, 2);
  expect_refusal({"scan", "--pid", "x"}, 2);
  expect_refusal({"ps", "--no-such-option"}, 2);
  expect_refusal({"ps", "surplus"}, 2);
  EXPECT_EQ(to_string(run({loiter_path(), "no-such-command"}).status), "exit 2");
}

TEST_F(Cli, ASocketWithoutADaemonIsToldOf) {
  TempDir dir;
  const RunResult result = run({loiter_path(), "ps", "--socket", dir.file("none")});
  EXPECT_EQ(to_string(result.status), "exit 3");
  EXPECT_TRUE(is_one_line(result.err));
}

TEST_F(Cli, EventsAreLinesOfJson) {
  Workload workload("storm");
  Subprocess events({loiter_path(), "events", "--json", "--socket", daemon.socket()},
                    {.stdout_to_memory = true});
  ASSERT_TRUE(await("it listens", [&] { return daemon.status().at("counts").at("event_streams") == 1; }));
  workload.command("threads 3");
  const std::string pid = "\"pid\":" + text(workload.pid());
  ASSERT_TRUE(await("three births and ends", [&] {
    std::string compact = events.stdout_text();
    compact.erase(std::remove(compact.begin(), compact.end(), ' '), compact.end());
    size_t found = 0;
    for (size_t at = 0; (at = compact.find(pid + ",", at)) != std::string::npos; ++at) ++found;
    return found >= 6;
  })) << events.stdout_text();
  std::istringstream lines(events.stdout_text());
  for (std::string line; std::getline(lines, line) && !lines.eof();)
    EXPECT_TRUE(json::parse(line).contains("type")) << line;
  events.signal(SIGINT);
  const ExitStatus status = events.wait().value();
  EXPECT_TRUE(status.code == 0 || status.code == 130 || status.signal == SIGINT) << to_string(status);
}

TEST_F(Cli, EventsSayWhenTheDaemonGoes) {
  Subprocess events({loiter_path(), "events", "--socket", daemon.socket()}, {.stdout_to_memory = true});
  ASSERT_TRUE(await("it listens", [&] { return daemon.status().at("counts").at("event_streams") == 1; }));
  daemon.stop();
  EXPECT_EQ(to_string(events.wait().value()), "exit 3");
  const std::string err = events.stderr_text();
  EXPECT_TRUE(is_one_line(err));
}

TEST_F(Cli, AClosedOutputIsNoCrash) {
  Workload workload("storm");
  workload.command("keep 2000");
  Subprocess process({loiter_path(), "tree", text(workload.pid()), "--socket", daemon.socket()});
  char some[100];
  ASSERT_GT(read(process.stdout_fd(), some, sizeof(some)), 0);
  process.close_stdout();
  const ExitStatus status = process.wait().value();
  EXPECT_TRUE(status.signal == 0 || status.signal == SIGPIPE) << to_string(status);
}

}  // namespace
}  // namespace loiter::test
