// Findings by the API, the event stream and the command line: raised, told once, resolved.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>

#include "daemon/base/send_fd.h"
#include "tests/lib/await.h"
#include "tests/lib/corpus.h"
#include "tests/lib/daemon.h"
#include "tests/lib/finding_log.h"
#include "tests/lib/paths.h"

namespace loiter::test {
namespace {

using nlohmann::json;

json findings_of(const Daemon& daemon, pid_t pid, const std::string& more = "") {
  return daemon.get("/v1/findings?fresh=1&pid=" + std::to_string(pid) + more).at("findings");
}

TEST(Findings, ADeadlockIsToldWithAllThatIsKnownOfIt) {
  Daemon daemon;  // whatever the threshold
  auto program = start_corpus("order_two");
  json findings;
  ASSERT_TRUE(
      await("it is found", [&] { return !(findings = findings_of(daemon, program->pid())).empty(); }));
  ASSERT_EQ(findings.size(), 1u) << findings;
  const json finding = findings[0];
  EXPECT_EQ(finding.at("kind"), "deadlock");
  EXPECT_EQ(finding.at("certainty"), "proven");
  EXPECT_EQ(finding.at("process").at("pid"), program->pid());
  EXPECT_EQ(finding.at("chain"), 2);
  for (const json& thread : finding.at("threads")) {
    EXPECT_EQ(thread.at("wait").at("kind"), "lock");
    EXPECT_EQ(thread.at("wait").at("holder_state"), "alive");
    EXPECT_FALSE(thread.at("stack").empty()) << thread.at("cut");
    EXPECT_FALSE(thread.at("start_routine").is_null());
    EXPECT_EQ(thread.at("created_by").at("tid"), program->pid());
    EXPECT_FALSE(thread.at("created_by").at("stack").is_null()) << "it was made under the daemon's eyes";
  }
  const auto stands = finding.at("evidence").at("stands_ns").get<uint64_t>();
  const std::string id = finding.at("id");
  ASSERT_TRUE(await("it is still the same", [&] {
    findings = findings_of(daemon, program->pid());
    return findings.at(0).at("evidence").at("stands_ns").get<uint64_t>() > stands + 2'000'000'000;
  }));
  EXPECT_EQ(findings.at(0).at("id"), id);
  EXPECT_EQ(findings.at(0).at("first_seen"), finding.at("first_seen"));
  EXPECT_EQ(count_lines(daemon, "raised: critical deadlock", id), 1u);

  const pid_t pid = program->pid();
  program.reset();
  ASSERT_TRUE(await("it is resolved", [&] {
    return daemon.get("/v1/findings?fresh=1&pid=" + std::to_string(pid)).at("findings").empty();
  }));
  const json gone = daemon.get("/v1/findings?id=" + id).at("findings").at(0);
  EXPECT_EQ(gone.at("resolution"), "process_ended");
  EXPECT_FALSE(gone.at("threads").at(0).at("stack").empty()) << "whoever restarts the service can still ask";
  EXPECT_EQ(count_lines(daemon, "resolved (process_ended)", id), 1u);
}

// Names of the threads that are marked so.
std::multiset<std::string> marked(const json& tree, const std::string& kind) {
  std::multiset<std::string> names;
  for (const json& thread : tree.at("threads"))
    if (!thread.at("finding").is_null() && thread.at("finding").at("kind") == kind)
      names.insert(thread.at("name"));
  return names;
}

// Of all marks in it, of whatever kind.
size_t count_marks(const json& tree) {
  return static_cast<size_t>(std::ranges::count_if(
      tree.at("threads"), [](const json& thread) { return !thread.at("finding").is_null(); }));
}

json row_in_list(const Daemon& daemon, pid_t pid) {
  const json document = daemon.get("/v1/processes?fresh=1");
  for (const json& row : document.at("processes"))
    if (row.at("pid") == pid) return row;
  return nullptr;
}

TEST(Findings, AllThreadsBehindOneMutexAreMarkedAndNoneOfTheHealthyTwin) {
  Daemon daemon({"--threshold", "1s"});
  auto faulty = start_corpus("many_behind_one");
  auto healthy = start_corpus("many_behind_one", "healthy");
  std::multiset<std::string> expected{"store-loader", "renewer"};
  for (int i = 0; i < 40; ++i) expected.insert("request-" + std::to_string(i));
  json tree;
  ASSERT_TRUE(await("all of them are marked", [&] {
    tree = daemon.tree(faulty->pid());
    return marked(tree, "stuck") == expected;
  })) << json(marked(tree, "stuck"));
  EXPECT_EQ(count_marks(tree), expected.size()) << "main and store rest";
  const json found = findings_of(daemon, faulty->pid()).at(0);
  EXPECT_EQ(found.at("count"), expected.size());
  EXPECT_LT(found.at("threads").size(), expected.size()) << "more than are kept in full";
  const json mark{{"id", found.at("id")}, {"kind", "stuck"}, {"severity", found.at("severity")}};
  EXPECT_EQ(tree.at("process").at("finding"), mark);
  EXPECT_EQ(row_in_list(daemon, faulty->pid()).at("finding"), mark);
  const json twin = daemon.tree(healthy->pid());
  EXPECT_EQ(count_marks(twin), 0u);
  EXPECT_TRUE(twin.at("process").at("finding").is_null());
  EXPECT_TRUE(row_in_list(daemon, healthy->pid()).at("finding").is_null());
}

// A loiterd as the command line has it: connections are handed to it.
class PrivateDaemon {
 public:
  PrivateDaemon() {
    std::array<int, 2> pair;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()))
      throw std::runtime_error("socketpair");
    control_.reset(pair[0]);
    const Fd theirs(pair[1]);
    process_.emplace(std::vector<std::string>{loiterd_path(), "--private", "10"},
                     SpawnOptions{.keep_fds = {{theirs.get(), 10}}});
  }

  json get(const std::string& target) const {
    std::array<int, 2> pair;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()))
      throw std::runtime_error("socketpair");
    const Fd ours(pair[0]);
    {
      const Fd theirs(pair[1]);
      if (send_with_fd(control_.get(), "c", 1, theirs.get()) != 1) throw std::runtime_error("it is gone");
    }
    const std::string request = "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    if (::send(ours.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      throw std::runtime_error("it takes no request");
    std::string text;
    std::array<char, 4096> part;
    for (ssize_t size; (size = recv(ours.get(), part.data(), part.size(), 0)) > 0;)
      text.append(part.data(), static_cast<size_t>(size));
    const size_t head = text.find("\r\n\r\n");
    if (!text.starts_with("HTTP/1.1 200") || head == text.npos) throw std::runtime_error(text);
    return json::parse(text.substr(head + 4));
  }

 private:
  Fd control_;  // the daemon ends with it
  std::optional<Subprocess> process_;
};

TEST(Findings, APrivateDaemonMarksOnceItIsAsked) {
  auto program = start_corpus("order_two");
  const PrivateDaemon daemon;
  const std::string path = "/v1/processes/" + std::to_string(program->pid());
  for (int i = 0; i < 3; ++i) {
    const json tree = daemon.get(path + "?fresh=1");
    EXPECT_EQ(count_marks(tree), 0u) << "nobody has asked for verdicts";
    EXPECT_TRUE(tree.at("process").at("finding").is_null());
  }
  json tree;
  EXPECT_TRUE(await("its threads are marked", [&] {
    tree = daemon.get(path + "?findings=1");
    return marked(tree, "deadlock").size() == 2;
  })) << tree;
  EXPECT_EQ(tree.at("process").at("finding").at("kind"), "deadlock");
  EXPECT_EQ(count_marks(daemon.get(path)), 2u) << "and stay so";
}

TEST(Findings, AnotherDaemonGivesTheSameId) {
  auto program = start_corpus("ring_three");
  std::set<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    Daemon daemon;
    json findings;
    ASSERT_TRUE(
        await("it is found", [&] { return !(findings = findings_of(daemon, program->pid())).empty(); }));
    ids.insert(findings.at(0).at("id").get<std::string>());
  }
  EXPECT_EQ(ids.size(), 1u);
}

TEST(Findings, TheStreamTellsWhatLastsAndWhatComesAndGoes) {
  Daemon daemon({"--threshold", "1s"});
  auto lasting = start_corpus("relock_normal");
  ASSERT_TRUE(await("it is found", [&] { return !findings_of(daemon, lasting->pid()).empty(); }));
  Subprocess watch({loiter_path(), "--socket", daemon.socket(), "findings", "--watch", "--json"},
                   {.stdout_to_memory = true});
  const auto told = [&](const std::string& change, pid_t pid) {
    const std::string text = watch.stdout_text();
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      if (end == text.npos) break;
      const json event = json::parse(text.substr(at, end - at));
      if (event.at("change") == change && event.at("pid") == pid) return true;
      at = end + 1;
    }
    return false;
  };
  EXPECT_TRUE(await("what lasts is told", [&] { return told("current", lasting->pid()); }));
  auto coming = start_corpus("order_two");
  EXPECT_TRUE(await("it is raised", [&] { return told("raised", coming->pid()); }));
  const pid_t pid = coming->pid();
  coming.reset();
  EXPECT_TRUE(await("it is resolved", [&] { return told("resolved", pid); }));
  EXPECT_FALSE(told("resolved", lasting->pid()));
}

TEST(Findings, TheCommandLineTellsByItsExitCode) {
  Daemon daemon({"--threshold", "1s"});
  auto faulty = start_corpus("owner_ended");
  auto healthy = start_corpus("owner_ended", "healthy");
  ASSERT_TRUE(await("it is found", [&] { return !findings_of(daemon, faulty->pid()).empty(); }));
  for (const char* command : {"findings", "scan"}) {
    const RunResult found =
        run({loiter_path(), "--socket", daemon.socket(), command, "--pid", std::to_string(faulty->pid())});
    EXPECT_EQ(found.status.code, 1) << found.err;
    EXPECT_NE(found.out.find("critical orphan (proven)"), std::string::npos) << found.out;
    const RunResult none =
        run({loiter_path(), "--socket", daemon.socket(), command, "--pid", std::to_string(healthy->pid())});
    EXPECT_EQ(none.status.code, 0) << none.out << none.err;
  }
}

TEST(Findings, WithoutADaemonAScanFindsWhatStandsAlready) {
  auto program = start_corpus("shared_memory_order");
  const uint32_t member = *program->pids().rbegin();  // one of the two that it made
  RunResult found;
  // One that has only just come about is not told: it has to stand for a census interval.
  ASSERT_TRUE(await("it is found", [&] {
    found = run({loiter_path(), "scan", "--pid", std::to_string(member)}, {.empty_run_dir = true});
    return found.status.code != 0;
  }));
  EXPECT_EQ(found.status.code, 1) << found.out << found.err;
  EXPECT_NE(found.out.find("critical deadlock (proven)"), std::string::npos) << found.out;
  EXPECT_EQ(found.err, "") << "what a private daemon finds is for its user's stdout";
}

}  // namespace
}  // namespace loiter::test
