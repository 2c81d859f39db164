// The documents of creation sites: every field that API.md names, and null where a thing is not known.
#include "daemon/serve/origin_documents.h"

#include <gtest/gtest.h>

#include "daemon/serve/api.h"
#include "tests/unit/pictures.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// pid 100: a leader; 101 and 102 from one site, 103 from before the daemon, 104 of a site that was forgotten.
std::shared_ptr<Picture> sample() {
  auto stack = std::make_shared<SiteStack>();
  stack->frames = {{"clone3", "/lib/libc.so.6", 16, "", 0, false},
                   {"f(\xff)", "/bin/x", 32, "x.cpp", 9, true}};
  auto origins = std::make_shared<ProcessOrigins>();
  origins->births = 5;
  origins->ends = 2;
  origins->live = 4;
  origins->gaps[static_cast<size_t>(SiteGap::before_daemon)] = 1;
  origins->gaps[static_cast<size_t>(SiteGap::forgotten)] = 1;
  CreationSite& site = origins->sites.emplace_back();
  site.id = 7;
  site.stack = stack;
  site.births = 4;
  site.ended = 2;
  site.lifetimes[2] = 2;
  site.creators = {{{100, 100'000}, "mai\xff", 4}};
  site.routines = {{std::make_shared<SiteFrame>(SiteFrame{"worker", "/bin/x", 48, "", 0, false}), 3}};
  origins->first_boot_ns = kSecond;
  origins->bucket_ns = kSecond;
  origins->history = {{4, 0, 4}, {1, 2, 4}};
  std::vector<ThreadView> threads;
  for (uint32_t tid : {100, 101, 102, 103, 104}) threads.push_back(make_thread(tid, "t", kSecond));
  threads[1].site = threads[2].site = 7;
  threads[1].key.start_boot_ns = kSecond;
  threads[2].key.start_boot_ns = kSecond + 1;
  threads[1].creator = threads[2].creator = {100, 100'000};
  threads[3].site_gap = SiteGap::before_daemon;
  threads[4].site = 3;
  ProcessView process = make_process(100, "prog", threads);
  process.origins = origins;
  return make_picture(make_snapshot({process}));
}

json answer_of(const std::shared_ptr<Picture>& picture, const std::string& path, unsigned status = 200,
               const std::map<std::string, std::string>& query = {}) {
  Board board;
  board.publish(picture);
  const Answer answer = Api(board, Procfs("/nonexistent")).answer({path, query}, 0);
  EXPECT_EQ(answer.status, status) << answer.body;
  return json::parse(answer.body);
}

TEST(OriginsDocument, HoldsWhatTheContractNames) {
  const json document = answer_of(sample(), "/v1/processes/100/origins");
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["process"]["pid"], 100);
  EXPECT_EQ(document["births"], 5);
  EXPECT_EQ(document["ends"], 2);
  EXPECT_EQ(document["live"], 4);
  ASSERT_EQ(document["sites"].size(), 1u);
  const json& site = document["sites"][0];
  EXPECT_EQ(site["id"], 7);
  EXPECT_EQ(site["births"], 4);
  EXPECT_EQ(site["live"], 2);
  EXPECT_EQ(site["ended"], 2);
  EXPECT_EQ(site["oldest_ns"], document["as_of_boottime_ns"].get<uint64_t>() - kSecond);
  EXPECT_EQ(site["start_routines"],
            json::parse(R"([{"symbol": "worker", "module": "/bin/x", "offset": 48, "callable": null}])"));
  EXPECT_EQ(site["lifetimes"], json::parse(R"({"log2_ns": [0, 0, 2]})"));
  EXPECT_EQ(site["live_tids"], json::parse("[101, 102]"));
  EXPECT_EQ(site["creators"], json::parse("[{\"tid\": 100, \"name\": \"mai\xef\xbf\xbd\", \"count\": 4}]"));
  EXPECT_EQ(site["other_creators"], 0);
  EXPECT_EQ(site["cut"], nullptr);
  EXPECT_EQ(site["stack"][0], json::parse(R"({"symbol": "clone3", "module": "/lib/libc.so.6", "offset": 16,
                                              "file": null, "line": null, "inlined": false})"));
  EXPECT_EQ(site["stack"][1]["line"], 9);
  EXPECT_EQ(site["stack"][1]["inlined"], true);
  EXPECT_EQ(document["without_site"]["before_daemon"], 1);
  EXPECT_EQ(document["without_site"]["forgotten"], 1);
  EXPECT_EQ(document["without_site"]["pending"], 0);
  EXPECT_EQ(document["without_site"].size(), ProcessOrigins::kGaps - 1);
  EXPECT_EQ(document["history"][1],
            json::parse(R"({"begin_boottime_ns": 2000000000, "length_ns": 1000000000, "births": 1, "ends": 2,
                            "live": 4})"));
}

TEST(OriginsDocument, OfAProcessWithOneThreadIsEmpty) {
  const auto picture = make_picture(make_snapshot({make_process(5, "x", {make_thread(5, "x", kSecond)})}));
  const json document = answer_of(picture, "/v1/processes/5/origins");
  EXPECT_EQ(document["sites"], json::array());
  EXPECT_EQ(document["births"], 0);
  EXPECT_EQ(document["history"], json::array());
}

TEST(OriginsDocument, IsOfALiveProcess) {
  auto snapshot = make_snapshot({});
  snapshot->ended_processes = {make_process(90, "gone", {})};
  snapshot->ended_processes[0].ended_boot_ns = kSecond;
  EXPECT_EQ(answer_of(make_picture(snapshot), "/v1/processes/90/origins", 404)["error"]["code"],
            "no_such_process");
  EXPECT_EQ(answer_of(make_picture(snapshot), "/v1/processes/91/origins", 404)["error"]["code"],
            "no_such_process");
}

TEST(ProcessDocument, TellsWhoMadeAThreadWhereItIsAskedFor) {
  const json document = answer_of(sample(), "/v1/processes/100", 200, {{"origins", "1"}});
  const json& threads = document["threads"];
  ASSERT_EQ(threads.size(), 5u);
  EXPECT_EQ(threads[0]["created_by"], nullptr);
  EXPECT_EQ(threads[1]["created_by"]["tid"], 100);
  EXPECT_EQ(threads[1]["created_by"]["site"], 7);
  EXPECT_EQ(threads[1]["created_by"]["stack"].size(), 2u);
  EXPECT_EQ(threads[1]["created_by"]["missing"], nullptr);
  EXPECT_EQ(threads[2]["created_by"], threads[1]["created_by"]);
  EXPECT_EQ(
      threads[3]["created_by"],
      json::parse(R"({"tid": null, "site": null, "stack": null, "cut": null, "missing": "before_daemon"})"));
  EXPECT_EQ(threads[4]["created_by"]["missing"], "forgotten");
  EXPECT_FALSE(answer_of(sample(), "/v1/processes/100")["threads"][1].contains("created_by"));
}

TEST(SiteGaps, HaveAWordAndAnExplanationEach) {
  for (size_t i = 1; i < static_cast<size_t>(SiteGap::count); ++i) {
    EXPECT_NE(std::string(to_string(static_cast<SiteGap>(i))), "");
    EXPECT_NE(std::string(explanation_of(static_cast<SiteGap>(i))), "");
  }
}

}  // namespace
}  // namespace loiter::test
