// The configuration of a running daemon: what its rules do to the finding of a program, and what SIGHUP does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kIgnoringRule =
    "[[rule]]\ncomm = \"lock_kinds\"\nframe = \"wait_in_mutex_lo*\"\nignore = true\nreason = \"on "
    "purpose\"\n";

class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) {
    chmod(dir_.path().c_str(), 0755);
    put(text);
  }
  void put(const std::string& text) {
    std::ofstream(path()) << text;
    chmod(path().c_str(), 0644);
  }
  std::string path() const { return dir_.file("loiterd.toml"); }

 private:
  TempDir dir_;
};

// A thread that waits for a mutex for ever.
struct Stuck {
  Workload workload{"lock_kinds", {"mutex normal"}};
};

json verdict_on(const Daemon& daemon, pid_t pid, const std::string& more = "") {
  return daemon.get("/v1/findings?fresh=1&pid=" + std::to_string(pid) + more);
}

// The first one of that list, as soon as there is one; null: there never was.
json await_in(const Daemon& daemon, pid_t pid, const std::string& list, const std::string& more = "") {
  json found;
  EXPECT_TRUE(await("something in " + list, [&] {
    const json document = verdict_on(daemon, pid, more);
    if (!document.at(list).empty()) found = document.at(list)[0];
    return !found.is_null();
  })) << daemon.log();
  return found;
}

json config_of(const Daemon& daemon) {
  return daemon.status().at("config");
}

void hangup_until(Daemon& daemon, const std::string& what, const std::function<bool(const json&)>& done) {
  daemon.process().signal(SIGHUP);
  EXPECT_TRUE(await(what, [&] { return done(config_of(daemon)); })) << daemon.log();
}

RunResult loiter(const Daemon& daemon, std::vector<std::string> words) {
  words.insert(words.begin(), loiter_path());
  words.insert(words.end(), {"--socket", daemon.socket()});
  return run(words);
}

TEST(ConfigRules, LowerAThresholdAndRaiseASeverity) {
  const ConfigFile file(
      "threshold = \"1h\"\n[[rule]]\ncomm = \"lock_kinds\"\nkind = \"stuck\"\nthreshold = \"1s\"\n"
      "severity = \"critical\"\nreason = \"it must not\"\n");
  const Stuck stuck;
  Daemon daemon({"--config", file.path()});
  EXPECT_EQ(daemon.status().at("threshold_ns"), 3'600'000'000'000);
  const json finding = await_in(daemon, stuck.workload.pid(), "findings");
  ASSERT_FALSE(finding.is_null());
  EXPECT_EQ(finding.at("kind"), "stuck");
  EXPECT_EQ(finding.at("severity"), "critical");
  EXPECT_EQ(finding.at("rule"), (json{{"line", 2}, {"reason", "it must not"}}));
  EXPECT_EQ(finding.at("evidence").at("threshold_ns"), 1'000'000'000);
  EXPECT_GE(finding.at("evidence").at("longest_ns"), 1'000'000'000);
  const json config = config_of(daemon);
  EXPECT_EQ(config.at("path"), file.path());
  EXPECT_EQ(config.at("rules"), 1);
  EXPECT_TRUE(config.at("loaded").is_string());
  EXPECT_TRUE(config.at("failed").is_null());
}

TEST(ConfigRules, AHigherThresholdKeepsItBack) {
  const ConfigFile file("threshold = \"500ms\"\n[[rule]]\ncomm = \"lock_kinds\"\nthreshold = \"1h\"\n");
  const Stuck stuck;
  Daemon daemon({"--config", file.path()});
  const json fact = stuck.workload.facts().at(0);
  ASSERT_TRUE(await("it has waited for much longer than the threshold", [&] {
    const json thread = find_thread(daemon.tree(stuck.workload.pid()), fact.at("tid"));
    return thread.at("blocked_ns").is_number() && thread.at("blocked_ns") >= 1'500'000'000;
  }));
  EXPECT_TRUE(verdict_on(daemon, stuck.workload.pid()).at("findings").empty());
  EXPECT_TRUE(verdict_on(daemon, stuck.workload.pid()).at("ignored").empty());
  // Not for want of a finding: without the rule there is one.
  std::ofstream(file.path()) << "threshold = \"500ms\"\n";
  hangup_until(daemon, "the rule is gone", [](const json& config) { return config.at("rules") == 0; });
  EXPECT_FALSE(await_in(daemon, stuck.workload.pid(), "findings").is_null());
}

TEST(ConfigRules, IgnoreByAFrameAndShowIt) {
  const ConfigFile file(std::string("threshold = \"500ms\"\n") + kIgnoringRule);
  const Stuck stuck;
  Daemon daemon({"--config", file.path()});
  const json ignored = await_in(daemon, stuck.workload.pid(), "ignored");
  ASSERT_FALSE(ignored.is_null());
  EXPECT_EQ(ignored.at("kind"), "stuck");
  EXPECT_EQ(ignored.at("rule"), (json{{"line", 2}, {"reason", "on purpose"}}));
  const json document = verdict_on(daemon, stuck.workload.pid());
  EXPECT_TRUE(document.at("findings").empty());
  EXPECT_GE(document.at("ignored_count"), 1);
  EXPECT_THAT(daemon.log(), ::testing::Not(HasSubstr(ignored.at("id").get<std::string>())));
  const RunResult told = loiter(daemon, {"explain", ignored.at("id")});
  EXPECT_EQ(to_string(told.status), "exit 0") << told.err;
  EXPECT_THAT(told.out, HasSubstr("ignored by the rule in line 2 of " + file.path() + ": on purpose"));
  EXPECT_THAT(told.out, HasSubstr("wait_in_mutex_lock"));
}

TEST(ConfigReload, IsSwappedWholeAndABadFileChangesNothing) {
  ConfigFile file("threshold = \"500ms\"\n");
  const Stuck stuck;
  Daemon daemon({"--config", file.path()});
  const json raised = await_in(daemon, stuck.workload.pid(), "findings");
  ASSERT_FALSE(raised.is_null());

  file.put(std::string("threshold = \"600ms\"\nring_size = 65536\n") + kIgnoringRule);
  hangup_until(daemon, "the rule is taken", [](const json& config) { return config.at("rules") == 1; });
  EXPECT_EQ(daemon.status().at("threshold_ns"), 600'000'000);
  EXPECT_THAT(daemon.log(), HasSubstr("ring_size differs from what runs"));
  const json ignored = await_in(daemon, stuck.workload.pid(), "ignored");
  EXPECT_EQ(ignored.at("id"), raised.at("id"));
  const json resolved = await_in(daemon, stuck.workload.pid(), "findings", "&resolved=1");
  EXPECT_EQ(resolved.at("resolution"), "ignored");

  file.put("threshold = \"1s\"\n[[rule]]\ncomm = 3\n");
  hangup_until(daemon, "the bad file is told of",
               [](const json& config) { return !config.at("failed").is_null(); });
  const json config = config_of(daemon);
  EXPECT_EQ(config.at("failed"), file.path() + ":3:8: comm must be a string, not an integer");
  EXPECT_EQ(config.at("rules"), 1);
  EXPECT_EQ(daemon.status().at("threshold_ns"), 600'000'000);
  EXPECT_THAT(daemon.log(), HasSubstr(":3:8: comm must be"));
  EXPECT_FALSE(await_in(daemon, stuck.workload.pid(), "ignored").is_null());
  const RunResult doctor = loiter(daemon, {"doctor"});
  EXPECT_THAT(doctor.out, HasSubstr(":3:8: comm must be a string"));
  EXPECT_THAT(doctor.out, HasSubstr("with less in: "));

  file.put("threshold = \"500ms\"\nlog_level = \"debug\"\n");
  hangup_until(daemon, "the good file is taken",
               [](const json& config) { return config.at("failed").is_null() && config.at("rules") == 0; });
  EXPECT_EQ(await_in(daemon, stuck.workload.pid(), "findings").at("id"), raised.at("id"));
}

TEST(ConfigReload, AFlagWinsStill) {
  ConfigFile file("threshold = \"7s\"\n");
  Daemon daemon({"--config", file.path(), "--threshold", "5s"});
  EXPECT_EQ(daemon.status().at("threshold_ns"), 5'000'000'000);
  file.put(std::string("threshold = \"8s\"\n") + kIgnoringRule);
  hangup_until(daemon, "the rule is taken", [](const json& config) { return config.at("rules") == 1; });
  EXPECT_EQ(daemon.status().at("threshold_ns"), 5'000'000'000);
}

TEST(ExplainIgnore, WritesARuleThatIgnoresTheLikeOfWhatIsGone) {
  ConfigFile file("threshold = \"500ms\"\n");
  Daemon daemon({"--config", file.path()});
  std::string id;
  {
    const Stuck stuck;
    id = await_in(daemon, stuck.workload.pid(), "findings").at("id");
  }
  EXPECT_TRUE(await("its end is seen", [&] {
    const json document = daemon.get("/v1/findings?fresh=1&id=" + id);
    return document.at("findings").at(0).at("resolution") == "process_ended";
  }));
  const RunResult told = loiter(daemon, {"explain", id});
  EXPECT_EQ(to_string(told.status), "exit 0") << told.err;
  EXPECT_THAT(told.out, HasSubstr("resolved "));
  EXPECT_THAT(told.out, HasSubstr("rule: stuck: "));
  const RunResult rule = loiter(daemon, {"explain", id, "--ignore"});
  EXPECT_EQ(to_string(rule.status), "exit 0") << rule.err;
  file.put("threshold = \"500ms\"\n" + rule.out);
  hangup_until(daemon, "the rule is taken", [](const json& config) { return config.at("rules") == 1; });
  const Stuck another;
  EXPECT_FALSE(await_in(daemon, another.workload.pid(), "ignored").is_null()) << rule.out;
  EXPECT_TRUE(verdict_on(daemon, another.workload.pid()).at("findings").empty());
}

TEST(CheckConfig, NeedsNoPrivilegeAndTellsAll) {
  ConfigFile file(kIgnoringRule);
  SpawnOptions nobody;
  nobody.uid = kNobody;
  const TempDir open;
  const std::string loiterd = copy_for_everyone(open, loiterd_path());
  const auto check = [&](const std::string& path) {
    return run({loiterd, "--check-config", "--config", path}, nobody);
  };
  RunResult result = check(file.path());
  EXPECT_EQ(to_string(result.status), "exit 0") << result.err;
  EXPECT_EQ(result.out, file.path() + ": ok, 1 rule\n");
  file.put("intervall = \"2s\"\nring_size = 5\n");
  result = check(file.path());
  EXPECT_EQ(to_string(result.status), "exit 2");
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err,
              HasSubstr(file.path() + ":1:1: there is no setting 'intervall': did you mean 'interval'?\n"));
  EXPECT_THAT(result.err, HasSubstr(file.path() + ":2:13: ring_size: '5' is not a power of two"));
  result = check(file.path() + ".none");
  EXPECT_EQ(to_string(result.status), "exit 2");
  EXPECT_TRUE(is_one_line(result.err));
}

TEST(CheckConfig, ADaemonDoesNotStartWithABadFile) {
  const ConfigFile file("a = 1\nb = 2\n");
  const TempDir dir;
  const std::string socket = dir.file("s");
  RunResult result = run({loiterd_path(), "--socket", socket, "--config", file.path()});
  EXPECT_EQ(to_string(result.status), "exit 2");
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 2) << result.err;
  result = run({loiterd_path(), "--socket", socket, "--config", dir.file("none")});
  EXPECT_EQ(to_string(result.status), "exit 2");
  EXPECT_TRUE(is_one_line(result.err));
}

}  // namespace
}  // namespace loiter::test
