// The stream of lifecycle events: just what happened, in its order, and to readers of every kind.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <map>

#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// A stream from the daemon. It reads when asked to.
class Stream {
 public:
  explicit Stream(const Daemon& daemon, const std::string& query = "")
      : opened_(boottime_now_ns()), connection_(daemon.socket()) {
    connection_.request("/v1/events" + query);
    status_ = connection_.read_head().status;
    if (status_ != 200) return;
    const json start = next();
    EXPECT_EQ(start.at("type"), "start");
    EXPECT_EQ(start.at("schema"), 1);
  }

  int status() const { return status_; }

  // The daemon collects events a few times a second: what happened just before this was opened may come
  // too, and is passed over.
  json next() {
    while (true) {
      const auto line = connection_.read_line();
      if (!line) throw std::runtime_error("the stream says no more");
      json event = json::parse(*line);
      parse_rfc3339(event.at("time"));
      if (event.at("boottime_ns") >= opened_) return event;
    }
  }

  // The next that concerns `pid`: others' events may come between.
  json next_of(pid_t pid) {
    while (true) {
      json event = next();
      if (event.contains("pid") && event.at("pid") == pid) return event;
    }
  }

  HttpConnection& connection() { return connection_; }

 private:
  uint64_t opened_;
  HttpConnection connection_;
  int status_ = 0;
};

TEST(Events, OfAThreadAreItsBirthAndItsEnd) {
  Daemon daemon;
  Workload workload("spawn_tree", {"0", "0"});
  Stream stream(daemon, "?pid=" + std::to_string(workload.pid()));
  const json added = Workload::the(workload.command("add"), "thread");
  const uint64_t asked = boottime_now_ns();
  workload.command("end " + std::to_string(added.at("tid").get<pid_t>()));
  const json birth = stream.next();
  EXPECT_EQ(birth.at("type"), "birth") << birth;
  EXPECT_EQ(birth.at("pid"), workload.pid());
  EXPECT_EQ(birth.at("tid"), added.at("tid"));
  EXPECT_EQ(birth.at("process"), false);
  EXPECT_EQ(birth.at("creator_pid"), workload.pid());
  EXPECT_EQ(birth.at("creator_tid"), workload.pid());
  EXPECT_GE(birth.at("boottime_ns"), added.at("before"));
  EXPECT_LE(birth.at("boottime_ns"), added.at("after"));
  const json end = stream.next();
  EXPECT_EQ(end.at("type"), "exit") << end;
  EXPECT_EQ(end.at("tid"), added.at("tid"));
  EXPECT_EQ(end.at("exit_code"), 0);
  EXPECT_TRUE(end.at("signal").is_null());
  EXPECT_GE(end.at("boottime_ns"), asked);
  EXPECT_LE(end.at("boottime_ns"), boottime_now_ns());

  workload.process().close_stdin();
  const json last = stream.next();
  EXPECT_EQ(last.at("type"), "exit") << last;
  EXPECT_EQ(last.at("tid"), workload.pid());
}

TEST(Events, OfAProcessAreBirthExecAndDeathBySignal) {
  Daemon daemon;
  Stream stream(daemon);
  Workload workload("spawn_tree", {"0", "0"});
  workload.process().signal(SIGKILL);
  const json birth = stream.next_of(workload.pid());
  EXPECT_EQ(birth.at("type"), "birth") << birth;
  EXPECT_EQ(birth.at("process"), true);
  EXPECT_EQ(birth.at("tid"), workload.pid());
  EXPECT_EQ(birth.at("creator_pid"), getpid());
  EXPECT_EQ(birth.at("creator_tid"), gettid());
  json exec = stream.next_of(workload.pid());
  if (exec.at("type") == "rename") {  // the exec's own
    exec = stream.next_of(workload.pid());
  }
  EXPECT_EQ(exec.at("type"), "exec") << exec;
  EXPECT_EQ(exec.at("filename"), workload_path("spawn_tree"));
  EXPECT_EQ(exec.at("tid"), workload.pid());
  EXPECT_EQ(exec.at("old_tid"), workload.pid());
  EXPECT_EQ(exec.at("name"), "spawn_tree");
  const json end = stream.next_of(workload.pid());
  EXPECT_EQ(end.at("type"), "exit") << end;
  EXPECT_EQ(end.at("signal"), SIGKILL);
  EXPECT_TRUE(end.at("exit_code").is_null()) << end;
}

TEST(Events, TellTheExitCode) {
  Daemon daemon;
  Workload workload("fork_without_exec");
  const pid_t child = Workload::the(workload.facts(), "forked").at("child");
  Stream stream(daemon, "?pid=" + std::to_string(child));
  workload.command("end");
  std::set<pid_t> ended;
  for (int i = 0; i < 2; ++i) {
    const json end = stream.next();
    EXPECT_EQ(end.at("type"), "exit") << end;
    EXPECT_EQ(end.at("exit_code"), 3) << end;
    ended.insert(end.at("tid").get<pid_t>());
  }
  EXPECT_EQ(ended, (std::set<pid_t>{child, Workload::the(workload.facts(), "child_thread").at("tid")}));
}

TEST(Events, TellWhoTookTheLeadersPlace) {
  Daemon daemon;
  Workload workload("exec_from_thread");
  pid_t executor = 0;
  for (const auto& thread : workload.facts())
    if (thread.at("role") == "executor") executor = thread.at("tid");
  Stream stream(daemon, "?pid=" + std::to_string(workload.pid()));
  workload.send("exec");
  workload.read_until("settled");
  json event;
  std::set<pid_t> ended;
  while ((event = stream.next()).at("type") != "exec")
    if (event.at("type") == "exit") ended.insert(event.at("tid").get<pid_t>());
  EXPECT_EQ(event.at("tid"), workload.pid());
  EXPECT_EQ(event.at("old_tid"), executor);
  EXPECT_EQ(event.at("filename"), "/proc/self/exe");
  for (const auto& thread : workload.facts())
    EXPECT_EQ(ended.contains(thread.at("tid").get<pid_t>()), thread.at("role") == "sibling") << thread;
  EXPECT_EQ(stream.next().at("type"), "birth") << "of the new program's thread";
}

TEST(Events, TellBothNames) {
  Daemon daemon;
  Workload workload("renamer");
  Stream stream(daemon, "?pid=" + std::to_string(workload.pid()));
  workload.command("self 66697273740a");
  workload.command("other ff");
  const json first = stream.next();
  EXPECT_EQ(first.at("type"), "rename") << first;
  EXPECT_EQ(first.at("tid"), Workload::the(workload.facts(), "thread").at("tid"));
  EXPECT_EQ(first.at("old_name"), "renamer");
  EXPECT_EQ(first.at("name"), "first\n");
  const json second = stream.next();
  EXPECT_EQ(second.at("old_name"), "first\n") << second;
  EXPECT_EQ(second.at("name"), "\xef\xbf\xbd");
}

TEST(Events, OfBirthsOfChildrenGoToTheParentsStream) {
  Daemon daemon;
  Workload workload("storm");
  Stream stream(daemon, "?pid=" + std::to_string(workload.pid()));
  workload.command("processes 3");
  for (int i = 0; i < 3; ++i) {
    const json birth = stream.next();
    EXPECT_EQ(birth.at("type"), "birth") << birth;
    EXPECT_EQ(birth.at("process"), true);
    EXPECT_EQ(birth.at("creator_pid"), workload.pid());
  }
}

TEST(Events, GoToEveryReader) {
  Daemon daemon;
  Workload workload("storm");
  Stream one(daemon, "?pid=" + std::to_string(workload.pid()));
  Stream other(daemon, "?pid=" + std::to_string(workload.pid()));
  workload.command("threads 50");
  std::map<pid_t, std::vector<std::string>> lives;
  for (int i = 0; i < 100; ++i) {
    const json event = one.next();
    ASSERT_EQ(event, other.next());
    lives[event.at("tid")].push_back(event.at("type"));
  }
  EXPECT_EQ(lives.size(), 50u);
  for (const auto& [tid, life] : lives) EXPECT_EQ(life, (std::vector<std::string>{"birth", "exit"})) << tid;
}

TEST(Events, ASlowReaderIsToldWhatItLost) {
  Daemon daemon;
  Workload workload("storm");
  Stream slow(daemon, "?pid=" + std::to_string(workload.pid()));
  workload.command("threads 15000");
  daemon.status();
  int received = 0;
  json event;
  while ((event = slow.next()).at("type") != "lost") ++received;
  EXPECT_EQ(event.at("cause"), "slow_reader") << event;
  EXPECT_GT(event.at("count"), 0);
  EXPECT_LT(received, 30000);
  EXPECT_EQ(slow.next().at("pid"), workload.pid()) << "then it goes on with what is still there";
}

TEST(Events, LostInTheKernelAreToldToo) {
  Daemon daemon({"--ring-size", "4096"});
  Workload workload("storm");
  Stream stream(daemon);
  workload.command("keep 2000");
  json event;
  while ((event = stream.next()).at("type") != "lost") {
  }
  EXPECT_EQ(event.at("cause"), "ring_full_birth") << event;
  EXPECT_GT(event.at("count"), 0);
}

TEST(Events, TooManyStreamsAreRefused) {
  Daemon daemon;
  std::vector<std::unique_ptr<Stream>> streams;
  do {
    streams.push_back(std::make_unique<Stream>(daemon));
  } while (streams.back()->status() == 200 && streams.size() < 1000);
  EXPECT_EQ(streams.back()->status(), 503);
  EXPECT_EQ(json::parse(streams.back()->connection().read_body()).at("error").at("code"), "busy");
  EXPECT_EQ(daemon.status().at("counts").at("event_streams"), streams.size() - 1);
  streams.clear();
  EXPECT_TRUE(await("their places are free again",
                    [&] { return daemon.status().at("counts").at("event_streams") == 0; }));
}

}  // namespace
}  // namespace loiter::test
