// `loiter check`: the command is what it would be without it, its exit code comes back, and what is wrong
// with its threads at its end is told, by where they were made and what they wait for.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/subprocess.h"

namespace loiter::test {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string checked(const std::string& variant = "") {
  return workload_path("checked" + variant);
}

struct Checked {
  RunResult run;
  json report;  // of --json

  std::vector<json> of_kind(const std::string& kind) const {
    std::vector<json> found;
    for (const json& finding : report.at("findings"))
      if (finding.at("kind") == kind) found.push_back(finding);
    return found;
  }
  size_t findings() const { return report.at("findings").size(); }
};

bool has_symbol(const json& stack, const std::string& symbol) {
  return std::ranges::any_of(stack, [&](const json& frame) { return frame.at("symbol") == symbol; });
}

class Check : public ::testing::Test {
 protected:
  Words command_line(const Words& options, const Words& command) const {
    return Words{loiter_path(), "check", "--socket", daemon.socket()} + options + Words{"--"} + command;
  }
  Checked check(const Words& options, const Words& command) const {
    const std::string file = dir.file("report.json");
    std::filesystem::remove(file);
    Checked result{run(command_line(Words{"--json", file} + options, command)), {}};
    const std::string text = read_file(file);
    result.report = json::parse(text, nullptr, false);
    if (!result.report.is_object()) ADD_FAILURE() << "no report: " << result.run.err << text;
    return result;
  }

  TempDir dir;
  Daemon daemon{{"--threshold", "1s"}};
};

// --- the command is what it would be ---------------------------------------------------------------------

TEST_F(Check, StreamsAreUntouched) {
  std::string bytes;
  for (int i = 0; i < 20'000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
  Subprocess process(command_line({}, {checked(), "streams"}), {.stdout_to_memory = true});
  process.write_stdin(bytes);
  process.close_stdin();
  const auto status = process.wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(to_string(*status), "exit 0");
  EXPECT_EQ(process.stdout_text(), bytes);
  EXPECT_EQ(process.stderr_text(), "20000 bytes\n") << "a healthy command leaves loiter nothing to say";
}

// Masks, dispositions, descriptors, process group, session, directory, limits, environment.
TEST_F(Check, ItsSurroundingsAreUntouched) {
  const std::string tell = R"(
import json, os, resource, signal
status = dict(line.rstrip('\n').split(':\t', 1) for line in open('/proc/self/status'))
fds = sorted(os.listdir('/proc/self/fd'), key=int)
print(json.dumps({
  'masks': [status[key] for key in ('SigBlk', 'SigIgn', 'CapEff', 'NoNewPrivs', 'Umask')],
  'fds': [os.readlink('/proc/self/fd/' + fd) if int(fd) > 2 and os.path.exists('/proc/self/fd/' + fd) else fd for fd in fds],
  'group': os.getpgrp() == os.getpid() or os.getpgrp(), 'session': os.getsid(0), 'cwd': os.getcwd(),
  'limits': [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK)],
  'environment': dict(os.environ)}))
)";
  const std::string script = dir.file("tell.py");
  std::ofstream(script) << tell;
  const Fd extra(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const SpawnOptions options{.keep_fds = {{extra.get(), 17}}};
  for (const char* shell : {"exec \"$@\"", "trap '' PIPE HUP USR1; exec \"$@\"", "trap '' CHLD; exec \"$@\"",
                            "exec \"$@\" 0<&-"}) {
    const Words around{"/bin/sh", "-c", shell, "sh"}, command{"/usr/bin/python3", script};
    const RunResult plain = run(around + command, options);
    const RunResult seen = run(around + command_line({}, command), options);
    EXPECT_EQ(to_string(seen.status), "exit 0") << seen.err;
    EXPECT_EQ(json::parse(seen.out), json::parse(plain.out)) << shell;
  }
}

TEST_F(Check, ItsChildrenAndItsOwnFilterWork) {
  EXPECT_EQ(to_string(run(command_line({}, {checked(), "children", "6"})).status), "exit 0");
  const RunResult followed = run(command_line({"--follow"}, {checked(), "children", "6"}));
  EXPECT_EQ(to_string(followed.status), "exit 0");
  EXPECT_EQ(followed.err, "");
  for (const char* variant : {"", "-static", "-musl", "-musl-static"})
    EXPECT_EQ(to_string(run(command_line({}, {checked(variant), "own_filter"})).status), "exit 0") << variant;
}

// --- exit codes ------------------------------------------------------------------------------------------

TEST_F(Check, TheCommandsOwnCodeComesBack) {
  for (const char* code : {"0", "1", "2", "77", "125", "255"})
    EXPECT_EQ(to_string(run(command_line({}, {checked(), "code", code})).status),
              std::string("exit ") + code);
  const Checked worker = check({}, {checked(), "by_worker", "3"});
  EXPECT_EQ(to_string(worker.run.status), "exit 3");
  EXPECT_EQ(worker.report.at("exit_code"), 3);
  // Also where there is a finding.
  EXPECT_EQ(to_string(run(command_line({}, {checked(), "late_deadlock", "9"})).status), "exit 9");
}

TEST_F(Check, DeathByASignalIsRepeated) {
  for (const int number : {SIGTERM, SIGKILL, SIGSEGV, SIGUSR1, SIGPIPE}) {
    const Checked result = check({}, {checked(), "signal", std::to_string(number)});
    EXPECT_EQ(to_string(result.run.status), "signal " + std::to_string(number));
    EXPECT_EQ(result.report.at("signal"), number);
    EXPECT_EQ(result.report.at("processes")[0].at("end"), "not_seen");
  }
}

TEST_F(Check, WhatCannotBeRun) {
  const auto expect = [&](const RunResult& result, int code) {
    EXPECT_EQ(to_string(result.status), "exit " + std::to_string(code));
    EXPECT_TRUE(is_one_line(result.err));
    EXPECT_EQ(result.out, "");
  };
  expect(run(command_line({}, {dir.file("nothing")})), 127);
  expect(run(command_line({}, {"no-such-command-anywhere"})), 127);
  std::ofstream(dir.file("text")) << "text";
  expect(run(command_line({}, {dir.file("text")})), 126);
  expect(run(command_line({}, {dir.path()})), 126);
  expect(run({loiter_path(), "check", "--socket", daemon.socket(), "true"}), 125);
  expect(run({loiter_path(), "check", "--socket", dir.file("none"), "--", "/bin/true"}), 125);
  expect(run(command_line({"--json", dir.path()}, {"/bin/true"})), 125);
  expect(run(command_line({}, {loiter_path(), "check", "--socket", daemon.socket(), "--", "/bin/true"})),
         125);
  SpawnOptions nobody;
  nobody.uid = kNobody;
  nobody.empty_run_dir = true;
  const TempDir open;
  copy_for_everyone(open, loiterd_path());
  expect(run({copy_for_everyone(open, loiter_path()), "check", "--", "/bin/true"}, nobody), 125);
}

// --- what is found -----------------------------------------------------------------------------------------

TEST_F(Check, HealthyOnesAreQuiet) {
  for (const char* variant : {"", "-static", "-musl", "-musl-static"}) {
    const Checked result = check({}, {checked(variant), "joined", "40"});
    EXPECT_EQ(to_string(result.run.status), "exit 0") << variant;
    EXPECT_EQ(result.run.err, "") << variant;
    EXPECT_EQ(result.findings(), 0u) << result.report;
    EXPECT_EQ(result.report.at("processes")[0].at("end"), "exit_group");
  }
  const Checked shell = check({}, {"/bin/sh", "-c", "echo one; (echo two) | cat; exit 0"});
  EXPECT_EQ(shell.run.out, "one\ntwo\n");
  EXPECT_EQ(shell.run.err, "");
}

TEST_F(Check, ThreadsThatLiveOnAreToldWithSiteAndWait) {
  for (const char* variant : {"", "-static", "-musl", "-musl-static"}) {
    const Checked result = check({}, {checked(variant), "pool", "5"});
    EXPECT_EQ(to_string(result.run.status), "exit 1") << variant;
    ASSERT_EQ(result.of_kind("live_at_exit").size(), 1u) << variant << result.report;
    EXPECT_EQ(result.findings(), 1u) << result.report;
    const json finding = result.of_kind("live_at_exit")[0];
    EXPECT_EQ(finding.at("count"), 5);
    EXPECT_EQ(finding.at("severity"), "warning");
    for (const json& thread : finding.at("threads")) {
      EXPECT_EQ(thread.at("name"), "pool-worker");
      EXPECT_EQ(thread.at("start_routine").at("symbol"), "pool_worker");
      EXPECT_EQ(thread.at("wait").at("kind"), "condvar") << variant;
      EXPECT_TRUE(has_symbol(thread.at("stack"), "wait_for_work")) << variant << thread;
      EXPECT_TRUE(has_symbol(thread.at("created_by").at("stack"), "open_pool")) << variant << thread;
    }
    for (const char* told : {"live_at_exit", "pool_worker", "wait_for_work", "open_pool"})
      EXPECT_NE(result.run.err.find(told), std::string::npos) << told << result.run.err;
  }
}

TEST_F(Check, UnjoinedThreadsAreToldWithSite) {
  const Checked result = check({}, {checked(), "forgotten", "12"});
  EXPECT_EQ(to_string(result.run.status), "exit 1");
  ASSERT_EQ(result.of_kind("unjoined").size(), 1u) << result.report;
  const json finding = result.of_kind("unjoined")[0];
  EXPECT_EQ(finding.at("count"), 12);
  EXPECT_EQ(finding.at("threads")[0].at("start_routine").at("symbol"), "short_worker");
  EXPECT_TRUE(has_symbol(finding.at("threads")[0].at("created_by").at("stack"), "forget_threads")) << finding;
  const Checked musl = check({}, {checked("-musl"), "forgotten", "2"});
  EXPECT_EQ(musl.report.at("processes")[0].at("not_judged")[0].at("kind"), "unjoined") << musl.report;
}

TEST_F(Check, ADeadlockThatFormedJustBeforeTheEndIsProven) {
  const Checked result = check({}, {checked(), "late_deadlock", "0"});
  EXPECT_EQ(to_string(result.run.status), "exit 1");
  ASSERT_EQ(result.of_kind("deadlock").size(), 1u) << result.report;
  EXPECT_EQ(result.findings(), 1u) << "its threads are told once: " << result.report;
  const json finding = result.of_kind("deadlock")[0];
  EXPECT_EQ(finding.at("certainty"), "proven");
  std::set<std::string> names;
  for (const json& thread : finding.at("threads")) names.insert(thread.at("name"));
  EXPECT_EQ(names, (std::set<std::string>{"debit", "credit"}));
}

// Each says when its fault is there, and ends by _exit() when its input does.
TEST_F(Check, FaultyProgramsOfTheCorpus) {
  struct Case {
    const char *name, *kind;
  };
  for (const Case& each :
       {Case{"order_two", "deadlock"}, Case{"relock_std_mutex", "deadlock"}, Case{"owner_ended", "orphan"},
        Case{"lock_over_pipe", "stuck"}, Case{"unjoined_cxx", "unjoined"}}) {
    const std::string file = dir.file("report.json");
    const std::string program = build_dir() + "/tests/corpus/" + each.name;
    Subprocess process(command_line({"--json", file}, {program, "faulty"}), {.stdout_to_memory = true});
    ASSERT_TRUE(await("the fault", [&] {
      return process.stdout_text().find("\"ready\"") != std::string::npos;
    })) << each.name;
    if (std::string(each.kind) == "stuck") {
      // The daemon's own finding, of a wait past its threshold.
      const pid_t pid = json::parse(process.stdout_text()).at("pid");
      ASSERT_TRUE(await("it is stuck", [&] {
        return !daemon.get("/v1/findings?fresh=1&pid=" + std::to_string(pid)).at("findings").empty();
      }));
    }
    process.close_stdin();
    const auto status = process.wait();
    ASSERT_TRUE(status) << each.name;
    EXPECT_EQ(to_string(*status), "exit 1") << each.name;
    const Checked result{{*status, "", ""}, json::parse(read_file(file))};
    EXPECT_FALSE(result.of_kind(each.kind).empty()) << each.name << result.report;
  }
}

// --- --within, --grace, --ignore, --follow
// -------------------------------------------------------------------

TEST_F(Check, WithinTellsWhyItHangsAndEndsIt) {
  const Checked result = check({"--within", "1500ms"}, {checked(), "deadlock"});
  EXPECT_EQ(to_string(result.run.status), "exit 1");
  EXPECT_EQ(result.of_kind("deadlock").size(), 1u) << result.report;
  ASSERT_EQ(result.of_kind("timeout").size(), 1u) << result.report;
  EXPECT_EQ(result.of_kind("timeout")[0].at("threads").size(), 3u);
  EXPECT_EQ(result.report.at("not_done_after_ns"), 1'500'000'000);
  EXPECT_EQ(result.report.at("signal"), SIGTERM);
  EXPECT_NE(result.run.err.find("DEADLOCK"), std::string::npos) << result.run.err;
  const Checked deaf = check({"--within", "200ms"}, {checked(), "hang", "1"});
  EXPECT_EQ(to_string(deaf.run.status), "exit 1");
  EXPECT_EQ(deaf.report.at("signal"), SIGKILL) << "it heeds no SIGTERM";
  EXPECT_EQ(to_string(run(command_line({"--within", "10m"}, {checked(), "code", "4"})).status), "exit 4");
}

TEST_F(Check, WithinEndsDescendantsWhenToldToFollow) {
  const std::string note = dir.file("pid");
  const Words command{"/bin/sh", "-c", "sh -c 'echo $$ > " + note + "; exec " + checked() + " hang' & wait"};
  const Checked result = check({"--within", "2s", "--follow"}, command);
  EXPECT_EQ(to_string(result.run.status), "exit 1");
  EXPECT_EQ(result.of_kind("timeout").size(), 2u) << result.report;
  const pid_t child = std::stoi(read_file(note));
  EXPECT_TRUE(await("the child has ended", [&] {
    const auto stat = thread_stat(child, child);
    return !stat || stat->state == 'Z';
  }));
}

TEST_F(Check, GraceLetsThreadsEnd) {
  const Checked result = check({"--grace", "10m"}, {checked(), "pool", "3", "700"});
  EXPECT_TRUE(result.of_kind("live_at_exit").empty()) << result.report;
  EXPECT_EQ(result.of_kind("unjoined").size(), 1u) << result.report;
  const Checked over = check({"--grace", "300ms"}, {checked(), "pool", "3"});
  EXPECT_EQ(over.of_kind("live_at_exit").size(), 1u) << over.report;
}

// A signal that comes before check knows that the command is held is the command's: it ignores that one here.
TEST_F(Check, ASignalEndsTheGrace) {
  const Words command{"/bin/sh", "-c", "trap '' INT; exec " + checked() + " pool 2"};
  Subprocess process(command_line({"--grace", "10m"}, command), {.stdout_to_memory = true});
  ASSERT_TRUE(await("it is held at its end", [&] {
    for (const pid_t child : children_of(process.pid()))
      if (exe_of(child) == checked() && threads_of(child).size() == 3 &&
          blocked_syscall(child, child) == SYS_exit_group)
        return true;
    return false;
  }));
  ASSERT_TRUE(await("a signal is taken for impatience", [&] {
    process.signal(SIGINT);
    return process.wait(std::chrono::milliseconds(100)).has_value();
  }));
  EXPECT_NE(process.stderr_text().find("live_at_exit"), std::string::npos) << process.stderr_text();
}

TEST_F(Check, IgnoredThreadsAreLeftOutAndCounted) {
  for (const char* pattern : {"pool-w*", "pool_worker", "open_pool", "wait_for_w?rk"}) {
    const Checked result = check({"--ignore", "nothing", "--ignore", pattern}, {checked(), "pool", "4"});
    EXPECT_EQ(to_string(result.run.status), "exit 0") << pattern << result.run.err;
    EXPECT_EQ(result.report.at("ignored_threads"), 4) << pattern;
    EXPECT_EQ(result.run.err, "loiter: 4 threads left out by --ignore\n") << pattern;
  }
  EXPECT_EQ(to_string(check({"--ignore", "pool"}, {checked(), "pool", "4"}).run.status), "exit 1");
}

TEST_F(Check, FollowLooksAtChildrenAndGrandchildren) {
  EXPECT_EQ(to_string(check({}, {checked(), "family", "2"}).run.status), "exit 0");
  const Checked result = check({"--follow"}, {checked(), "family", "2"});
  EXPECT_EQ(to_string(result.run.status), "exit 1");
  std::multiset<int> counts;
  std::set<pid_t> pids;
  for (const json& finding : result.of_kind("live_at_exit")) {
    counts.insert(finding.at("count").get<int>());
    pids.insert(finding.at("process").at("pid").get<pid_t>());
  }
  EXPECT_EQ(counts, (std::multiset<int>{1, 2})) << result.report;
  EXPECT_EQ(pids.size(), 2u);
  EXPECT_FALSE(pids.contains(result.report.at("pid").get<pid_t>()));
}

// --- ends of other kinds
// -------------------------------------------------------------------------------------

TEST_F(Check, AnEndThatWasNotSeenIsSaid) {
  const Checked result = check({}, {checked(), "raw_exit", "0"});
  EXPECT_EQ(to_string(result.run.status), "exit 0");
  EXPECT_EQ(result.report.at("processes")[0].at("end"), "not_seen");
  EXPECT_NE(result.run.err.find("was not seen"), std::string::npos) << result.run.err;
}

TEST_F(Check, WhatWasFoundBeforeASignalEndedItIsTold) {
  const std::string file = dir.file("report.json");
  Subprocess process(command_line({"--json", file}, {checked(), "deadlock"}), {.stdout_to_memory = true});
  pid_t command = 0;
  ASSERT_TRUE(await("the deadlock is found", [&] {
    for (const pid_t child : children_of(process.pid()))
      if (exe_of(child) == checked()) command = child;
    return command &&
           !daemon.get("/v1/findings?fresh=1&pid=" + std::to_string(command)).at("findings").empty();
  }));
  // It asks for verdicts when it has run for a second.
  ASSERT_TRUE(
      await("it has run for so long", [&] { return daemon.status().at("uptime_ns") > 3'000'000'000; }));
  kill(command, SIGKILL);
  const auto status = process.wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(to_string(*status), "signal 9");
  const Checked result{{*status, "", ""}, json::parse(read_file(file))};
  EXPECT_EQ(result.of_kind("deadlock").size(), 1u) << result.report << process.stderr_text();
}

TEST_F(Check, SignalsArePassedOn) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    Subprocess process(command_line({}, {checked(), "hang", "0"}), {.stdout_to_memory = true});
    ASSERT_TRUE(await("it runs", [&] { return process.stdout_text() == "hangs\n"; }))
        << process.stderr_text();
    process.signal(number);
    const auto status = process.wait();
    ASSERT_TRUE(status);
    EXPECT_EQ(to_string(*status), "signal " + std::to_string(number));
  }
}

// Whoever is left behind must be able to end: the filter needs an answer for as long as it is in use.
TEST_F(Check, ADaemonThatTheCommandLeavesBehindEndsAsItWould) {
  const std::string go = dir.file("go"), code = dir.file("code");
  const std::string script = "(while [ ! -e " + go + " ]; do sleep 0.02; done; sh -c 'exit 5'; echo $? > " +
                             code + ".new; mv " + code + ".new " + code +
                             ") </dev/null >/dev/null 2>&1 & echo started";
  const Checked result = check({}, {"/bin/sh", "-c", script});
  EXPECT_EQ(to_string(result.run.status), "exit 0");
  EXPECT_EQ(result.run.out, "started\n");
  EXPECT_EQ(result.report.at("others_live"), true);
  std::ofstream(go) << "go";
  EXPECT_TRUE(await("it goes on", [&] { return std::filesystem::exists(code); }));
  EXPECT_EQ(read_file(code), "5\n");
}

TEST_F(Check, TheCommandOutlivesLoitersDeath) {
  const std::string code = dir.file("code");
  Subprocess process(command_line({"--follow"}, {"/bin/sh", "-c",
                                                 "echo started; read line; sh -c 'exit 6'; echo $? > " +
                                                     code + ".new; mv " + code + ".new " + code}),
                     {.stdout_to_memory = true});
  ASSERT_TRUE(await("it runs", [&] { return process.stdout_text() == "started\n"; }))
      << process.stderr_text();
  process.signal(SIGKILL);
  ASSERT_TRUE(process.wait());
  process.close_stdin();
  EXPECT_TRUE(await("it goes on", [&] { return std::filesystem::exists(code); }));
  EXPECT_EQ(read_file(code), "6\n");
}

// --- files
// -----------------------------------------------------------------------------------------------------

TEST_F(Check, JUnitIsXmlThatSaysTheSame) {
  const std::string file = dir.file("junit.xml"), reader = dir.file("read.py");
  std::ofstream(reader) << R"(
import json, sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find('testsuite')
print(json.dumps({'tests': int(suite.get('tests')), 'failures': int(suite.get('failures')),
  'cases': {case.get('name'): [f.get('type') for f in case.findall('failure')] for case in suite.findall('testcase')},
  'text': ''.join(f.text for f in suite.iter('failure'))}))
)";
  const auto parsed = [&] {
    const RunResult result = run({"/usr/bin/python3", reader, file});
    EXPECT_EQ(to_string(result.status), "exit 0") << result.err;
    return json::parse(result.out);
  };
  EXPECT_EQ(to_string(run(command_line({"--junit", file}, {checked(), "pool", "2"})).status), "exit 1");
  const json failed = parsed();
  EXPECT_EQ(failed.at("failures"), 1);
  EXPECT_EQ(failed.at("cases").at("live_at_exit: pool_worker"), json::array({"live_at_exit"}));
  EXPECT_TRUE(failed.at("cases").at("deadlock").empty());
  EXPECT_EQ(failed.at("tests"), failed.at("cases").size());
  EXPECT_NE(failed.at("text").get<std::string>().find("open_pool"), std::string::npos);
  EXPECT_EQ(to_string(run(command_line({"--junit", file}, {checked(), "joined", "2"})).status), "exit 0");
  EXPECT_EQ(parsed().at("failures"), 0);
}

// --- languages
// -------------------------------------------------------------------------------------------------

TEST_F(Check, ARuntimesOwnThreadsAreNotCounted) {
  const std::string java = dir.file("Quiet.java");
  std::ofstream(java)
      << "public class Quiet { public static void main(String[] a) throws Exception {"
         "Thread t = new Thread(() -> {}); t.start(); t.join(); System.out.println(\"java\"); } }";
  struct Case {
    const char* runtime;
    Words command;
  };
  for (const Case& each :
       {Case{"jvm", {"/usr/bin/java", java}},
        Case{"node", {"/usr/bin/node", "-e", "require('fs').readFile('/dev/null', () => process.exit(0))"}},
        Case{"openmp", {workload_path("openmp_team")}}}) {
    const Checked result = check({}, each.command);
    EXPECT_EQ(to_string(result.run.status), "exit 0") << each.runtime << result.run.err;
    EXPECT_EQ(result.run.err, "") << each.runtime;
    const json runtimes = result.report.at("processes")[0].at("runtime_threads");
    EXPECT_GE(runtimes.value(each.runtime, 0), 1) << result.report;
    EXPECT_EQ(runtimes.size(), 1u) << runtimes;
  }
}

TEST_F(Check, AProgramsOwnThreadBesideARuntimesIsFound) {
  const Checked result = check({}, {workload_path("openmp_team"), "own"});
  ASSERT_EQ(result.findings(), 1u) << result.report;
  EXPECT_EQ(result.report.at("findings")[0].at("count"), 1);
  EXPECT_EQ(result.report.at("processes")[0].at("runtime_threads").at("openmp"), 2);
  const Checked all = check({"--report-threads-of", "openmp"}, {workload_path("openmp_team")});
  ASSERT_EQ(all.findings(), 1u) << all.report;
  EXPECT_EQ(all.report.at("findings")[0].at("count"), 2);
}

TEST_F(Check, PythonsThreadsAreThePrograms) {
  const Words python{"/usr/bin/python3", "-c"};
  const std::string make =
      "import threading, time\nt = threading.Thread(target=time.sleep, args=(SECONDS,), daemon=True)\n"
      "t.start()\nprint('made', flush=True)\n";
  const auto with = [&](const std::string& seconds, const std::string& more) {
    std::string text = make + more;
    return text.replace(text.find("SECONDS"), 7, seconds);
  };
  const Checked daemonic = check({}, python + Words{with("1000", "")});
  EXPECT_EQ(to_string(daemonic.run.status), "exit 1") << daemonic.run.err;
  EXPECT_EQ(daemonic.run.out, "made\n");
  ASSERT_EQ(daemonic.of_kind("live_at_exit").size(), 1u) << daemonic.report;
  const Checked joined = check({}, python + Words{with("0.1", "t.join()\n")});
  EXPECT_EQ(to_string(joined.run.status), "exit 0") << joined.run.err;
  EXPECT_EQ(joined.run.err, "");
}

// --- without a daemon
// --------------------------------------------------------------------------------------------

TEST(CheckAlone, APrivateDaemonIsThereBeforeTheCommand) {
  SpawnOptions alone;
  alone.empty_run_dir = true;
  TempDir dir;
  const std::string file = dir.file("report.json");
  const RunResult result = run({loiter_path(), "check", "--json", file, "--", checked(), "pool", "2"}, alone);
  EXPECT_EQ(to_string(result.status), "exit 1");
  const json report = json::parse(read_file(file));
  ASSERT_EQ(report.at("findings").size(), 1u) << report;
  EXPECT_TRUE(has_symbol(report.at("findings")[0].at("threads")[0].at("created_by").at("stack"), "open_pool"))
      << report;
  const RunResult quiet = run({loiter_path(), "check", "--", checked(), "joined", "3"}, alone);
  EXPECT_EQ(to_string(quiet.status), "exit 0");
  EXPECT_EQ(quiet.err, "");
}

}  // namespace
}  // namespace loiter::test
