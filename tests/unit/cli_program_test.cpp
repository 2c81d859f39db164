// The program itself, as a shell sees it: exit codes, one line on stderr, closed pipes. No daemon is needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>

#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/subprocess.h"
#include "tests/unit/cli_unix_server.h"

namespace loiter {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

test::RunResult loiter(std::vector<std::string> words) {
  words.insert(words.begin(), test::loiter_path());
  return test::run(words);
}

void expect_one_line(const std::string& text) {
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_TRUE(text.starts_with("loiter: ")) << text;
}

TEST(Program, WrongUsageIsTwoAndOneLine) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"frob"}, {"tree", "abc"}, {"scan", "--threshold", "5"}, {"a\x1b[31m\nb"}}) {
    const auto result = loiter(words);
    EXPECT_EQ(result.status.code, 2);
    EXPECT_THAT(result.out, IsEmpty());
    expect_one_line(result.err);
    EXPECT_EQ(result.err.find('\x1b'), std::string::npos);
  }
}

TEST(Program, AloneItIsHelpAndTwo) {
  const auto result = loiter({});
  EXPECT_EQ(result.status.code, 2);
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, HasSubstr("Usage: loiter"));
}

TEST(Program, HelpAndVersionAreZeroOnStdout) {
  for (const char* word : {"--help", "--version"}) {
    const auto result = loiter({word});
    EXPECT_EQ(result.status.code, 0);
    EXPECT_THAT(result.out, Not(IsEmpty()));
    EXPECT_THAT(result.err, IsEmpty());
  }
}

TEST(Program, ASocketThatIsNotThereIsThreeForEveryCommand) {
  const test::TempDir dir;
  for (const char* command : {"ps", "scan", "events", "top"}) {
    const auto result = loiter({command, "--socket", dir.file("none")});
    EXPECT_EQ(result.status.code, 3) << command;
    EXPECT_THAT(result.out, IsEmpty());
    expect_one_line(result.err);
  }
}

TEST(Program, DoctorWithoutADaemonLooksForItselfAndIsThree) {
  const test::TempDir dir;
  const auto result = loiter({"doctor", "--json", "--socket", dir.file("none")});
  EXPECT_EQ(result.status.code, 3);
  const auto document = nlohmann::json::parse(result.out);
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["works"], false);
  EXPECT_FALSE(document["checks"].empty());
}

// A server that answers as loiterd would for two processes.
test::UnixServer::Handler two_processes() {
  return [](int connection, const std::string&) {
    test::send_json(connection, R"({"schema": 1, "as_of": "x", "threshold_ns": 1, "kernel_threads": false,
      "host": {"name": "h"}, "processes": [{"pid": 1, "comm": "a"}, {"pid": 2, "comm": "b\u001b"}],
      "findings": [], "overdue": [], "not_judged": [], "counts": {"threads": 9}})");
  };
}

TEST(Program, PrintsWhatTheDaemonSays) {
  const test::UnixServer server(two_processes());
  const auto ps = loiter({"ps", "--socket", server.path(), "--sort", "pid"});
  EXPECT_EQ(ps.status.code, 0) << ps.err;
  EXPECT_THAT(ps.err, IsEmpty());
  EXPECT_EQ(std::count(ps.out.begin(), ps.out.end(), '\n'), 3);
  EXPECT_THAT(ps.out, HasSubstr("b\\x1b"));
  const auto scan = loiter({"--socket", server.path(), "scan"});
  EXPECT_EQ(scan.status.code, 0);
  EXPECT_EQ(scan.out, "nothing overdue: 9 threads, threshold 1ns\n");
  const auto top = loiter({"--socket", server.path(), "top"});
  EXPECT_EQ(top.status.code, 0) << "without a terminal: one table";
  EXPECT_THAT(top.out, HasSubstr("PID  COMM"));
}

TEST(Program, JsonIsOneDocument) {
  const test::UnixServer server(two_processes());
  for (const char* command : {"ps", "scan", "top"}) {
    const auto result = loiter({command, "--json", "--socket", server.path()});
    EXPECT_EQ(nlohmann::json::parse(result.out)["schema"], 1) << command;
  }
}

// A server that answers for process 812, where 4713 waits for 4711.
test::UnixServer::Handler one_that_waits() {
  return [](int connection, const std::string& target) {
    const std::string process = R"("schema": 1, "as_of": "x", "process": {"pid": 812, "comm": "api"})";
    const std::string waiter =
        R"({"pid": 812, "tid": 4713, "name": "w\u001b", "state": "sleeping", "blocked_ns": 5000000000,
            "exactness": "exact", "wait": {"kind": "lock", "object": "0x1", "holder_tid": 4711}})";
    const std::string owner = R"({"pid": 812, "tid": 4711, "name": "o", "state": "running"})";
    if (target.starts_with("/v1/processes/813"))
      test::send_response(
          connection, "404 Not Found",
          R"({"schema": 1, "error": {"code": "no_such_process", "message": "no process 813"}})");
    else if (target.starts_with("/v1/processes/812/stacks"))
      test::send_json(connection, "{" + process +
                                      R"(, "threads": [{"tid": 4711, "name": "o", "state": "running",
        "stack": [{"symbol": "f", "module": "/bin/api"}], "target": ")" +
                                      target + "\"}]}");
    else if (target.starts_with("/v1/processes/812/chains"))
      test::send_json(connection, "{" + process + R"(, "chains": [{"links": [)" + waiter + "," + owner +
                                      R"(], "end": "running", "waiters": 1, "root": 1}]})");
    else
      test::send_json(connection, "{" + process + R"(, "threads": [)" + owner + "," + waiter + "]}");
  };
}

TEST(Program, StacksChainAndWhyInWords) {
  const test::UnixServer server(one_that_waits());
  const auto stacks = loiter({"stacks", "812", "--socket", server.path()});
  EXPECT_EQ(stacks.status.code, 0) << stacks.err;
  EXPECT_EQ(stacks.out, "812 api  1 thread\n\n4711 o\n  running\n  #0 f in api\n");
  const auto chain = loiter({"chain", "812", "--socket", server.path()});
  EXPECT_EQ(chain.status.code, 0) << chain.err;
  EXPECT_EQ(chain.out,
            "812 api\n1 waiter behind 4711 o\n  4713 w\\x1b, sleeping 5.00s, lock 0x1 held by 4711\n"
            "    4711 o, running\n      => 4711 o runs\n");
  const auto why = loiter({"why", "812", "--socket", server.path()});
  EXPECT_EQ(why.status.code, 0) << why.err;
  EXPECT_EQ(why.out,
            "812 (api): 1 thread waits for 4711 o, which runs: 4713 w\\x1b (blocked for 5.00s)\n"
            "waits for lock 0x1 held by 4711. 4711 is at f in api.\n");
}

TEST(Program, StacksAndWhyAsJson) {
  const test::UnixServer server(one_that_waits());
  const auto stacks =
      loiter({"stacks", "812", "4711", "--kernel", "--no-lines", "--json", "--socket", server.path()});
  EXPECT_EQ(nlohmann::json::parse(stacks.out)["threads"][0]["target"],
            "/v1/processes/812/stacks?tid=4711&kernel=1&lines=0");
  const auto chain = loiter({"chain", "812", "4713", "--json", "--socket", server.path()});
  EXPECT_EQ(nlohmann::json::parse(chain.out)["chains"][0]["end"], "running");
  const auto why = nlohmann::json::parse(loiter({"why", "812", "--json", "--socket", server.path()}).out);
  EXPECT_EQ(why["schema"], 1);
  EXPECT_EQ(why["pid"], 812);
  EXPECT_EQ(why["root"]["tid"], 4711);
  EXPECT_EQ(why["chain"]["waiters"], 1);
  EXPECT_EQ(why["stack"][0]["symbol"], "f");
  EXPECT_THAT(why["text"].get<std::string>(), HasSubstr("4711 o, which runs"));
}

TEST(Program, AProcessThatIsNotThereIsThree) {
  const test::UnixServer server(one_that_waits());
  for (const char* command : {"stacks", "chain", "why"}) {
    const auto result = loiter({command, "813", "--socket", server.path()});
    EXPECT_EQ(result.status.code, 3) << command;
    EXPECT_THAT(result.out, IsEmpty());
    EXPECT_EQ(result.err, "loiter: no process 813\n");
  }
}

TEST(Program, WarnsWhereARunningDaemonKnowsNoKernelThreads) {
  const test::UnixServer server(two_processes());
  const auto result = loiter({"ps", "--kernel-threads", "--socket", server.path()});
  EXPECT_EQ(result.status.code, 0);
  expect_one_line(result.err);
  EXPECT_THAT(result.err, HasSubstr("--kernel-threads"));
}

TEST(Program, AReaderWhoLeavesEndsItQuietly) {
  std::promise<void> left;
  const test::UnixServer server([&, answer = two_processes()](int connection, const std::string& target) {
    if (target != "/v1/status") left.get_future().wait();
    answer(connection, target);
  });
  test::Subprocess program({test::loiter_path(), "ps", "--socket", server.path()});
  program.close_stdout();
  left.set_value();
  EXPECT_EQ(test::to_string(program.wait().value()), "exit 0");
  EXPECT_THAT(program.stderr_text(), IsEmpty());
}

TEST(Program, AFullDiskIsThree) {
  const test::UnixServer server(two_processes());
  const auto result = test::run({"/bin/sh", "-c", "exec \"$0\" \"$@\" > /dev/full", test::loiter_path(), "ps",
                                 "--socket", server.path()});
  EXPECT_EQ(result.status.code, 3);
  expect_one_line(result.err);
}

TEST(Program, StartsWithoutStandardDescriptors) {
  const test::UnixServer server(two_processes());
  const auto result = test::run({"/bin/sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-", test::loiter_path(),
                                 "scan", "--socket", server.path()});
  EXPECT_EQ(result.status.code, 0);
}

}  // namespace
}  // namespace loiter
