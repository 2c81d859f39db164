// What events, scan and doctor say, from the documents they say it of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/doctor_report.h"
#include "cli/event_text.h"
#include "cli/local_checks.h"
#include "cli/scan_report.h"
#include "tests/lib/daemon.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// --- events ----------------------------------------------------------------------------------------

json event(const std::string& type, json more) {
  json all{{"type", type}, {"time", "2026-11-21T06:18:04.123456789Z"}, {"boottime_ns", 1}};
  all.update(more);
  return all;
}

TEST(EventText, EachKind) {
  EXPECT_EQ(event_line(event("birth", {{"pid", 1},
                                       {"tid", 2},
                                       {"name", "w"},
                                       {"process", false},
                                       {"creator_pid", 1},
                                       {"creator_tid", 3}})),
            "2026-11-21T06:18:04.123456Z  birth   1/2 'w' thread made by 1/3");
  EXPECT_THAT(event_line(event("birth", {{"pid", 5},
                                         {"tid", 5},
                                         {"name", "w"},
                                         {"process", true},
                                         {"creator_pid", 1},
                                         {"creator_tid", 3}})),
              HasSubstr("process made by 1/3"));
  EXPECT_THAT(event_line(event(
                  "exec", {{"pid", 1}, {"tid", 1}, {"old_tid", 2}, {"name", "x"}, {"filename", "/bin/x"}})),
              HasSubstr("exec    1/1 'x' runs '/bin/x', was thread 2"));
  EXPECT_THAT(
      event_line(event(
          "exit",
          {{"pid", 1}, {"tid", 2}, {"name", "x"}, {"exit_code", 3}, {"signal", nullptr}, {"cpu_ns", 1500}})),
      HasSubstr("exit    1/2 'x' code 3 after 1.50us CPU"));
  EXPECT_THAT(
      event_line(event("exit", {{"pid", 1}, {"tid", 2}, {"name", "x"}, {"exit_code", 0}, {"signal", 9}})),
      AllOf(HasSubstr("by signal 9"), Not(HasSubstr("code"))));
  EXPECT_THAT(event_line(event("rename", {{"pid", 1}, {"tid", 2}, {"name", "new"}, {"old_name", "old"}})),
              HasSubstr("rename  1/2 'new' was 'old'"));
  EXPECT_THAT(event_line(event("lost", {{"count", 3}, {"cause", "ring_full_birth"}})),
              HasSubstr("lost    3 (ring_full_birth)"));
}

TEST(EventText, CallsOfTheThreadLibrary) {
  EXPECT_THAT(event_line(event("pthread", {{"pid", 1},
                                           {"tid", 2},
                                           {"function", "pthread_create"},
                                           {"pthread", nullptr},
                                           {"routine", "0x4000"},
                                           {"argument", "0x7"},
                                           {"detached", true}})),
              HasSubstr("call    1/2 pthread_create(routine 0x4000, argument 0x7, detached)"));
  EXPECT_THAT(event_line(event("pthread", {{"pid", 1},
                                           {"tid", 2},
                                           {"function", "pthread_join"},
                                           {"pthread", "0x7f00"},
                                           {"routine", nullptr},
                                           {"argument", nullptr},
                                           {"detached", nullptr}})),
              HasSubstr("call    1/2 pthread_join(0x7f00)"));
  EXPECT_THAT(
      event_line(event("probes",
                       {{"pid", 1},
                        {"placed", {"pthread_create", "pthread_join"}},
                        {"failed", {{{"library", "/x\n"}, {"function", "pthread_exit"}, {"reason", "r"}}}}})),
      HasSubstr("probes  1 on pthread_create, pthread_join; none on pthread_exit of /x\\n: r"));
  EXPECT_THAT(event_line(event(
                  "probes", {{"pid", 1},
                             {"placed", json::array()},
                             {"failed", {{{"library", nullptr}, {"function", nullptr}, {"reason", "r"}}}}})),
              HasSubstr("probes  1; none on any function: r"));
}

TEST(EventText, NamesAreEscaped) {
  const std::string line =
      event_line(event("rename", {{"pid", 1}, {"tid", 2}, {"name", "a\x1b[2J\n"}, {"old_name", "\u202e"}}));
  EXPECT_THAT(line, HasSubstr(R"('a\x1b[2J\n' was '\u202e')"));
}

TEST(EventText, WhatIsNotKnownIsShownAsItCame) {
  EXPECT_THAT(event_line(event("eclipse", {{"pid", 1}, {"tid", 2}, {"name", "x"}})), HasSubstr("eclipse"));
  EXPECT_THAT(event_line(json{{"type", "birth"}}), HasSubstr(R"({"type":"birth"})"));
  EXPECT_THAT(event_line(json{{"no", "type\x1b"}}), Not(HasSubstr("\x1b")));
}

// --- scan ------------------------------------------------------------------------------------------

json scan_document() {
  return json::parse(
      R"({"schema": 1, "as_of": "x", "threshold_ns": 30000000000, "findings": [], "overdue": [],
                         "not_judged": []})");
}

json finding(const std::string& kind, const std::string& severity) {
  return {{"kind", kind},
          {"severity", severity},
          {"certainty", "proven"},
          {"summary", "two\nlines"},
          {"hint", "do it"}};
}

TEST(Scan, ExitCodeIsThatOfTheWorstFinding) {
  json document = scan_document();
  EXPECT_EQ(scan_exit_code(document), 0);
  document["findings"].push_back(finding("spin", "info"));
  EXPECT_EQ(scan_exit_code(document), 0);
  document["findings"].push_back(finding("deadlock", "critical"));
  EXPECT_EQ(scan_exit_code(document), 1);
  document["findings"] = json::array({finding("overdue", "warning")});
  EXPECT_EQ(scan_exit_code(document), 1);
}

TEST(Scan, NothingOverdueIsOneLine) {
  EXPECT_THAT(scan_lines(scan_document(), "12 threads"),
              ElementsAre("nothing overdue: 12 threads, threshold 30.0s"));
}

TEST(Scan, OverdueThreadsAreATable) {
  json document = scan_document();
  document["overdue"].push_back({{"pid", 1},
                                 {"tid", 2},
                                 {"comm", "api\n"},
                                 {"name", "w"},
                                 {"state", "sleeping"},
                                 {"blocked_ns", 3'600'000'000'000},
                                 {"blocked_max_ns", nullptr},
                                 {"exactness", "lower_bound"},
                                 {"syscall", nullptr}});
  document["findings"].push_back(finding("overdue", "warning"));
  document["not_judged"].push_back({{"kind", "leak"}, {"reason", "needs --for 10s"}});
  const auto lines = scan_lines(document, "");
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[1], AllOf(HasSubstr("api\\n"), HasSubstr(">=1h00m"), HasSubstr("sleeping")));
  EXPECT_EQ(lines[2], "1 overdue past 30.0s, 1 findings of severity warning or above");
  EXPECT_EQ(lines[3], "not judged: leak: needs --for 10s");
}

TEST(Scan, OtherFindingsAreToldWithTheirHint) {
  json document = scan_document();
  document["findings"].push_back(finding("deadlock", "critical"));
  EXPECT_THAT(scan_lines(document, "1 thread"),
              ElementsAre("critical deadlock (proven): two\\nlines", "  do it",
                          "nothing overdue: 1 thread, threshold 30.0s"));
}

TEST(Scan, DocumentsThatAreNoneThrow) {
  EXPECT_THROW(scan_exit_code(json{{"schema", 1}}), json::exception);
  EXPECT_THROW(scan_lines(json{{"schema", 1}}, ""), json::exception);
}

// --- doctor ----------------------------------------------------------------------------------------

json status() {
  return json::parse(R"({"schema": 1, "version": "0.1.0", "pid": 5, "private": false, "uptime_ns": 1000000000,
    "census_interval_ns": 1000000000, "kernel_threads": false,
    "host": {"name": "h", "kernel": "6.1.0", "arch": "x86_64", "cpus": 2},
    "features": [{"name": "tp_btf", "state": "ok", "detail": "d"}, {"name": "task_stack", "state": "degraded", "detail": "e"}],
    "capabilities": [{"name": "CAP_BPF", "held": true, "reason": "r"}, {"name": "CAP_SYS_PTRACE", "held": false, "reason": "p"}],
    "census": {"failed": 0, "threads": 7, "read_ns": 1000, "publish_ns": 2000},
    "losses": [{"cause": "ring_full_birth", "count": 2, "detail": "births"}, {"cause": "read_name", "count": 0, "detail": "n"}],
    "losses_total": 2, "memory": {"pss_bytes": 5242880, "bpf_bytes": 1048576, "bpf_maps": [{"name": "events", "bytes": 1048576}]}})");
}

TEST(Doctor, TellsOfADaemonsFeaturesPrivilegesLossesAndMemory) {
  const json document = doctor_document(status(), "", {});
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["works"], true);
  const auto lines = doctor_lines(document);
  EXPECT_THAT(lines, Contains(AllOf(HasSubstr("degraded"), HasSubstr("task_stack"))));
  EXPECT_THAT(lines, Contains(AllOf(HasSubstr("missing"), HasSubstr("CAP_SYS_PTRACE"))));
  EXPECT_THAT(lines, Contains(HasSubstr("2 ring_full_birth: births")));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("read_name"))));
  EXPECT_THAT(lines, Contains(HasSubstr("5.0 MiB")));
  EXPECT_EQ(lines.back(), "loiter works here, with less in: task_stack, CAP_SYS_PTRACE");
}

TEST(Doctor, TellsWhatAUprobeCostsWhereTheyAreAndWhereNot) {
  json with = status();
  with["uprobes"] = json::parse(
      R"({"mode": "attached", "placed": 8, "libraries": 0, "processes": [7], "failed": 3, "hit_ns": 2500,
    "hit_failure": null, "failures": [{"pid": 9, "library": null, "function": null, "reason": "stripped", "count": 2},
                                      {"pid": 9, "library": "/l", "function": "pthread_exit", "reason": "no code", "count": 1}]})");
  auto lines = doctor_lines(doctor_document(with, "", {}));
  EXPECT_THAT(lines,
              Contains("uprobes: attached, 8 in place in 1 processes; a hit costs its thread 2.50us here"));
  EXPECT_THAT(lines, Contains("  3 could not be placed:"));
  EXPECT_THAT(lines, Contains("  2 all functions of process 9: stripped"));
  EXPECT_THAT(lines, Contains("  1 pthread_exit of /l: no code"));
  with["features"].push_back({{"name", "uprobes"}, {"state", "ok"}, {"detail", "d"}});
  with["uprobes"]["way"] = "tracefs";
  with["uprobes"]["names_left"] = 2;
  lines = doctor_lines(doctor_document(with, "", {}));
  EXPECT_THAT(lines,
              Contains(AllOf(HasSubstr("ok"), HasSubstr("uprobes"), HasSubstr("by names in tracefs"))));
  EXPECT_THAT(lines, Contains(HasSubstr("2 names in tracefs' uprobe_events that cannot be removed yet")));
  with["uprobes"]["way"] = nullptr;
  with["uprobes"]["hit_ns"] = nullptr;
  with["uprobes"]["hit_failure"] = "refused";
  lines = doctor_lines(doctor_document(with, "", {}));
  EXPECT_THAT(lines, Contains(HasSubstr("; cannot be had: refused")));
  EXPECT_THAT(lines, Contains(AllOf(HasSubstr("degraded"), HasSubstr("uprobes"), HasSubstr("refused"))));
}

TEST(Doctor, TellsOfTheConfigurationAndOfAFileThatIsBad) {
  json with = status();
  with["config"] = {{"path", "/c\n"}, {"loaded", nullptr}, {"rules", 0}, {"failed", nullptr}};
  auto lines = doctor_lines(doctor_document(with, "", {}));
  EXPECT_THAT(lines, Contains("configuration: /c\\n: not there, all is as built in"));
  with["config"]["failed"] = "x";
  EXPECT_THAT(doctor_lines(doctor_document(with, "", {})),
              Contains("configuration: /c\\n: not taken, all is as built in"));
  with["config"] = {{"path", "/c"}, {"loaded", "t"}, {"rules", 3}, {"failed", "/c:1:2: bad\n/c:3:4: worse"}};
  lines = doctor_lines(doctor_document(with, "", {}));
  EXPECT_THAT(lines, Contains("configuration: /c, 3 rules, read t"));
  EXPECT_THAT(lines, Contains(AllOf(HasSubstr("degraded"), HasSubstr("config"),
                                    HasSubstr("is not taken: /c:1:2: bad; /c:3:4: worse"))));
  EXPECT_THAT(lines.back(), HasSubstr("with less in: task_stack, CAP_SYS_PTRACE, config"));
}

TEST(Doctor, FailedCensusesAreToldOf) {
  json bad = status();
  bad["census"]["failed"] = 3;
  EXPECT_THAT(doctor_lines(doctor_document(bad, "", {})), Contains(HasSubstr("3 passes failed")));
}

TEST(Doctor, WithoutADaemonItsOwnChecksAndTheReason) {
  const json document = doctor_document(
      json(), "no privilege", {{"btf", CheckState::missing, "mount /sys"}, {"kernel", CheckState::ok, "x"}});
  EXPECT_EQ(document["works"], false);
  EXPECT_EQ(document["reason"], "no privilege");
  const auto lines = doctor_lines(document);
  EXPECT_THAT(lines, Contains(AllOf(HasSubstr("missing"), HasSubstr("btf"), HasSubstr("mount /sys"))));
  EXPECT_EQ(lines.back(), "loiter cannot work here: no privilege");
}

// A directory that looks like a host's root.
class FakeHost {
 public:
  FakeHost() {
    put("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
    put("proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
    put("proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
    put("proc/self/mounts", "proc /proc proc rw,nosuid 0 0\n");
    put("sys/kernel/btf/vmlinux", "x");
    std::filesystem::create_directories(dir_.file("proc/self/ns"));
    link("pid:[4026531836]");
  }
  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(dir_.file(name)).parent_path());
    std::ofstream(dir_.file(name)) << text;
  }
  void drop(const std::string& name) { std::filesystem::remove(dir_.file(name)); }
  void link(const std::string& to) {
    drop("proc/self/ns/pid");
    std::filesystem::create_symlink(to, dir_.file("proc/self/ns/pid"));
  }
  Check check(const std::string& name) const {
    for (const Check& check : local_checks(dir_.path()))
      if (check.name == name) return check;
    ADD_FAILURE() << "no check " << name;
    return {};
  }
  const std::string& path() const { return dir_.path(); }

 private:
  test::TempDir dir_;
};

TEST(LocalChecks, AGoodHost) {
  const FakeHost host;
  for (const Check& check : local_checks(host.path()))
    EXPECT_EQ(check.state, CheckState::ok) << check.name << ": " << check.detail;
}

TEST(LocalChecks, EachObstacle) {
  FakeHost host;
  host.put("proc/self/status", "CapEff:\t0000000000000000\n");
  EXPECT_EQ(host.check("privileges").state, CheckState::missing);
  host.put("proc/self/mounts", "proc /proc proc rw,hidepid=invisible 0 0\n");
  EXPECT_EQ(host.check("hidepid").state, CheckState::degraded);
  host.put("proc/self/status", "CapEff:\t000000c000000000\n");  // BPF and PERFMON, not SYS_PTRACE
  EXPECT_EQ(host.check("privileges").state, CheckState::degraded);
  host.drop("sys/kernel/btf/vmlinux");
  EXPECT_EQ(host.check("btf").state, CheckState::missing);
  host.link("pid:[4026532222]");
  EXPECT_EQ(host.check("pid_namespace").state, CheckState::missing);
  host.put("proc/sys/kernel/yama/ptrace_scope", "3\n");
  EXPECT_EQ(host.check("ptrace_scope").state, CheckState::degraded);
  host.put("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
  EXPECT_EQ(host.check("lockdown").state, CheckState::missing);
  host.put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
  EXPECT_EQ(host.check("lockdown").state, CheckState::ok);
}

TEST(LocalChecks, KernelsOfAllAges) {
  FakeHost host;
  for (const auto& [release, state] : {std::pair{"4.19.0", CheckState::missing},
                                       {"5.14.9", CheckState::missing},
                                       {"5.15.0-1", CheckState::degraded},
                                       {"6.1.0", CheckState::ok},
                                       {"6.18.44-fc", CheckState::ok},
                                       {"10.0.1", CheckState::ok},
                                       {"", CheckState::missing}}) {
    host.put("proc/sys/kernel/osrelease", std::string(release) + "\n");
    EXPECT_EQ(host.check("kernel").state, state) << release;
  }
}

TEST(LocalChecks, AnEmptyRootIsBornWithout) {
  const test::TempDir dir;
  EXPECT_FALSE(local_checks(dir.path()).empty());
}

}  // namespace
}  // namespace loiter::cli
