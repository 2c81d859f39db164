// Chains of waiters, from the first to the root: each link, the step to it, the end, and how many wait.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

struct Case {
  const char* name;
  size_t links;
  const char* end;
};

const std::vector<Case> kCases = {
    {"five to running", 5, "running"},
    {"many to resting", 2, "waits"},
    {"deadlock of one", 1, "cycle"},
    {"deadlock of two", 2, "cycle"},
    {"deadlock of three", 3, "cycle"},
    {"before a deadlock", 3, "cycle"},
    {"joins", 3, "waits"},
    {"holder ended", 1, "holder_ended"},
    {"inherited", 1, "inherited"},
    {"shared mutex", 2, "waits"},
    {"pipe to mutex", 4, "waits"},
    {"unix socket", 2, "waits"},
    {"flock", 2, "waits"},
    {"flock deadlock", 2, "cycle"},
    {"child to pipe", 3, "waits"},
    {"alone", 1, "waits"},
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.name;
}

::testing::AssertionResult links_are_as_told(const json& chain, const json& fact) {
  const json &shown = chain.at("links"), &told = fact.at("links");
  const auto fail = [&](const std::string& what) {
    return ::testing::AssertionFailure() << what << "\n  told: " << fact << "\n  shown: " << chain;
  };
  if (shown.size() != told.size()) return fail("another number of links");
  for (size_t i = 0; i < told.size(); ++i) {
    if (shown[i].at("pid") != told[i].at("pid") || shown[i].at("tid") != told[i].at("tid"))
      return fail("another thread at link " + std::to_string(i));
    if (!is_one_of(shown[i].at("via"), told[i].value("via", "null")))
      return fail("another step to link " + std::to_string(i));
  }
  return ::testing::AssertionSuccess();
}

class ChainOf : public ::testing::TestWithParam<Case> {};

TEST_P(ChainOf, LeadsFromTheFirstToItsRoot) {
  for (const char* program : {"chains", "chains-static", "chains-musl", "chains-musl-static"}) {
    SCOPED_TRACE(program);
    Workload workload(program, {GetParam().name});
    const json fact = Workload::the(workload.facts(), "chain");
    ASSERT_EQ(fact.at("links").size(), GetParam().links);
    const bool owner_unnamed =
        fact.at("end") == "unknown" && std::string(program).find("musl") != std::string::npos;
    ASSERT_TRUE(fact.at("end") == GetParam().end ||
                (owner_unnamed && GetParam().name == std::string("deadlock of one")));
    const json first = fact.at("links")[0];
    Daemon daemon;
    const json document = daemon.chains(first.at("pid"), first.at("tid"));
    ASSERT_EQ(document.at("chains").size(), 1u) << document;
    const json chain = document.at("chains")[0];
    EXPECT_TRUE(links_are_as_told(chain, fact));
    EXPECT_EQ(chain.at("end"), fact.at("end")) << chain;
    EXPECT_EQ(chain.at("cycle"), fact.at("end") == "cycle") << chain;
    EXPECT_EQ(chain.at("waiters"), fact.at("waiters")) << chain;
    EXPECT_TRUE(fact.at("end") == "cycle" || chain.at("root") == GetParam().links - 1) << chain;
  }
}

INSTANTIATE_TEST_SUITE_P(, ChainOf, ::testing::ValuesIn(kCases), [](const auto& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

// One chain for each root, with the most waiters first.
TEST(Chains, OfAProcessAreOneForEachRoot) {
  Workload workload("chains", {"many to resting"});
  const json fact = Workload::the(workload.facts(), "chain");
  Daemon daemon;
  const json document = daemon.chains(workload.pid());
  ASSERT_FALSE(document.at("chains").empty());
  const json chain = document.at("chains")[0];
  EXPECT_EQ(chain.at("waiters"), fact.at("waiters")) << document;
  EXPECT_EQ(chain.at("links").back().at("tid"), fact.at("links").back().at("tid")) << document;
  for (size_t i = 1; i < document.at("chains").size(); ++i) {
    EXPECT_LE(document.at("chains")[i].at("waiters"), document.at("chains")[i - 1].at("waiters"));
    EXPECT_NE(document.at("chains")[i].at("links").back(), chain.at("links").back()) << document;
  }
}

TEST(Chains, AllInACircleAreInOne) {
  Workload workload("chains", {"deadlock of three"});
  std::set<pid_t> members;
  const json fact = Workload::the(workload.facts(), "chain");
  for (const json& link : fact.at("links")) members.insert(link.at("tid").get<pid_t>());
  Daemon daemon;
  size_t cycles = 0;
  const json document = daemon.chains(workload.pid());
  for (const json& chain : document.at("chains")) {
    if (!chain.at("cycle").get<bool>()) continue;
    ++cycles;
    EXPECT_EQ(tids(chain.at("links")), members) << chain;
  }
  EXPECT_EQ(cycles, 1u) << document;
}

// Healthy waits of every kind: no cycle, nobody's end, nothing inherited.
TEST(Chains, OfWaitsWithoutAHolderAreNone) {
  Workload workload("fd_kinds",
                    {"read eventfd", "read timerfd", "read inotify", "accept tcp", "poll", "epoll"});
  Daemon daemon;
  for (const json& fact : workload.facts()) {
    const json document = daemon.chains(workload.pid(), fact.at("tid"));
    ASSERT_LE(document.at("chains").size(), 1u) << document;
    for (const json& chain : document.at("chains")) {
      EXPECT_EQ(chain.at("links").size(), 1u) << chain;
      EXPECT_EQ(chain.at("end"), "waits") << chain;
    }
  }
}

}  // namespace
}  // namespace loiter::test
