// Where threads were made, from document to text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/origin_text.h"
#include "cli/thread_tree.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

json frame(const char* symbol, const char* module) {
  return {{"symbol", symbol}, {"module", module}, {"offset", 31},
          {"file", nullptr},  {"line", nullptr},  {"inlined", false}};
}

json site(uint32_t id, const char* function, std::vector<uint32_t> tids, uint64_t ended) {
  return {{"id", id},
          {"stack",
           {frame("clone3", "/lib/libc.so.6"), frame("pthread_create", "/lib/libc.so.6"),
            frame(function, "/usr/bin/api"), frame("main", "/usr/bin/api")}},
          {"cut", nullptr},
          {"births", tids.size() + ended},
          {"live", tids.size()},
          {"ended", ended},
          {"oldest_ns", tids.empty() ? json(nullptr) : json(192'000'000'000)},
          {"lifetimes", {{"log2_ns", ended ? json({0, 0, ended}) : json::array()}}},
          {"live_tids", tids},
          {"creators", {{{"tid", 812}, {"name", "api\x1b[2J"}, {"count", tids.size() + ended}}}},
          {"other_creators", 0}};
}

json sample() {
  return {{"schema", 1},
          {"as_of", "2026"},
          {"as_of_boottime_ns", 100'000'000'000},
          {"process", {{"pid", 812}, {"start_time", "2026"}, {"comm", "api"}, {"exe", "/usr/bin/api"}}},
          {"births", 14},
          {"ends", 9},
          {"live", 7},
          {"sites", {site(4, "grow", {901, 902, 903}, 4), site(9, "once", {}, 5)}},
          {"without_site", {{"before_daemon", 2}, {"rate_limited", 2}, {"pending", 0}, {"new_reason", 1}}},
          {"history",
           {{{"begin_boottime_ns", 98'000'000'000},
             {"length_ns", 1'000'000'000},
             {"births", 14},
             {"ends", 9},
             {"live", 7}}}}};
}

std::string text_of(const json& document, bool is_private = false, size_t columns = 80) {
  auto origins = parse_origins(document);
  if (!origins) return origins.error().message;
  std::string text;
  for (const std::string& line : origins_lines(*origins, columns, is_private)) text += line + "\n";
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  return text;
}

TEST(ParseOrigins, ReadsEveryField) {
  auto origins = parse_origins(sample());
  ASSERT_TRUE(origins) << origins.error().message;
  EXPECT_EQ(origins->process.pid, 812u);
  EXPECT_EQ(origins->births, 14u);
  EXPECT_EQ(origins->ends, 9u);
  EXPECT_EQ(origins->live, 7u);
  ASSERT_EQ(origins->sites.size(), 2u);
  EXPECT_EQ(origins->sites[0].id, 4u);
  EXPECT_EQ(origins->sites[0].frames[2].symbol, "grow");
  EXPECT_EQ(origins->sites[0].live_tids, (std::vector<uint32_t>{901, 902, 903}));
  EXPECT_EQ(origins->sites[0].creators[0].count, 7u);
  EXPECT_EQ(origins->sites[0].oldest_ns, 192'000'000'000u);
  EXPECT_FALSE(origins->sites[1].oldest_ns);
  EXPECT_EQ(origins->without_site.size(), 3u) << "zeros are left out";
  EXPECT_EQ(origins->history[0].births, 14u);
}

TEST(ParseOrigins, OfSomethingElseSaysSo) {
  for (const json& document : {json::array(), json{{"process", 1}}, json{{"process", json::object()}},
                               json{{"process", json::object()}, {"sites", {{{"births", "x"}}}}}})
    EXPECT_FALSE(parse_origins(document)) << document;
}

TEST(OriginsText, TellsEachSiteWithItsFiguresAndStack) {
  const std::string text = text_of(sample());
  EXPECT_THAT(text,
              HasSubstr("812 api  /usr/bin/api  7 threads live besides the main one; 14 born, 9 ended"));
  EXPECT_THAT(text,
              HasSubstr("3 live of 7 born, 4 ended; the oldest lives 3m12s; half of the ended ones lived "
                        "less than 8ns"));
  EXPECT_THAT(text, HasSubstr("made by 812 api\\x1b[2J\n")) << "made harmless";
  EXPECT_THAT(text, HasSubstr("live: 901, 902, 903\n"));
  EXPECT_THAT(text, HasSubstr("#2 grow in api\n"));
  EXPECT_THAT(text, HasSubstr("2 threads made before loiterd looked"));
  EXPECT_THAT(text, HasSubstr("2 threads made faster than stacks are taken"));
  EXPECT_THAT(text, HasSubstr("1 thread new_reason")) << "a younger daemon's word";
  EXPECT_THAT(text, HasSubstr("ENDED"));
}

TEST(OriginsText, OfAPrivateDaemonSaysWhatItCannotKnow) {
  EXPECT_THAT(text_of(sample()), Not(HasSubstr("--for")));
  EXPECT_THAT(text_of(sample(), true),
              HasSubstr("only threads made while loiter looks have a site: --for D"));
}

TEST(OriginsText, ListsOfThreadsStayWithinTheColumns) {
  json document = sample();
  json& tids = document["sites"][0]["live_tids"];
  for (int tid = 1000; tid < 3000; ++tid) tids.push_back(tid);
  const std::string text = text_of(document, false, 40);
  EXPECT_THAT(text, HasSubstr("more\n"));
  size_t start = text.find("live: 901");
  EXPECT_LE(text.find('\n', start) - start, 40u);
}

TEST(CreationText, IsTheInnermostFunctionOfTheProgramItself) {
  auto origins = parse_origins(sample());
  EXPECT_EQ(creation_text(origins->sites[0]), "grow in api");
  OriginSite of_static;
  for (const char* symbol : {"__clone3", "create_thread", "__pthread_create_2_1",
                             "std::thread::_M_start_thread(int)", "clone_repository", "main"})
    of_static.frames.push_back({symbol, "/bin/x", std::nullopt, 1, std::nullopt, false});
  EXPECT_EQ(creation_text(of_static), "clone_repository in x");
  of_static.frames.resize(2);
  EXPECT_EQ(creation_text(of_static), "create_thread in x") << "where there is no other, the outermost";
  of_static.frames.clear();
  EXPECT_EQ(creation_text(of_static), "??");
}

TEST(TreeWithOrigins, NumbersTheSiteOfEachThread) {
  auto origins = parse_origins(sample());
  const auto sites = sites_of_threads(*origins);
  EXPECT_EQ(sites.size(), 3u);
  EXPECT_EQ(sites.at(902), "[1] grow in api");
  Tree tree;
  tree.process.pid = 812;
  for (uint32_t tid : {812u, 901u, 904u}) {
    ThreadRow row;
    row.tid = tid;
    if (tid != 812) row.parent_tid = 812;
    row.name = "t";
    row.state = "sleeping";
    tree.threads.push_back(row);
  }
  const auto with = tree_lines(tree, Glyphs::ascii, false, std::nullopt, &sites);
  EXPECT_THAT(with, Contains(HasSubstr("MADE AT")));
  EXPECT_THAT(with, Contains(HasSubstr("[1] grow in api")));
  EXPECT_THAT(tree_lines(tree, Glyphs::ascii, false), Not(Contains(HasSubstr("MADE AT"))));
  const auto stacks = numbered_sites(*origins, false);
  EXPECT_THAT(stacks, Contains(HasSubstr("[1] 3 live of 7 born")));
  EXPECT_THAT(stacks, Not(Contains(HasSubstr("[2]")))) << "none of its threads is in the tree";
}

}  // namespace
}  // namespace loiter::cli
