// The documents of the API: every field that API.md names, null where a thing is not known, and foreign
// bytes.
#include "daemon/serve/documents.h"

#include "daemon/serve/finding_documents.h"
#include "daemon/serve/pthread_documents.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "daemon/base/version.h"
#include "tests/unit/pictures.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

using nlohmann::json;

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& item : object.items()) keys.insert(item.key());
  return keys;
}

const std::set<std::string> kProcessKeys{"pid",
                                         "parent_pid",
                                         "start_time",
                                         "start_boottime_ns",
                                         "comm",
                                         "exe",
                                         "cgroup",
                                         "unit",
                                         "container",
                                         "uid",
                                         "kernel",
                                         "thread_count",
                                         "running",
                                         "runnable",
                                         "blocked",
                                         "overdue",
                                         "born_per_s",
                                         "ended_per_s",
                                         "cpu_ns",
                                         "cpu_percent",
                                         "voluntary_switches",
                                         "involuntary_switches",
                                         "oldest_blocked",
                                         "finding"};

// pid 100 with a leader, a thread blocked for 40 s and one that runs; 101 ended; 90 has ended altogether.
std::shared_ptr<Picture> sample() {
  std::vector<ThreadView> threads{make_thread(100, "main", 5 * kSecond),
                                  make_thread(102, "old", 40 * kSecond), make_thread(103, "runs", {})};
  threads[1].creator = {101, 101'000};
  threads[1].blocked_max_ns = 41 * kSecond;
  threads[1].syscall = 100'000;
  threads[1].voluntary_switches = 7;
  threads[2].creator = {102, 102'000};
  threads[2].creator_alive = true;
  threads[2].cpu_ns = 99;
  ProcessView process = make_process(100, "prog", threads);
  process.exe = "/usr/bin/prog";
  process.cgroup = "/system.slice/api.service";
  process.cpu_fraction = 0.12345;
  process.born_per_s = 1.239;
  process.ended_dropped = 4;
  auto snapshot = make_snapshot({process});
  snapshot->blocked_count = 2;
  EndedThread ended;
  ended.key = {101, 101'000};
  ended.tgid = 100;
  ended.process_start_boot_ns = 100'000;
  ended.creator = {100, 100'000};
  ended.ended_boot_ns = 1'500'000'000;
  ended.cpu_ns = 3;
  snapshot->ended = {ended};
  ended.tgid = 999;
  snapshot->ended.push_back(ended);
  snapshot->ended_processes = {make_process(90, "gone", {})};
  snapshot->ended_processes[0].ended_boot_ns = 1'000'000'000;
  auto picture = make_picture(snapshot);
  picture->losses = {{"ring_full_birth", "detail", 3}, {"census_failed", "detail", 2}};
  picture->cost = {.passes = 5, .failed = 2, .read_ns = 10, .publish_ns = 20, .cpu_ns = 15};
  return picture;
}

TEST(StatusDocument, HoldsWhatTheContractNames) {
  const json status = json::parse(status_document(*sample(), 3));
  EXPECT_EQ(status["schema"], 1);
  EXPECT_EQ(status["version"], kVersion);
  EXPECT_EQ(status["pid"], getpid());
  EXPECT_EQ(status["private"], false);
  EXPECT_EQ(status["started"], "2001-09-09T01:46:40.000000000Z");
  EXPECT_EQ(status["uptime_ns"], 2 * kSecond);
  EXPECT_EQ(status["threshold_ns"], 30 * kSecond);
  EXPECT_EQ(status["census_interval_ns"], kSecond);
  EXPECT_EQ(status["kernel_threads"], false);
  EXPECT_EQ(status["host"], json({{"name", "host"}, {"kernel", "6.18.0"}, {"arch", "x86_64"}, {"cpus", 2}}));
  EXPECT_EQ(status["features"], json::parse(R"([{"name": "btf", "state": "ok", "detail": "detail"}])"));
  EXPECT_EQ(status["capabilities"],
            json::parse(R"([{"name": "CAP_BPF", "held": true, "reason": "reason"}])"));
  EXPECT_EQ(keys_of(status["census"]),
            (std::set<std::string>{"passes", "failed", "threads", "still", "read_ns", "publish_ns", "cpu_ns",
                                   "as_of", "as_of_boottime_ns"}));
  EXPECT_EQ(keys_of(status["events"]), (std::set<std::string>{"born", "ended", "execs", "renames"}));
  EXPECT_EQ(status["losses"].size(), 2u);
  EXPECT_EQ(status["losses"][0], json({{"cause", "ring_full_birth"}, {"count", 3}, {"detail", "detail"}}));
  EXPECT_EQ(status["losses_total"], 5);
  EXPECT_EQ(status["counts"]["overdue"], 1);
  EXPECT_EQ(status["counts"]["blocked"], 2);
  EXPECT_EQ(status["counts"]["ended_kept"], 2);
  EXPECT_EQ(status["counts"]["event_streams"], 3);
  EXPECT_EQ(status["memory"]["bpf_bytes"], 4196);
  EXPECT_EQ(status["memory"]["bpf_maps"].size(), 2u);
  EXPECT_GT(status["memory"]["pss_bytes"], 0);
}

TEST(StatusDocument, TellsOfTheConfiguration) {
  auto picture = sample();
  EXPECT_EQ(json::parse(status_document(*picture, 0))["config"],
            (json{{"path", ""}, {"loaded", nullptr}, {"rules", 0}, {"failed", nullptr}}));
  auto facts = std::make_shared<DaemonFacts>(*picture->facts);
  facts->config = {.path = "/x\xff", .loaded_boot_ns = kSecond, .rules = 2, .failed = "/x:1:1: bad"};
  picture->facts = facts;
  EXPECT_EQ(json::parse(status_document(*picture, 0))["config"],
            (json{{"path", "/x\xef\xbf\xbd"},
                  {"loaded", "2001-09-09T01:46:41.000000000Z"},
                  {"rules", 2},
                  {"failed", "/x:1:1: bad"}}));
}

TEST(StatusDocument, OfADaemonOlderThanItsLastCensusCountsNoNegativeTime) {
  auto picture = sample();
  auto facts = std::make_shared<DaemonFacts>(*picture->facts);
  facts->started_boot_ns = 9 * kSecond;
  picture->facts = facts;
  EXPECT_EQ(json::parse(status_document(*picture, 0))["uptime_ns"], 0);
}

TEST(ProcessesDocument, HoldsWhatTheContractNames) {
  const json document = json::parse(processes_document(*sample(), 10 * kSecond));
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["as_of"], "2001-09-09T01:46:42.000000000Z");
  EXPECT_EQ(document["as_of_boottime_ns"], 2 * kSecond);
  EXPECT_EQ(document["host"]["threads"], 3);
  EXPECT_EQ(document["host"]["overdue"], 1);
  EXPECT_EQ(document["host"]["threshold_ns"], 10 * kSecond);
  EXPECT_EQ(document["host"]["losses_total"], 5);
  ASSERT_EQ(document["processes"].size(), 1u);
  const json& row = document["processes"][0];
  EXPECT_EQ(keys_of(row), kProcessKeys);
  EXPECT_EQ(row["unit"], "api.service");
  EXPECT_EQ(row["container"], nullptr);
  EXPECT_EQ(row["thread_count"], 3);
  EXPECT_EQ(row["running"], 1);
  EXPECT_EQ(row["blocked"], 2);
  EXPECT_EQ(row["cpu_percent"], 12.35);
  EXPECT_EQ(row["born_per_s"], 1.24);
  EXPECT_EQ(row["voluntary_switches"], 7);
  EXPECT_EQ(row["oldest_blocked"],
            json::parse(R"({"tid": 102, "name": "old", "state": "sleeping", "blocked_ns": 40000000000,
                            "blocked_max_ns": 41000000000, "exactness": "estimated",
                            "syscall": "syscall_100000"})"));
}

TEST(ProcessesDocument, OfAHostWithoutProcessesIsStillOne) {
  const json document = json::parse(processes_document(*make_picture(make_snapshot({})), 1));
  EXPECT_EQ(document["processes"], json::array());
}

TEST(ProcessDocument, HoldsWhatTheContractNames) {
  auto picture = sample();
  const json document = json::parse(process_document(*picture, *picture->snapshot->find(100), 30 * kSecond));
  std::set<std::string> keys = kProcessKeys;
  keys.insert("ended");
  EXPECT_EQ(keys_of(document["process"]), keys);
  EXPECT_EQ(document["process"]["ended"], nullptr);
  EXPECT_EQ(document["ended_dropped"], 4);
  ASSERT_EQ(document["threads"].size(), 3u);
  EXPECT_EQ(keys_of(document["threads"][0]),
            (std::set<std::string>{"tid", "parent_tid", "parent_alive", "name", "state", "born_boottime_ns",
                                   "start_time", "blocked_ns", "blocked_max_ns", "exactness", "syscall",
                                   "cpu", "cpu_ns", "voluntary_switches", "involuntary_switches", "overdue",
                                   "wait", "start_routine", "finding"}));
  ASSERT_EQ(document["ended_threads"].size(), 1u);
  EXPECT_EQ(document["ended_threads"][0],
            json::parse(R"({"tid": 101, "parent_tid": 100, "name": "", "born_boottime_ns": 101000,
                            "start_time": "2001-09-09T01:46:40.000101000Z", "ended_boottime_ns": 1500000000,
                            "ended": "2001-09-09T01:46:41.500000000Z", "exactness": "exact", "cpu_ns": 3,
                            "finding": null})"));
}

TEST(ProcessDocument, LeavesOutTheEndedThreadsWhereNobodyAsksForThem) {
  auto picture = sample();
  const ProcessView& process = *picture->snapshot->find(100);
  json all = json::parse(process_document(*picture, process, kSecond));
  const json without = json::parse(process_document(*picture, process, kSecond, nullptr, {.ended = false}));
  EXPECT_TRUE(without.at("ended_threads").is_null()) << "none would be another answer";
  all["ended_threads"] = nullptr;
  EXPECT_EQ(without, all);
}

TEST(ProcessDocument, RowsAreMarkedWithTheWorstFindingAboutThem) {
  auto picture = sample();
  const ProcessView& process = *picture->snapshot->find(100);
  Finding leak{.id = "leak-100", .kind = FindingKind::leak, .severity = Severity::warning};
  leak.process.key = {100, 100'000};
  leak.members = {{100, 102, 102'000}, {100, 103, 103'000}, {100, 101, 101'000}};
  Finding deadlock{.id = "deadlock-100", .kind = FindingKind::deadlock, .severity = Severity::critical};
  deadlock.process.key = {100, 100'000};
  deadlock.members = {{100, 102, 102'000}, {100, 100, 99'999}};
  FindingBook book;
  book.update({deadlock, leak}, *picture->snapshot);
  std::vector<KeptFindingPtr> ranked = book.live();
  const FindingMarks marks(ranked, book, *picture->snapshot);
  const json document = json::parse(process_document(*picture, process, kSecond, nullptr, {}, &marks));
  const json worst{{"id", "deadlock-100"}, {"kind", "deadlock"}, {"severity", "critical"}};
  const json other{{"id", "leak-100"}, {"kind", "leak"}, {"severity", "warning"}};
  EXPECT_EQ(document["process"]["finding"], worst);
  EXPECT_EQ(document["threads"][0]["finding"], nullptr) << "another one had that number";
  EXPECT_EQ(document["threads"][1]["finding"], worst);
  EXPECT_EQ(document["threads"][2]["finding"], other);
  EXPECT_EQ(document["ended_threads"][0]["finding"], other);
  const json list = json::parse(processes_document(*picture, kSecond, &marks));
  EXPECT_EQ(list["processes"][0]["finding"], worst);
  EXPECT_EQ(json::parse(processes_document(*picture, kSecond))["processes"][0]["finding"], nullptr);
}

TEST(ProcessDocument, WhatIsNotKnownIsNullAndNeverZero) {
  auto picture = sample();
  const json threads =
      json::parse(process_document(*picture, *picture->snapshot->find(100), 30 * kSecond))["threads"];
  EXPECT_EQ(threads[0]["parent_tid"], nullptr);
  EXPECT_EQ(threads[0]["parent_alive"], nullptr);
  EXPECT_EQ(threads[0]["blocked_max_ns"], nullptr);
  EXPECT_EQ(threads[0]["syscall"], nullptr);
  EXPECT_EQ(threads[1]["parent_tid"], 101);
  EXPECT_EQ(threads[1]["parent_alive"], false);
  EXPECT_EQ(threads[1]["overdue"], true);
  EXPECT_EQ(threads[2]["parent_alive"], true);
  EXPECT_EQ(threads[2]["state"], "running");
  EXPECT_EQ(threads[2]["blocked_ns"], nullptr);
  EXPECT_EQ(threads[2]["exactness"], nullptr);
  EXPECT_EQ(threads[2]["overdue"], false);
}

TEST(ProcessDocument, OfAnEndedProcessSaysWhen) {
  auto picture = sample();
  const json document = json::parse(process_document(*picture, *picture->snapshot->find(90), 1));
  EXPECT_EQ(document["process"]["ended"], "2001-09-09T01:46:41.000000000Z");
  EXPECT_EQ(document["process"]["exe"], nullptr);
  EXPECT_EQ(document["process"]["oldest_blocked"], nullptr);
  EXPECT_EQ(document["threads"], json::array());
}

TEST(ScanDocument, OverdueAloneMakesNoFinding) {
  const json document = json::parse(scan_document(*sample(), nullptr, 30 * kSecond, {}, false));
  EXPECT_EQ(document["threshold_ns"], 30 * kSecond);
  EXPECT_EQ(document["findings"], json::array());
  EXPECT_EQ(document["not_judged"], json::array());
  ASSERT_EQ(document["overdue"].size(), 1u);
  EXPECT_EQ(document["overdue"][0],
            json::parse(R"({"pid": 100, "tid": 102, "comm": "prog", "name": "old", "state": "sleeping",
                            "blocked_ns": 40000000000, "blocked_max_ns": 41000000000,
                            "exactness": "estimated", "syscall": "syscall_100000"})"));
}

TEST(ScanDocument, StrictlyEachIsAFindingInTheFormOfTheDesign) {
  const json document = json::parse(scan_document(*sample(), nullptr, 30 * kSecond, 100, true));
  ASSERT_EQ(document["findings"].size(), 1u);
  const json& finding = document["findings"][0];
  EXPECT_EQ(keys_of(finding), (std::set<std::string>{"id",
                                                     "kind",
                                                     "severity",
                                                     "certainty",
                                                     "subject",
                                                     "process",
                                                     "count",
                                                     "blocked_ns",
                                                     "blocked_max_ns",
                                                     "exactness",
                                                     "threads",
                                                     "chain",
                                                     "summary",
                                                     "evidence",
                                                     "hint",
                                                     "since",
                                                     "first_seen",
                                                     "last_seen",
                                                     "resolved",
                                                     "resolution",
                                                     "rule",
                                                     "resolved_exactness"}));
  EXPECT_EQ(finding["kind"], "overdue");
  EXPECT_EQ(finding["severity"], "warning");
  EXPECT_EQ(finding["subject"], "thread");
  EXPECT_EQ(finding["process"]["pid"], 100);
  EXPECT_EQ(finding["count"], 1);
  EXPECT_EQ(finding["threads"][0]["tid"], 102);
  EXPECT_EQ(finding["threads"][0]["wait"]["syscall"], "syscall_100000");
  EXPECT_EQ(finding["evidence"]["threshold_ns"], 30 * kSecond);
}

TEST(ScanDocument, SaysWhatCouldNotBeJudged) {
  auto picture = sample();
  ProcessView process = make_process(5, "undated", {make_thread(5, "undated", 1)});
  process.threads[0].exactness = Exactness::lower_bound;
  auto snapshot = make_snapshot({process});
  picture->snapshot = snapshot;
  const json document = json::parse(scan_document(*picture, nullptr, kSecond, {}, false));
  ASSERT_EQ(document["not_judged"].size(), 1u);
  EXPECT_EQ(document["not_judged"][0]["kind"], "overdue");
  EXPECT_TRUE(document["not_judged"][0]["reason"].get<std::string>().starts_with("1 blocked thread has "));
}

TEST(Documents, ForeignBytesComeOutAsValidUtf8) {
  const std::string nasty("\xff\x1b[2J\n\"\\\xc3", 9);
  ProcessView process = make_process(100, nasty, {make_thread(100, nasty, 40 * kSecond)});
  process.exe = "/tmp/" + nasty;
  process.cgroup = "/x/" + nasty + ".service";
  auto picture = make_picture(make_snapshot({process}));
  auto facts = std::make_shared<DaemonFacts>(*picture->facts);
  facts->host_name = nasty;
  picture->facts = facts;
  const std::string replaced = "\xef\xbf\xbd\x1b[2J\n\"\\\xef\xbf\xbd";
  const ProcessView& view = picture->snapshot->processes[0];
  EXPECT_EQ(json::parse(processes_document(*picture, 1))["processes"][0]["comm"], replaced);
  EXPECT_EQ(json::parse(process_document(*picture, view, 1))["process"]["exe"], "/tmp/" + replaced);
  EXPECT_EQ(json::parse(scan_document(*picture, nullptr, 1, {}, true))["overdue"][0]["name"], replaced);
  EXPECT_EQ(json::parse(status_document(*picture, 0))["host"]["name"], replaced);
  EXPECT_EQ(json::parse(error_document("x", nasty))["error"]["message"], replaced);
}

TEST(ErrorDocument, IsSmall) {
  EXPECT_EQ(error_document("no_such_process", "there is no process 7"),
            R"({"schema":1,"error":{"code":"no_such_process","message":"there is no process 7"}})");
}

TEST(PthreadsDocument, TellsFatesAndSaysWhereNobodyLooked) {
  auto picture = sample();
  const ProcessView& process = picture->snapshot->processes[0];
  json document = json::parse(pthreads_document(*picture, process));
  EXPECT_TRUE(document["probes"].is_null());
  EXPECT_TRUE(document["unjoined"].empty());
  auto view = std::make_shared<PthreadsView>();
  view->created = 3;
  view->joined = 1;
  Pthread ended;
  ended.id = 0x7f00;
  ended.task = {101, 1};
  ended.creator = {100, 1};
  ended.routine = 0x4000;
  ended.created_boot_ns = kSecond;
  ended.ended_boot_ns = 2 * kSecond;
  view->unjoined = {ended};
  picture->pthreads[process.key.tid] = view;
  document = json::parse(pthreads_document(*picture, process));
  EXPECT_EQ(document["probes"]["created"], 3);
  EXPECT_EQ(document["probes"]["unjoined"], 1);
  const json& row = document["unjoined"].at(0);
  EXPECT_EQ(row["pthread"], "0x7f00");
  EXPECT_EQ(row["routine"], "0x4000");
  EXPECT_EQ(row["fate"], "unjoined");
  EXPECT_TRUE(row["joiner_tid"].is_null() && row["joined"].is_null() && row["detached"].is_null());
  EXPECT_EQ(row["ended_boottime_ns"], 2 * kSecond);
  EXPECT_EQ(row["detached_at_birth"], false);
}

}  // namespace
}  // namespace loiter::test
