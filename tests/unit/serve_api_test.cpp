// The routes: which document answers which request, and the error for each that cannot be answered.
#include "daemon/serve/api.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/lib/daemon.h"
#include "tests/unit/pictures.h"

namespace loiter::test {
namespace {

using nlohmann::json;

class ApiTest : public ::testing::Test {
 protected:
  ApiTest() : api_(board_, Procfs(proc_.path())) {
    auto snapshot = make_snapshot({make_process(
        100, "prog", {make_thread(100, "main", 1'000'000'000), make_thread(101, "old", 40'000'000'000)})});
    snapshot->ended_processes = {make_process(90, "gone", {})};
    snapshot->ended_processes[0].ended_boot_ns = 1'000'000'000;
    board_.publish(make_picture(snapshot));
  }

  Answer get(const std::string& path, const std::map<std::string, std::string>& query = {}) {
    return api_.answer({path, query}, 0);
  }
  json document(const std::string& path, const std::map<std::string, std::string>& query = {}) {
    const Answer answer = get(path, query);
    EXPECT_EQ(answer.status, 200u) << answer.body;
    return json::parse(answer.body);
  }
  void expect_error(const Answer& answer, unsigned status, const std::string& code) {
    EXPECT_EQ(answer.status, status);
    const json body = json::parse(answer.body);
    EXPECT_EQ(body["schema"], 1);
    EXPECT_EQ(body["error"]["code"], code) << answer.body;
    EXPECT_FALSE(body["error"]["message"].get<std::string>().empty());
  }
  void add_to_proc(uint32_t pid, uint32_t tgid, uint64_t flags) {
    const std::string dir = proc_.file(std::to_string(pid));
    mkdir(dir.c_str(), 0755);
    std::ofstream(dir + "/status") << "Name:\tx\nTgid:\t" << tgid << "\n";
    std::ofstream(dir + "/stat") << pid << " (x) S 1 1 1 0 -1 " << flags << " 0\n";
  }

  TempDir proc_;
  Board board_;
  Api api_;
};

TEST_F(ApiTest, EachEndpointHasItsDocument) {
  EXPECT_TRUE(document("/v1/status").contains("census"));
  EXPECT_EQ(document("/v1/processes")["processes"].size(), 1u);
  EXPECT_EQ(document("/v1/processes/100")["threads"].size(), 2u);
  EXPECT_EQ(document("/v1/scan")["overdue"].size(), 1u);
}

TEST_F(ApiTest, WithoutACensusThereIsNothingYet) {
  Board empty;
  Api api(empty, Procfs(proc_.path()));
  expect_error(api.answer({"/v1/status", {}}, 0), 503, "not_ready");
}

TEST_F(ApiTest, TheThresholdMayBeAnother) {
  EXPECT_EQ(document("/v1/scan", {{"threshold_ns", "1"}})["overdue"].size(), 2u);
  EXPECT_EQ(document("/v1/processes", {{"threshold_ns", "1"}})["processes"][0]["overdue"], 2);
  EXPECT_EQ(document("/v1/processes/100", {{"threshold_ns", "99000000000"}})["process"]["overdue"], 0);
  EXPECT_EQ(document("/v1/scan", {{"threshold_ns", "18446744073709551615"}})["overdue"].size(), 0u);
}

TEST_F(ApiTest, ParametersThatAreNoNumbersAreRefused) {
  for (const char* text : {"", "x", "-1", "1x", " 1", "1.5", "0x10", "18446744073709551616", "30s"}) {
    expect_error(get("/v1/scan", {{"threshold_ns", text}}), 400, "bad_request");
    if (std::string(text) != "18446744073709551616")
      expect_error(get("/v1/scan", {{"pid", text}}), 400, "bad_request");
  }
  expect_error(get("/v1/scan", {{"pid", "4294967296"}}), 400, "bad_request");
}

TEST_F(ApiTest, PathsThatNameNoPidAreRefused) {
  for (const char* text : {"", "0", "x", "100/", "100x", "-100", "99999999999", "100/threads"})
    expect_error(get(std::string("/v1/processes/") + text), 400, "bad_request");
}

TEST_F(ApiTest, TellsWhatMustBeLookedAtInside) {
  const auto wanted = api_.wanted_inspection({"/v1/processes/100/stacks", {{"tid", "101"}, {"lines", "0"}}});
  ASSERT_TRUE(wanted);
  EXPECT_EQ(wanted->kind, InspectRequest::Kind::stacks);
  EXPECT_EQ(wanted->pid, 100u);
  EXPECT_EQ(wanted->tid, 101u);
  EXPECT_FALSE(wanted->with_lines);
  EXPECT_FALSE(wanted->kernel_stacks);
  EXPECT_EQ(api_.wanted_inspection({"/v1/processes/100/chains", {}})->kind, InspectRequest::Kind::chains);
  EXPECT_EQ(api_.wanted_inspection({"/v1/processes/100/unjoined", {}})->kind, InspectRequest::Kind::pthreads);
  EXPECT_EQ(api_.wanted_inspection({"/v1/processes/100", {}})->kind, InspectRequest::Kind::waits);
  EXPECT_FALSE(api_.wanted_inspection({"/v1/processes/100", {{"waits", "0"}}}));
  EXPECT_FALSE(api_.wanted_inspection({"/v1/processes/90/stacks", {}}));  // it has ended
  EXPECT_FALSE(api_.wanted_inspection({"/v1/processes/55/stacks", {}}));
  EXPECT_FALSE(api_.wanted_inspection({"/v1/processes", {}}));
}

TEST_F(ApiTest, WithoutALookInsideThereAreNoStacks) {
  expect_error(get("/v1/processes/90/stacks"), 404, "no_such_process");
  EXPECT_EQ(document("/v1/processes/100")["threads"][0]["wait"], nullptr);
}

TEST_F(ApiTest, StacksOfAThread) {
  auto inspection = std::make_shared<Inspection>();
  inspection->pid = 100;
  for (uint32_t tid : {100, 101}) {
    InspectedThread& thread = inspection->threads.emplace_back();
    thread.record.id = {.tid = tid, .tgid = 100, .start_boot_ns = 1, .exec_id = 0, .pad = 0};
    thread.record.state = 1;
    thread.blocked = true;
  }
  inspection->threads[1].stack = 0;
  inspection->stacks.places.push_back(
      {0x10, 5, 0x8, "", {}, {{"in\xff()", "a.c", 3, true}, {"f", "a.c", 9, false}}});
  inspection->stacks.stacks.push_back({{0}, Cut::none, 0, 0, {}});
  inspection->modules[5] = "/bin/x";
  inspection->threads[1].wait.emplace().kind = WaitKind::lock;
  inspection->threads[1].wait->holder = {HolderState::alive, 100, 100};
  InspectAnswer answer;
  answer.inspection = inspection;
  const Answer reply = api_.answer({"/v1/processes/100/stacks", {{"tid", "101"}}}, 0, &answer);
  ASSERT_EQ(reply.status, 200u) << reply.body;
  const json threads = json::parse(reply.body)["threads"];
  ASSERT_EQ(threads.size(), 1u);
  EXPECT_EQ(threads[0]["stack"].size(), 2u);
  EXPECT_EQ(threads[0]["stack"][0]["inlined"], true);
  EXPECT_EQ(threads[0]["stack"][1]["symbol"], "f");
  EXPECT_EQ(threads[0]["stack"][1]["module"], "/bin/x");
  EXPECT_EQ(threads[0]["cut"], nullptr);
  EXPECT_EQ(threads[0]["wait"]["holder_tid"], 100);
  EXPECT_EQ(threads[0]["wait"]["holder_state"], "alive");
  expect_error(api_.answer({"/v1/processes/100/stacks", {{"tid", "7"}}}, 0, &answer), 404, "no_such_thread");
}

TEST_F(ApiTest, UnknownPathsAreNoEndpoints) {
  for (const char* path : {"/", "", "/v1", "/v2/status", "/v1/status/", "/v1/processesx", "/v1/scan/1"})
    expect_error(get(path), 404, "no_such_endpoint");
}

TEST_F(ApiTest, AnEndedProcessIsShownButNotScanned) {
  EXPECT_NE(document("/v1/processes/90")["process"]["ended"], nullptr);
  expect_error(get("/v1/scan", {{"pid", "90"}}), 404, "no_such_process");
  EXPECT_NE(get("/v1/scan", {{"pid", "90"}}).body.find("ended at 2001-09-09"), std::string::npos);
}

TEST_F(ApiTest, AThreadIsSentToItsProcess) {
  expect_error(get("/v1/processes/101"), 404, "is_thread");
  EXPECT_NE(get("/v1/processes/101").body.find("of process 100"), std::string::npos);
  expect_error(get("/v1/scan", {{"pid", "101"}}), 404, "is_thread");
}

TEST_F(ApiTest, WhatTheSnapshotDoesNotKnowProcMay) {
  add_to_proc(7, 7, 0x00200000);
  expect_error(get("/v1/processes/7"), 404, "is_kernel_thread");
  add_to_proc(8, 6, 0);
  expect_error(get("/v1/processes/8"), 404, "is_thread");
  add_to_proc(9, 9, 0);
  expect_error(get("/v1/processes/9"), 404, "no_such_process");
  EXPECT_NE(get("/v1/processes/9").body.find("ask again"), std::string::npos);
  expect_error(get("/v1/processes/10"), 404, "no_such_process");
}

TEST_F(ApiTest, StrictAndFreshAreAskedForByOne) {
  EXPECT_EQ(document("/v1/scan", {{"strict", "1"}})["findings"].size(), 1u);
  EXPECT_EQ(document("/v1/scan", {{"strict", "0"}})["findings"].size(), 0u);
  EXPECT_TRUE(Api::wants_fresh({"/v1/scan", {{"fresh", "1"}}}));
  EXPECT_FALSE(Api::wants_fresh({"/v1/scan", {{"fresh", ""}}}));
  EXPECT_FALSE(Api::wants_fresh({"/v1/scan", {}}));
}

TEST_F(ApiTest, MarksAreWantedOfTheListAndOfAProcessAlone) {
  const std::map<std::string, std::string> wish{{"findings", "1"}};
  for (const char* path : {"/v1/processes", "/v1/processes/100"}) {
    EXPECT_TRUE(Api::wants_marks({path, wish})) << path;
    EXPECT_FALSE(Api::wants_marks({path, {}})) << path;
    EXPECT_FALSE(Api::wants_verdicts({path, wish})) << "nobody waits for them";
  }
  for (const char* path :
       {"/v1/processes/100/stacks", "/v1/processes/100/origins", "/v1/status", "/v1/events"})
    EXPECT_FALSE(Api::wants_marks({path, wish})) << path;
}

TEST_F(ApiTest, RowsAreMarkedOnceThereIsAVerdict) {
  VerdictBoard verdicts;
  const Api api(board_, Procfs(proc_.path()), {}, &verdicts);
  const auto mark = [&] {
    return json::parse(api.answer({"/v1/processes/100", {}}, 0).body)["threads"][1]["finding"];
  };
  EXPECT_EQ(mark(), nullptr);
  auto verdict = std::make_shared<Verdicts>();
  verdict->snapshot = board_.latest()->snapshot;
  Finding finding{.id = "stuck-1", .kind = FindingKind::stuck, .severity = Severity::warning};
  finding.process.key = {100, 100'000};
  finding.members = {{100, 101, 101'000}};
  FindingBook book;
  book.update({finding}, *verdict->snapshot);
  verdict->marks = FindingMarks(book.live(), book, *verdict->snapshot);
  verdicts.publish(verdict);
  EXPECT_EQ(mark(), (json{{"id", "stuck-1"}, {"kind", "stuck"}, {"severity", "warning"}}));
  EXPECT_EQ(json::parse(api.answer({"/v1/processes", {}}, 0).body)["processes"][0]["finding"]["id"],
            "stuck-1");
}

TEST_F(ApiTest, TheStreamTakesAPid) {
  EXPECT_TRUE(Api::is_stream({"/v1/events", {}}));
  EXPECT_FALSE(Api::is_stream({"/v1/events/", {}}));
  EXPECT_EQ(Api::stream_wish({"/v1/events", {{"pid", "12"}}})->pid, 12u);
  EXPECT_EQ(Api::stream_wish({"/v1/events", {}})->pid, std::nullopt);
  EXPECT_FALSE(Api::stream_wish({"/v1/events", {{"pid", "x"}}}));
}

TEST_F(ApiTest, ForeignBytesInARequestDoNoHarm) {
  expect_error(get("/v1/\xff\x1b"), 404, "no_such_endpoint");
  expect_error(get("/v1/processes/\xff"), 400, "bad_request");
  expect_error(get("/v1/scan", {{"pid", "\xff\n"}}), 400, "bad_request");
}

}  // namespace
}  // namespace loiter::test
