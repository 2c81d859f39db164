// `loiter scan` and the private daemon behind it, on a host where none runs: threads blocked long before
// it started are told with their true age, and nothing is left when it ends.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// As if no daemon of the host were there.
RunResult loiter_alone(std::vector<std::string> args) {
  SpawnOptions alone;
  alone.empty_run_dir = true;
  args.insert(args.begin(), loiter_path());
  return run(args, alone);
}

// loiter with a private daemon, running until it is ended.
struct PrivateStream {
  Subprocess loiter{{loiter_path(), "events"}, {.stdout_to_memory = true, .empty_run_dir = true}};
  pid_t daemon = 0;

  ::testing::AssertionResult await_start() {
    return await("a private daemon streams", [&] {
      run({"/usr/bin/env", "true"});  // on a quiet host there is nothing else to tell
      const std::set<pid_t> children = children_of(loiter.pid());
      if (children.size() == 1 && exe_of(*children.begin()) == loiterd_path()) daemon = *children.begin();
      return daemon != 0 && !loiter.stdout_text().empty();
    });
  }
};

TEST(ScanAlone, TellsTheTrueAgeOfWaitsFromBeforeIt) {
  Workload workload("blocker", {"futex", "pipe", "nanosleep", "sigwait"});
  ASSERT_TRUE(workload.await_age(3 * kNsPerSecond));
  const json young = Workload::the(workload.command("add epoll"), "blocked");
  const RunResult result =
      loiter_alone({"scan", "--threshold", "2s", "--pid", std::to_string(workload.pid()), "--json"});
  const int64_t ended = static_cast<int64_t>(boottime_now_ns());
  EXPECT_EQ(to_string(result.status), "exit 0") << result.err;
  const json scan = json::parse(result.out);
  EXPECT_EQ(scan.at("schema"), 1);
  EXPECT_TRUE(scan.at("findings").empty());
  EXPECT_TRUE(scan.at("not_judged").is_array());
  std::set<pid_t> expected = tids(workload.facts());
  std::set<pid_t> told = tids(scan.at("overdue"));
  if (told.contains(young.at("tid"))) {  // on a machine so slow that it too grew old meanwhile
    EXPECT_GE(ended - young.at("before").get<int64_t>(), 2 * kNsPerSecond);
  }
  told.erase(young.at("tid").get<pid_t>());
  told.erase(workload.pid());  // the main thread waits for commands since just now
  EXPECT_EQ(told, expected);
  for (const auto& thread : scan.at("overdue")) {
    EXPECT_EQ(thread.at("pid"), workload.pid());
    EXPECT_GE(thread.at("blocked_ns"), 2 * kNsPerSecond) << thread;
    EXPECT_EQ(thread.at("exactness"), "estimated") << thread;
    for (const auto& fact : workload.facts())
      if (fact.at("tid") == thread.at("tid")) {
        const int64_t most = ended - fact.at("before").get<int64_t>();
        EXPECT_GE(thread.at("blocked_ns"), 3 * kNsPerSecond * 99 / 100 - 50 * kMillisecond) << thread;
        EXPECT_LE(thread.at("blocked_ns"), most + 50 * kMillisecond + most / 100) << thread;
        EXPECT_EQ(thread.at("syscall"), fact.at("syscall"));
      }
  }
}

TEST(ScanAlone, StrictMakesFindingsOfThem) {
  Workload workload("blocker", {"futex"});
  ASSERT_TRUE(workload.await_age(600 * kMillisecond));
  const std::string pid = std::to_string(workload.pid());
  const RunResult strict = loiter_alone({"scan", "--strict", "--threshold", "500ms", "--pid", pid, "--json"});
  EXPECT_EQ(to_string(strict.status), "exit 1") << strict.err;
  const json scan = json::parse(strict.out);
  ASSERT_FALSE(scan.at("findings").empty());
  for (const auto& finding : scan.at("findings")) {
    EXPECT_EQ(finding.at("kind"), "overdue");
    EXPECT_EQ(finding.at("severity"), "warning");
    EXPECT_EQ(finding.at("certainty"), "proven");
    EXPECT_EQ(finding.at("process").at("pid"), workload.pid());
  }
  EXPECT_EQ(to_string(loiter_alone({"scan", "--strict", "--threshold", "1h", "--pid", pid}).status),
            "exit 0");
  EXPECT_EQ(to_string(loiter_alone({"scan", "--strict", "--threshold", "500ms", "--pid", pid}).status),
            "exit 1");
}

TEST(ScanAlone, LooksAsLongAsItIsTold) {
  Workload workload("blocker", {"futex"});
  const uint64_t before = boottime_now_ns();
  const RunResult result = loiter_alone(
      {"scan", "--for", "1500ms", "--threshold", "1s", "--pid", std::to_string(workload.pid()), "--json"});
  EXPECT_EQ(to_string(result.status), "exit 0") << result.err;
  EXPECT_GE(boottime_now_ns() - before, 1500u * kMillisecond);
  EXPECT_TRUE(tids(json::parse(result.out).at("overdue")).contains(workload.facts().front().at("tid")));
}

TEST(PrivateDaemon, ServesEveryCommandAndGoes) {
  for (const auto& args : std::vector<std::vector<std::string>>{
           {"ps", "--json"}, {"top", "--once", "--json"}, {"doctor", "--json"}, {"scan", "--json"}}) {
    const RunResult result = loiter_alone(args);
    EXPECT_EQ(to_string(result.status), "exit 0") << args[0] << result.err;
    EXPECT_EQ(json::parse(result.out).at("schema"), 1);
  }
  // That no process is left is looked at after every test.
}

TEST(PrivateDaemon, EndsWithItsParentByAnySignal) {
  for (int number : {SIGINT, SIGTERM, SIGKILL}) {
    PrivateStream stream;
    ASSERT_TRUE(stream.await_start()) << stream.loiter.stderr_text();
    stream.loiter.signal(number);
    ASSERT_TRUE(stream.loiter.wait());
    EXPECT_TRUE(await("its daemon has ended",
                      [&] {
                        const auto stat = thread_stat(stream.daemon, stream.daemon);
                        return !stat || stat->state == 'Z';
                      }))
        << "after signal " << number;
  }
}

TEST(PrivateDaemon, HoldsNoFileAndNoSocketByName) {
  PrivateStream stream;
  ASSERT_TRUE(stream.await_start()) << stream.loiter.stderr_text();
  for (const auto& fd :
       std::filesystem::directory_iterator("/proc/" + std::to_string(stream.daemon) + "/fd")) {
    std::error_code closed;
    const std::string target = std::filesystem::read_symlink(fd.path(), closed);
    EXPECT_TRUE(!target.starts_with("/") || target == "/dev/null" || target.starts_with("/proc/") ||
                target.starts_with("/sys/") || target.starts_with("/memfd:"))
        << target;
  }
}

TEST(PrivateDaemon, ThatIsKilledIsToldOf) {
  PrivateStream stream;
  ASSERT_TRUE(stream.await_start()) << stream.loiter.stderr_text();
  ASSERT_EQ(kill(stream.daemon, SIGKILL), 0);
  EXPECT_EQ(to_string(stream.loiter.wait().value()), "exit 3");
  const std::string err = stream.loiter.stderr_text();
  EXPECT_TRUE(is_one_line(err));
}

}  // namespace
}  // namespace loiter::test
