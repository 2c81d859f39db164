// What outlives a restart of the daemon: findings with their ids, numbers of threads, and the gaps between;
// and a disk that is full, a file that is damaged, a daemon that is killed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/lib/await.h"
#include "tests/lib/corpus.h"
#include "tests/lib/daemon.h"
#include "tests/lib/finding_log.h"
#include "tests/lib/history.h"
#include "tests/lib/paths.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

json findings_of(const Daemon& daemon, pid_t pid) {
  return daemon.get("/v1/findings?fresh=1&pid=" + std::to_string(pid)).at("findings");
}

json found_of(const Daemon& daemon, pid_t pid) {
  json findings;
  EXPECT_TRUE(await_found(daemon, pid, findings));
  return findings.at(0);
}

json history_of(const Daemon& daemon, pid_t pid, const std::string& more = "") {
  return daemon.get("/v1/history?pid=" + std::to_string(pid) + more);
}

::testing::AssertionResult await_written(const Daemon& daemon, uint64_t findings = 1) {
  return await("it is written",
               [&] { return history_status(daemon).at("findings_written").get<uint64_t>() >= findings; });
}

TEST(History, AFindingLastsOverARestart) {
  TempDir dir;
  auto program = start_corpus("order_two");
  json before;
  {
    auto daemon = daemon_on(dir.file("state"));
    before = found_of(*daemon, program->pid());
    ASSERT_TRUE(await_written(*daemon));
  }
  auto daemon = daemon_on(dir.file("state"));
  Subprocess watch({loiter_path(), "--socket", daemon->socket(), "findings", "--watch", "--json", "--pid",
                    std::to_string(program->pid())},
                   {.stdout_to_memory = true});
  const json after = found_of(*daemon, program->pid());
  EXPECT_EQ(after.at("id"), before.at("id"));
  EXPECT_EQ(after.at("first_seen"), before.at("first_seen"));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(after.at("threads").at(i).at("stack"), before.at("threads").at(i).at("stack"));
    EXPECT_EQ(after.at("threads").at(i).at("created_by"), before.at("threads").at(i).at("created_by"));
  }
  ASSERT_TRUE(await("it is found again", [&] {
    return findings_of(*daemon, program->pid()).at(0).at("last_seen") > after.at("last_seen");
  }));
  EXPECT_EQ(count_lines(*daemon, "raised: ", before.at("id")), 0u) << daemon->log();
  EXPECT_EQ(watch.stdout_text().find("\"raised\""), std::string::npos) << watch.stdout_text();
  EXPECT_NE(daemon->log().find(" of an earlier run taken up again"), std::string::npos) << daemon->log();
}

TEST(History, OneWhoseProcessEndedMeanwhileIsResolvedAndStillExplained) {
  TempDir dir;
  auto program = start_corpus("order_two");
  const pid_t pid = program->pid();
  json before;
  {
    auto daemon = daemon_on(dir.file("state"));
    before = found_of(*daemon, pid);
    ASSERT_TRUE(await_written(*daemon));
  }
  program.reset();
  const std::string id = before.at("id");
  {
    auto daemon = daemon_on(dir.file("state"));
    json gone;
    ASSERT_TRUE(await("it is resolved", [&] {
      const json all = daemon->get("/v1/findings/" + id + "?fresh=1").at("findings");
      return all.size() == 1 && !(gone = all.at(0)).at("resolved").is_null();
    }));
    EXPECT_EQ(gone.at("resolution"), "process_ended");
    EXPECT_EQ(gone.at("resolved_exactness"), "estimated") << "nobody watched when it ended";
    EXPECT_LT(gone.at("last_seen"), gone.at("resolved"));
    EXPECT_EQ(count_lines(*daemon, "raised: ", id), 0u) << daemon->log();
    ASSERT_TRUE(await_written(*daemon));
  }
  // One more restart: only the history knows it now.
  auto daemon = daemon_on(dir.file("state"));
  const json kept = daemon->get("/v1/findings/" + id + "?fresh=1").at("findings");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept.at(0).at("resolution"), "process_ended");
  EXPECT_EQ(kept.at(0).at("first_seen"), before.at("first_seen"));
  EXPECT_EQ(kept.at(0).at("threads").at(0).at("stack"), before.at("threads").at(0).at("stack"));
  EXPECT_EQ(kept.at(0).at("threads").at(0).at("wait"), before.at("threads").at(0).at("wait"));
  EXPECT_EQ(kept.at(0).at("evidence").at("cycle"), 2);
  const RunResult explained = run({loiter_path(), "--socket", daemon->socket(), "explain", id});
  EXPECT_EQ(explained.status.code, 0) << explained.err;
  EXPECT_NE(explained.out.find("process_ended"), std::string::npos) << explained.out;
  const RunResult told = run({loiter_path(), "--socket", daemon->socket(), "history", std::to_string(pid)});
  EXPECT_EQ(told.status.code, 0) << told.err;
  for (const char* text : {"raised ", "resolved ", "process_ended", "not watched: ", "critical deadlock"})
    EXPECT_NE(told.out.find(text), std::string::npos) << text << " is not in " << told.out;
}

TEST(History, ADaemonThatIsKilledLosesNothingThatWasWritten) {
  TempDir dir;
  auto program = start_corpus("ring_three");
  json before;
  for (int i = 0; i < 3; ++i) {
    auto daemon = daemon_on(dir.file("state"));
    const json found = found_of(*daemon, program->pid());
    if (i == 0) {
      before = found;
      ASSERT_TRUE(await_written(*daemon));
    }
    EXPECT_EQ(found.at("first_seen"), before.at("first_seen"));
    // In the middle of writing: a period is over each second.
    const auto rows = [&] { return history_status(*daemon).at("counts_written").get<uint64_t>(); };
    ASSERT_TRUE(await("it writes", [&] { return rows() > 0; }));
    EXPECT_EQ(history_status(*daemon).at("set_aside"), json::array());
    EXPECT_EQ(history_status(*daemon).at("failed_writes"), 0);
    daemon->process().signal(SIGKILL);
    ASSERT_TRUE(daemon->process().wait());
  }
}

TEST(History, NumbersOfThreadsAreKeptWithTheGapsBetween) {
  TempDir dir;
  auto program = start_corpus("many_behind_one");  // a few dozen threads
  const pid_t pid = program->pid();
  uint64_t live = 0;
  for (int i = 0; i < 2; ++i) {
    auto daemon = daemon_on(dir.file("state"));
    live = daemon->tree(pid).at("threads").size();
    ASSERT_TRUE(await("it is counted", [&] {
      const json all = history_of(*daemon, pid).at("processes");
      return all.size() == 1 && all.at(0).at("live") == live && all.at(0).at("ended").is_null();
    }));
    if (i > 0) {
      const json document = history_of(*daemon, pid, "&since_ns=60000000000&points=60");
      const json& process = document.at("processes").at(0);
      EXPECT_EQ(document.at("watched").size(), 2u) << document.at("watched");
      EXPECT_EQ(process.at("least"), live);
      EXPECT_EQ(process.at("most"), live);
      EXPECT_EQ(process.at("periods").size(), 60u);
      EXPECT_TRUE(process.at("periods").at(0).is_null()) << "the program did not live a minute ago";
      EXPECT_EQ(process.at("periods").back().at("live"), live) << process.at("periods");
    }
  }
  Daemon other;
  const RunResult none = run({loiter_path(), "--socket", other.socket(), "history", "no such program"});
  EXPECT_EQ(none.status.code, 3);
  EXPECT_TRUE(is_one_line(none.err)) << none.err;
  const RunResult all = run({loiter_path(), "--socket", other.socket(), "history"});
  EXPECT_EQ(all.status.code, 0) << all.err;
}

TEST(History, ADamagedFileIsSetAsideAndNamed) {
  TempDir dir;
  std::filesystem::create_directory(dir.file("state"));
  std::ofstream(dir.file("state/history.db")) << std::string(50'000, 'x');
  std::filesystem::permissions(dir.file("state"), std::filesystem::perms(0700));
  std::filesystem::permissions(dir.file("state/history.db"), std::filesystem::perms(0600));
  auto daemon = daemon_on(dir.file("state"));
  json status;
  ASSERT_TRUE(await("it writes", [&] {
    return (status = history_status(*daemon)).at("state") == "writing" && status.at("counts_written") > 0;
  }));
  ASSERT_EQ(status.at("set_aside").size(), 1u);
  EXPECT_NE(status.at("set_aside").at(0).get<std::string>().find("history.db.damaged-"), std::string::npos);
  EXPECT_NE(daemon->log().find("history.db.damaged-"), std::string::npos) << daemon->log();
  struct stat file {};
  ASSERT_EQ(stat(dir.file("state/history.db").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
}

void fill(const RamDisk& disk) {
  std::ofstream out(disk.file("filler"), std::ios::binary | std::ios::app);
  const std::string block(4096, 'x');
  while (out.write(block.data(), block.size()).flush()) {
  }
}

TEST(History, AFullDiskIsSurvivedAndWritingGoesOn) {
  RamDisk disk("1m");
  fill(disk);
  auto program = start_corpus("order_two");
  auto daemon = daemon_on(disk.file("state"));
  json status;
  ASSERT_TRUE(
      await("it is told", [&] { return (status = history_status(*daemon)).at("state") == "failing"; }));
  EXPECT_GT(status.at("failed_writes").get<uint64_t>(), 0u);
  EXPECT_FALSE(status.at("failure").is_null());
  found_of(*daemon, program->pid());  // goes on without
  const RunResult doctor = run({loiter_path(), "--socket", daemon->socket(), "doctor"});
  EXPECT_NE(doctor.out.find("history"), std::string::npos) << doctor.out;
  std::filesystem::remove(disk.file("filler"));
  ASSERT_TRUE(await("writing goes on", [&] { return history_status(*daemon).at("state") == "writing"; }));
  ASSERT_TRUE(await_written(*daemon)) << "what was found meanwhile is not lost";
  EXPECT_EQ(history_status(*daemon).at("set_aside"), json::array());

  // And full again, in the midst of it.
  ASSERT_TRUE(await("it is told", [&] {
    fill(disk);  // what a checkpoint gives back too
    return history_status(*daemon).at("state") == "failing";
  }));
  std::filesystem::remove(disk.file("filler"));
  ASSERT_TRUE(await("writing goes on", [&] { return history_status(*daemon).at("state") == "writing"; }));
  EXPECT_EQ(history_status(*daemon).at("set_aside"), json::array());
}

TEST(History, WithoutADirectoryOfItsOwnTheDaemonGoesOn) {
  TempDir dir;
  std::filesystem::create_directory(dir.file("open"));
  std::filesystem::permissions(dir.file("open"), std::filesystem::perms(0777));
  for (const std::string& state : {dir.file("no/such/parent"), dir.file("open")}) {
    auto daemon = daemon_on(state);
    ASSERT_TRUE(await("it is told", [&] { return history_status(*daemon).at("state") == "failing"; }));
    const std::string failure = history_status(*daemon).at("failure");
    EXPECT_NE(failure.find("--state-dir"), std::string::npos) << failure;
    EXPECT_NE(daemon->log().find("no history is written: "), std::string::npos) << daemon->log();
    EXPECT_EQ(daemon->request("/v1/history").status, 503u);
  }
}

TEST(History, OfTwoDaemonsOneWrites) {
  TempDir dir;
  auto first = daemon_on(dir.file("state"));
  ASSERT_TRUE(await("it writes", [&] { return history_status(*first).at("state") == "writing"; }));
  auto second = daemon_on(dir.file("state"));
  ASSERT_TRUE(await("it is told", [&] { return history_status(*second).at("state") == "failing"; }));
  EXPECT_NE(second->log().find("in use by another loiterd"), std::string::npos) << second->log();
  EXPECT_EQ(history_status(*first).at("failed_writes"), 0);
}

TEST(History, NoneIsKeptWhereNoneIsWanted) {
  TempDir dir;
  Daemon daemon({"--state-dir", dir.file("state"), "--history-keep", "0s"});
  EXPECT_EQ(history_status(daemon).at("state"), "off");
  EXPECT_FALSE(std::filesystem::exists(dir.file("state")));
  EXPECT_EQ(daemon.request("/v1/history").status, 503u);
}

}  // namespace
}  // namespace loiter::test
