// `loiter check` without a daemon: whose a thread is, what is left out, what makes a finding, and how it is
// told as text, JSON and JUnit's XML.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/check/report.h"
#include "cli/check/verdict.h"
#include "cli/runtime_threads.h"
#include "cli/thread_traits.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

json frame(const std::string& symbol, const std::string& module = "/usr/bin/api") {
  return {{"symbol", symbol}, {"module", module}, {"offset", 1},
          {"file", nullptr},  {"line", nullptr},  {"inlined", false}};
}

json frames(const std::vector<std::string>& symbols) {
  json list = json::array();
  for (const std::string& symbol : symbols) list.push_back(frame(symbol));
  return list;
}

json routine(const json& symbol, const std::string& module) {
  return {{"symbol", symbol}, {"module", module}, {"offset", 1}, {"callable", nullptr}};
}

ThreadTraits thread_of(const json& start, const json& waits = json::array(),
                       const json& made = json::array()) {
  return traits_of({{"name", "n"},
                    {"start_routine", start},
                    {"stack", waits},
                    {"created_by", {{"tid", 1}, {"stack", made}}}});
}

// --- runtimes ----------------------------------------------------------------------------------------

TEST(RuntimeThreads, AreKnownByStartRoutineAndModule) {
  const std::string jvm = "/usr/lib/jvm/java-17/lib/server/libjvm.so";
  EXPECT_EQ(runtime_of(thread_of(routine("thread_native_entry(Thread*)", jvm))), "jvm");
  EXPECT_EQ(runtime_of(thread_of(routine(nullptr, jvm))), "jvm");
  EXPECT_EQ(runtime_of(thread_of(routine("ThreadJavaMain", "/usr/lib/jvm/lib/libjli.so"))), "jvm");
  EXPECT_EQ(runtime_of(thread_of(routine(nullptr, "/usr/lib/libgomp.so.1.0.0"))), "openmp");
  EXPECT_EQ(runtime_of(thread_of(routine("gomp_thread_start", "/opt/static"))), "openmp");
  EXPECT_EQ(runtime_of(thread_of(routine("__kmp_launch_worker(void*)", "/opt/static"))), "openmp");
  EXPECT_EQ(runtime_of(thread_of(routine("node::(anonymous namespace)::PlatformWorkerThread(void*)", "/x"))),
            "node");
  EXPECT_EQ(runtime_of(thread_of(routine(nullptr, "/usr/lib/libuv.so.1.0.0"))), "node");
}

TEST(RuntimeThreads, AreKnownByTheirStacks) {
  const json std_thread = routine("std::sys::unix::thread::Thread::new::thread_start", "/usr/bin/api");
  EXPECT_EQ(
      runtime_of(thread_of(std_thread, frames({"syscall", "tokio::runtime::blocking::pool::Inner::run"}))),
      "tokio");
  EXPECT_EQ(runtime_of(thread_of(
                std_thread, frames({"epoll_wait", "tokio::runtime::scheduler::multi_thread::worker::run"}))),
            "tokio");
  EXPECT_EQ(runtime_of(thread_of(nullptr,
                                 frames({"runtime.futex.abi0", "runtime.notesleep", "runtime.mstart.abi0"}))),
            "go");
  EXPECT_EQ(runtime_of(thread_of(nullptr, json::array(), frames({"runtime.clone", "runtime.newosproc"}))),
            "go");
  EXPECT_EQ(
      runtime_of(thread_of(routine("threadentry", "/x"), json::array(), frames({"_cgo_sys_thread_start"}))),
      "go");
  const json worker = routine("worker", "/usr/bin/node");
  EXPECT_EQ(runtime_of(thread_of(worker, frames({"pthread_cond_wait", "uv_cond_wait", "worker"}))), "node");
  EXPECT_EQ(runtime_of(thread_of(worker, json::array(), frames({"uv__work_submit", "uv_fs_read"}))), "node");
}

TEST(RuntimeThreads, AreNotTheProgramsOfTheSameName) {
  EXPECT_EQ(runtime_of(thread_of(routine("worker", "/usr/bin/api"), frames({"pthread_cond_wait", "worker"}))),
            std::nullopt);
  EXPECT_EQ(runtime_of(thread_of(routine("threadentry", "/usr/bin/api"))), std::nullopt);
  EXPECT_EQ(runtime_of(thread_of(routine(nullptr, "/usr/lib/libjvm.so.txt/libmine.so"))), std::nullopt);
  EXPECT_EQ(runtime_of(thread_of(nullptr)), std::nullopt);
  EXPECT_EQ(runtime_of(thread_of(routine("execute_native_thread_routine", "/usr/lib/libstdc++.so.6"),
                                 frames({"runtime_poll", "Pool::run"}))),
            std::nullopt);
  const std::string of_worker =
      "node::worker::Worker::StartThread(v8::FunctionCallbackInfo<v8::Value> const&)";
  EXPECT_EQ(runtime_of(thread_of(routine(of_worker + "::{lambda(void*)#1}::_FUN(void*)", "/usr/bin/node"))),
            std::nullopt);
}

TEST(RuntimeThreads, TheirNamesAreTold) {
  EXPECT_THAT(runtime_names(), ElementsAre("go", "jvm", "node", "openmp", "tokio"));
}

// --- --ignore ----------------------------------------------------------------------------------------

TEST(CheckIgnore, MatchesNameRoutineAndFrames) {
  ThreadTraits traits =
      thread_of(routine("Pool::run(int)", "/usr/lib/libpool.so.2"), frames({"pthread_cond_wait", "take"}),
                frames({"pthread_create", "Pool::open()"}));
  traits.name = "pool-3";
  traits.routine->callable = "shop::Keeper";
  for (const char* pattern :
       {"pool-*", "Pool::run*", "libpool.so*", "take", "Pool::open()", "shop::*", "p?ol-[0-9]"})
    EXPECT_TRUE(is_ignored(traits, {"nothing", pattern})) << pattern;
  for (const char* pattern : {"pool", "run", "ake", "", "Pool::open", "/usr/lib"})
    EXPECT_FALSE(is_ignored(traits, {pattern})) << pattern;
  EXPECT_FALSE(is_ignored(traits, {}));
  EXPECT_FALSE(is_ignored(ThreadTraits{}, {"?*"}));
}

// --- verdicts ----------------------------------------------------------------------------------------

json live(uint32_t tid, const std::string& name, const std::string& begun = "worker") {
  return {
      {"tid", tid},
      {"name", name},
      {"state", "sleeping"},
      {"blocked_ns", 5'000'000'000},
      {"blocked_max_ns", 5'000'000'000},
      {"exactness", "estimated"},
      {"wait", {{"kind", "condvar"}, {"syscall", "futex"}}},
      {"start_routine", routine(begun, "/usr/bin/api")},
      {"created_by", {{"tid", 812}, {"stack", frames({"clone3", "pthread_create", "open_pool", "main"})}}}};
}

// At its end, which 812 itself has called.
EndDocuments ended_with(const std::vector<json>& threads) {
  EndDocuments documents;
  documents.exiting_tid = 812;
  documents.tree = {{"as_of", "2026-01-01T00:00:00Z"},
                    {"process", {{"pid", 812}, {"comm", "api"}, {"exe", "/usr/bin/api"}}},
                    {"threads", json::array({live(812, "api")})},
                    {"ended_threads", json::array()}};
  for (const json& thread : threads) documents.tree["threads"].push_back(thread);
  return documents;
}

TEST(CheckVerdict, ThreadsThatLiveAreTakenTogether) {
  const EndDocuments documents = ended_with({live(813, "a"), live(814, "b"), live(815, "c", "other")});
  const ProcessVerdict verdict = judge_end(documents, {});
  EXPECT_EQ(verdict.end, "exit_group");
  ASSERT_EQ(verdict.findings.size(), 2u);
  const json& first = verdict.findings[0];
  EXPECT_EQ(first.at("kind"), "live_at_exit");
  EXPECT_EQ(first.at("severity"), "warning");
  EXPECT_EQ(first.at("count"), 2);
  EXPECT_EQ(first.at("threads")[1].at("tid"), 814);
  EXPECT_EQ(first.at("process").at("exe"), "/usr/bin/api");
  EXPECT_EQ(first.at("summary"),
            "api (812): 2 threads still live at its end, begun in worker, made in open_pool");
  EXPECT_EQ(verdict.findings[1].at("count"), 1);
}

TEST(CheckVerdict, WhoIsAboutToEndDoesNotLive) {
  EndDocuments documents = ended_with({live(813, "a"), live(814, "b"), live(815, "c"), live(816, "d")});
  documents.exiting_tid = 813;
  documents.ending = {814};
  documents.tree["threads"][3]["state"] = "dead";
  const ProcessVerdict verdict = judge_end(documents, {});
  ASSERT_EQ(verdict.findings.size(), 1u);
  EXPECT_EQ(verdict.findings[0].at("threads")[0].at("tid"), 816);
  EXPECT_EQ(verdict.findings[0].at("count"), 1);
}

TEST(CheckVerdict, IgnoredAndARuntimesOwnAreCounted) {
  const EndDocuments documents =
      ended_with({live(813, "log-1"), live(814, "pool"), live(815, "x", "gomp_thread_start")});
  const ProcessVerdict verdict = judge_end(documents, {{"log-*", "poo?"}, {}});
  EXPECT_TRUE(verdict.findings.empty());
  EXPECT_EQ(verdict.ignored, 2u);
  EXPECT_EQ(verdict.runtime_threads, (std::map<std::string, uint64_t>{{"openmp", 1}}));
  const ProcessVerdict all = judge_end(documents, {{}, {"openmp"}});
  EXPECT_EQ(all.findings.size(), 2u);
  EXPECT_EQ(all.ignored, 0u);
  EXPECT_TRUE(all.runtime_threads.empty());
}

TEST(CheckVerdict, ARuntimeMayBeKnownByTheStackAlone) {
  EndDocuments documents = ended_with({live(813, "a", "std::thread_start")});
  EXPECT_EQ(live_threads(documents, {}, nullptr).size(), 1u);
  documents.stacks = {
      {"threads", json::array({{{"tid", 813},
                                {"stack", frames({"tokio::runtime::blocking::pool::Inner::run"})},
                                {"cut", nullptr}}})}};
  EXPECT_TRUE(live_threads(documents, {}, nullptr).empty());
}

json daemon_finding(const std::string& kind, const std::vector<uint32_t>& tids) {
  json finding{{"id", kind + "-1"},        {"kind", kind},
               {"severity", "critical"},   {"certainty", "proven"},
               {"count", tids.size()},     {"chain", tids.size()},
               {"threads", json::array()}, {"summary", "2 threads wait for one another"},
               {"hint", "order"},          {"process", {{"pid", 812}, {"comm", "api"}}},
               {"resolution", nullptr}};
  for (const uint32_t tid : tids) {
    finding["threads"].push_back(live(tid, "t" + std::to_string(tid)));
    finding["threads"].back().update({{"pid", 812}, {"stack", frames({"debit"})}, {"cut", nullptr}});
  }
  return finding;
}

TEST(CheckVerdict, WhatTheDaemonFoundIsToldOnce) {
  EndDocuments documents = ended_with({live(813, "a"), live(814, "b"), live(815, "c")});
  json gone = daemon_finding("stuck", {815});
  gone["resolution"] = "cause_gone";
  json unjoined = daemon_finding("unjoined", {815});
  json info = daemon_finding("spin", {815});
  info["severity"] = "info";
  documents.findings = {
      {"findings", json::array({daemon_finding("deadlock", {813, 814}), gone, unjoined, info})},
      {"not_judged",
       json::array({{{"kind", "leak"}, {"reason", "short"}}, {{"kind", "deadlock"}, {"reason", "left"}}})}};
  const ProcessVerdict verdict = judge_end(documents, {});
  ASSERT_EQ(verdict.findings.size(), 2u);
  EXPECT_EQ(verdict.findings[0].at("kind"), "deadlock");
  EXPECT_EQ(verdict.findings[1].at("kind"), "live_at_exit");
  EXPECT_EQ(verdict.findings[1].at("threads")[0].at("tid"), 815);
  ASSERT_EQ(verdict.not_judged.size(), 1u) << "growth is no matter of an end";
  EXPECT_EQ(verdict.not_judged[0].at("kind"), "deadlock");
  // One of its threads is no reason to leave it out, all of them are.
  EXPECT_EQ(judge_end(documents, {{"t813"}, {}}).findings[0].at("kind"), "deadlock");
  EXPECT_EQ(judge_end(documents, {{"t81[34]", "a", "b", "c"}, {}}).findings.size(), 0u);
}

TEST(CheckVerdict, UnjoinedThreadsAreToldWithWhereTheyWereMade) {
  EndDocuments documents = ended_with({});
  documents.tree["ended_threads"] =
      json::array({{{"tid", 813},
                    {"ended_boottime_ns", 5},
                    {"created_by", {{"tid", 812}, {"stack", frames({"pthread_create", "early"})}}}},
                   {{"tid", 813},
                    {"ended_boottime_ns", 9},
                    {"created_by", {{"tid", 812}, {"stack", frames({"pthread_create", "forget"})}}}}});
  documents.unjoined = {{"failure", nullptr},
                        {"unjoined", 2},
                        {"threads", json::array({{{"tid", 813},
                                                  {"name", "w"},
                                                  {"start_routine", routine("worker", "/usr/bin/api")},
                                                  {"stack_bytes", 8192},
                                                  {"ended_boottime_ns", 9},
                                                  {"exactness", "exact"}},
                                                 {{"tid", nullptr},
                                                  {"name", nullptr},
                                                  {"start_routine", nullptr},
                                                  {"stack_bytes", nullptr},
                                                  {"ended_boottime_ns", nullptr},
                                                  {"exactness", nullptr}}})}};
  const ProcessVerdict verdict = judge_end(documents, {});
  ASSERT_EQ(verdict.findings.size(), 2u);
  EXPECT_EQ(verdict.findings[0].at("kind"), "unjoined");
  EXPECT_EQ(verdict.findings[0].at("summary"),
            "api (812): 1 thread ended and nobody joined it, begun in worker, made in forget");
  EXPECT_EQ(verdict.findings[0].at("evidence").at("stack_bytes"), 8192);
  EXPECT_THAT(verdict.findings[1].at("summary").get<std::string>(),
              HasSubstr("where they began is not known"));
  documents.unjoined = {{"failure", "musl keeps no list"}};
  EXPECT_EQ(judge_end(documents, {}).not_judged[0].at("kind"), "unjoined");
}

TEST(CheckVerdict, NotDoneInTimeIsAFinding) {
  EndDocuments documents = ended_with({live(813, "a")});
  documents.exiting_tid = 0;
  documents.not_done_after_ns = 2'000'000'000;
  const ProcessVerdict verdict = judge_end(documents, {{"*"}, {}});
  EXPECT_EQ(verdict.end, "not_done");
  ASSERT_EQ(verdict.findings.size(), 1u);
  EXPECT_EQ(verdict.findings[0].at("kind"), "timeout");
  EXPECT_EQ(verdict.findings[0].at("threads").size(), 2u);
}

TEST(CheckVerdict, AnEndThatNobodySawTellsWhatWasFoundBefore) {
  EndDocuments documents;
  documents.tree = {{"process", {{"pid", 812}, {"comm", "api"}}}};
  EXPECT_TRUE(judge_end(documents, {}).findings.empty());
  json found = daemon_finding("deadlock", {813, 814});
  found["resolution"] = "process_ended";
  documents.findings = {{"findings", json::array({found})}};
  const ProcessVerdict verdict = judge_end(documents, {});
  EXPECT_EQ(verdict.end, "not_seen");
  EXPECT_EQ(verdict.findings.size(), 1u);
}

// --- reports -----------------------------------------------------------------------------------------

CheckReport report_of(const EndDocuments& documents, const CheckRules& rules = {}) {
  CheckReport report;
  report.command = {"/usr/bin/api", "--serve"};
  report.pid = 812;
  report.processes = {judge_end(documents, rules)};
  return report;
}

TEST(CheckReport, AHealthyCommandIsNotSpokenOf) {
  const CheckReport report = report_of(ended_with({}));
  EXPECT_TRUE(check_lines(report).empty());
  EXPECT_EQ(check_exit_code(report), 0);
}

TEST(CheckReport, TellsThreadsWithWaitAndSite) {
  const auto lines = check_lines(
      report_of(ended_with({live(813, "a"), live(814, "b\x1b[2J"), live(815, "c"), live(816, "d")})));
  EXPECT_EQ(lines.at(0), "loiter: '/usr/bin/api' ended with 0: 1 finding");
  EXPECT_THAT(lines.at(1),
              HasSubstr("warning live_at_exit (proven): api (812): 4 threads still live at its end"));
  EXPECT_THAT(lines, Contains(HasSubstr("813 a: sleeping")));
  EXPECT_THAT(lines, Contains(HasSubstr(R"(b\x1b[2J)")));
  EXPECT_THAT(lines, Contains("    and 1 more"));
  EXPECT_THAT(lines, Contains("    made by 812:"));
  EXPECT_THAT(lines, Contains("      open_pool in api"));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("pthread_create"))));
}

TEST(CheckReport, SaysHowManyWereLeftOut) {
  EXPECT_THAT(check_lines(report_of(ended_with({live(813, "a")}), {{"a"}, {}})),
              ElementsAre("loiter: 1 thread left out by --ignore"));
}

TEST(CheckReport, TheCommandsOwnCodeComesFirst) {
  CheckReport report = report_of(ended_with({live(813, "a")}));
  EXPECT_EQ(check_exit_code(report), 1);
  report.exit_code = 7;
  EXPECT_EQ(check_exit_code(report), 7);
  report.signal = 15;
  EXPECT_EQ(check_exit_code(report), 143);
  report.ended_after_ns = 1;
  EXPECT_EQ(check_exit_code(report), 1);
  CheckReport failed = report_of(ended_with({}));
  failed.troubles = {"the daemon does not answer"};
  EXPECT_EQ(check_exit_code(failed), 125);
  EXPECT_THAT(check_lines(failed), ElementsAre("loiter: the daemon does not answer"));
}

TEST(CheckReport, AsJson) {
  CheckReport report = report_of(ended_with({live(813, "a"), live(814, "g", "gomp_thread_start")}));
  report.exit_code = 3;
  json document = check_document(report);
  EXPECT_EQ(document.at("schema"), 1);
  EXPECT_EQ(document.at("exit_code"), 3);
  EXPECT_EQ(document.at("result"), 3);
  EXPECT_EQ(document.at("findings").size(), 1u);
  EXPECT_EQ(document.at("processes")[0].at("runtime_threads").at("openmp"), 1);
  report.signal = 9;
  document = check_document(report);
  EXPECT_TRUE(document.at("exit_code").is_null());
  EXPECT_EQ(document.at("signal"), 9);
}

TEST(CheckJunit, EscapesWhatXmlCannotHold) {
  EXPECT_EQ(escape_for_xml("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
  EXPECT_EQ(escape_for_xml(std::string("nul\0bell\a\x1b[2J\r\t", 15)), R"(nul\x00bell\x07\x1b[2J\r\t)");
  EXPECT_EQ(escape_for_xml("\xff\xfe"), R"(\xff\xfe)");
  EXPECT_EQ(escape_for_xml("one\ntwo\n"), "one&#10;two&#10;");
  EXPECT_EQ(escape_for_xml("\xef\xbf\xbe|\xef\xbf\xbf|\xef\xbf\xbd"), "\\ufffe|\\uffff|\xef\xbf\xbd");
  EXPECT_EQ(escape_for_xml("\xe2\x80\xae ü 漢"), "\\u202e ü 漢");
  EXPECT_EQ(escape_for_xml(""), "");
}

TEST(CheckJunit, ACaseForEachFindingAndEachKindWithout) {
  const std::string xml = check_junit(report_of(ended_with({live(813, "a"), live(814, "b", "other<T>")})));
  EXPECT_THAT(xml, HasSubstr(R"(tests="7" failures="2" errors="0")"));
  EXPECT_THAT(xml, HasSubstr(R"(<testcase classname="loiter.api" name="live_at_exit: worker")"));
  EXPECT_THAT(xml, HasSubstr(R"(name="live_at_exit: other&lt;T&gt;")"));
  EXPECT_THAT(xml, HasSubstr(R"(name="deadlock" time="0.000"/>)"));
  EXPECT_THAT(xml, HasSubstr(R"(<failure type="live_at_exit" message="api (812): 1 thread still lives)"));
  CheckReport failed = report_of(ended_with({}));
  failed.troubles = {"no daemon"};
  EXPECT_THAT(check_junit(failed), AllOf(HasSubstr(R"(tests="7" failures="0" errors="1")"),
                                         HasSubstr(R"(<error message="no daemon"/>)")));
}

}  // namespace
}  // namespace loiter::cli
