// Rules on findings: what they match, which one counts, what they do.
#include "daemon/detect/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "daemon/detect/sieve.h"
#include "tests/unit/pictures.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

const Thresholds kThresholds = Thresholds::of(30 * kSecond);

SiteFrame frame(const std::string& symbol, const std::string& module = "", uint64_t offset = 0) {
  return {.symbol = symbol, .module = module, .offset = offset, .file = "", .line = 0, .inlined = false};
}

FindingThread thread_named(const std::string& name, WaitKind kind = WaitKind::lock) {
  FindingThread thread;
  thread.name = name;
  thread.wait.emplace().kind = kind;
  return thread;
}

Finding stuck(uint64_t age_s = 60) {
  Finding finding{.id = "f", .kind = FindingKind::stuck, .severity = Severity::warning};
  finding.process.comm = "api";
  finding.process.exe = "/usr/bin/api";
  finding.process.uid = 1000;
  finding.process.cgroup = "/system.slice/api.service";
  finding.chain = 1;
  finding.threads.push_back(thread_named("worker-1"));
  finding.threads[0].stack = {frame("pthread_mutex_lock", "/lib/libc.so.6"),
                              frame("shop::Keeper::take(int*)", "/usr/bin/api"),
                              frame("", "/opt/x/libhidden.so", 0x12a0)};
  finding.threads[0].routine = frame("execute_native_thread_routine");
  finding.threads[0].callable = "shop::Keeper";
  finding.evidence = {{"threshold_ns", uint64_t{7}}, {"longest_ns", age_s * kSecond}};
  return finding;
}

Rule ignoring(std::vector<Rule::Match> matches) {
  return {.matches = std::move(matches), .ignore = true, .reason = "why", .line = 3};
}

bool ignored(const Rule& rule, const Finding& finding) {
  std::vector<Finding> findings{finding};
  return Rules({rule}).apply(findings, kThresholds).ignored.size() == 1;
}

bool matches(RuleFact fact, const std::string& glob, const Finding& finding = stuck()) {
  return ignored(ignoring({{fact, glob}}), finding);
}

TEST(RulesTest, EachFact) {
  EXPECT_TRUE(matches(RuleFact::comm, "a?i"));
  EXPECT_FALSE(matches(RuleFact::comm, "ap"));
  EXPECT_TRUE(matches(RuleFact::exe, "/usr/*"));
  EXPECT_FALSE(matches(RuleFact::exe, "api"));
  EXPECT_TRUE(matches(RuleFact::cgroup, "/system.slice/*"));
  EXPECT_TRUE(matches(RuleFact::unit, "api.serv*"));
  EXPECT_FALSE(matches(RuleFact::unit, "x.service"));
  EXPECT_FALSE(matches(RuleFact::container, "*")) << "it is in none";
  EXPECT_TRUE(matches(RuleFact::kind, "st*"));
  EXPECT_FALSE(matches(RuleFact::kind, "starved"));
  EXPECT_TRUE(matches(RuleFact::thread, "worker-[0-9]"));
  EXPECT_FALSE(matches(RuleFact::thread, "worker"));
  EXPECT_TRUE(matches(RuleFact::wait, "lock"));
  EXPECT_FALSE(matches(RuleFact::wait, "file_lock"));
  EXPECT_TRUE(matches(RuleFact::start_routine, "shop::*"));
  EXPECT_TRUE(matches(RuleFact::start_routine, "execute_native*"));
  EXPECT_FALSE(matches(RuleFact::start_routine, "serve"));
  EXPECT_TRUE(matches(RuleFact::frame, "shop::Keeper::take(int\\*)"));
  EXPECT_TRUE(matches(RuleFact::frame, "libhidden.so+0x12a0"));
  EXPECT_FALSE(matches(RuleFact::frame, "take"));
}

TEST(RulesTest, AContainerIsMatched) {
  Finding finding = stuck();
  const std::string id(64, 'a');
  finding.process.cgroup = "/system.slice/docker-" + id + ".scope";
  EXPECT_TRUE(matches(RuleFact::container, "aaa*", finding));
  EXPECT_FALSE(matches(RuleFact::container, "b*", finding));
}

TEST(RulesTest, UsersAndSeveralFactsMustAllMatch) {
  Rule rule = ignoring({{RuleFact::comm, "api"}});
  rule.uid = 1000;
  EXPECT_TRUE(ignored(rule, stuck()));
  rule.uid = 0;
  EXPECT_FALSE(ignored(rule, stuck()));
  EXPECT_TRUE(ignored(ignoring({{RuleFact::comm, "api"}, {RuleFact::thread, "worker*"}}), stuck()));
  EXPECT_FALSE(ignored(ignoring({{RuleFact::comm, "api"}, {RuleFact::thread, "main"}}), stuck()));
  EXPECT_FALSE(ignored(ignoring({{RuleFact::comm, "db"}, {RuleFact::thread, "worker*"}}), stuck()));
}

TEST(RulesTest, GlobsAreOfBytes) {
  EXPECT_TRUE(glob_matches("\xff?", "\xff\xfe"));
  EXPECT_TRUE(glob_matches("a*", "a\n\x1b/b"));
  EXPECT_TRUE(glob_matches("\\*", "*"));
  EXPECT_FALSE(glob_matches("\\*", "x"));
  EXPECT_FALSE(glob_matches("", "x"));
  EXPECT_TRUE(glob_matches("[", "[")) << "one that is not closed is itself";
  EXPECT_FALSE(glob_matches("a", "A"));
}

TEST(RulesTest, AGlobOfManyStarsIsSwift) {
  std::string glob;
  for (int i = 0; i < 100; ++i) glob += "*a";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(glob_matches(glob + "b", std::string(5'000, 'a')));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30)) << "exponential";
}

TEST(RulesTest, OfAChainOneThreadMustFitAllOfIt) {
  Finding finding = stuck();
  finding.threads.push_back(thread_named("other", WaitKind::read));
  finding.threads.push_back(thread_named("waiter", WaitKind::join));
  finding.chain = 2;
  EXPECT_TRUE(ignored(ignoring({{RuleFact::thread, "other"}, {RuleFact::wait, "read"}}), finding));
  EXPECT_FALSE(ignored(ignoring({{RuleFact::thread, "worker-1"}, {RuleFact::wait, "read"}}), finding));
  EXPECT_FALSE(matches(RuleFact::thread, "waiter", finding)) << "it is not of the chain";
}

TEST(RulesTest, OfThreadsWithoutAChainAllThatAreKnownMustFit) {
  Finding finding = stuck();
  finding.chain = 0;
  EXPECT_TRUE(matches(RuleFact::thread, "worker-*", finding));
  finding.threads.push_back(thread_named("worker-2"));
  finding.threads.push_back(thread_named(""));  // not known
  EXPECT_TRUE(matches(RuleFact::thread, "worker-*", finding));
  EXPECT_TRUE(matches(RuleFact::frame, "shop::*", finding)) << "no stack was taken of the others";
  finding.threads.push_back(thread_named("main"));
  EXPECT_FALSE(matches(RuleFact::thread, "worker-*", finding)) << "it would hide main";
  finding.threads.clear();
  EXPECT_FALSE(matches(RuleFact::thread, "*", finding));
}

TEST(RulesTest, TheFirstThatMatchesCounts) {
  Rule other = ignoring({{RuleFact::comm, "x"}});
  Rule raise{.matches = {{RuleFact::comm, "api"}}, .severity = Severity::critical, .reason = "r", .line = 9};
  const Rule later = ignoring({{RuleFact::comm, "*"}});
  std::vector<Finding> findings{stuck()};
  EXPECT_TRUE(Rules({other, raise, later}).apply(findings, kThresholds).ignored.empty());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity, Severity::critical);
  EXPECT_EQ(findings[0].rule_line, 9u);
  EXPECT_EQ(findings[0].rule_reason, "r");
  const auto sifted = Rules({later, raise}).apply(findings, kThresholds);
  ASSERT_EQ(sifted.ignored.size(), 1u);
  EXPECT_EQ(sifted.ignored[0].rule_line, 3u);
  EXPECT_EQ(sifted.ignored[0].rule_reason, "why");
  EXPECT_TRUE(findings.empty());
}

uint64_t told_threshold(const Finding& finding) {
  return std::get<uint64_t>(finding.evidence.at(0).value);
}

TEST(RulesTest, ThresholdsAreRaisedAndLowered) {
  const Rules none;
  std::vector<Finding> findings{stuck(29), stuck(30)};
  EXPECT_EQ(none.apply(findings, kThresholds).young.size(), 1u);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(told_threshold(findings[0]), 30 * kSecond);

  Rule rule{.matches = {{RuleFact::comm, "api"}}, .threshold_ns = 2 * kSecond, .line = 1};
  Finding other = stuck(5);
  other.process.comm = "db";
  findings = {stuck(1), stuck(2), other};
  EXPECT_EQ(Rules({rule}).apply(findings, kThresholds).young.size(), 2u);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(told_threshold(findings[0]), 2 * kSecond);

  rule.threshold_ns = 100 * kSecond;
  findings = {stuck(99), stuck(100)};
  EXPECT_EQ(Rules({rule}).apply(findings, kThresholds).young.size(), 1u);
}

TEST(RulesTest, KindsWithoutAThresholdAreTold) {
  const Rule rule{.matches = {{RuleFact::comm, "api"}}, .threshold_ns = 1000 * kSecond, .line = 1};
  Finding deadlock = stuck(1);
  deadlock.kind = FindingKind::deadlock;
  std::vector<Finding> findings{deadlock};
  EXPECT_TRUE(Rules({rule}).apply(findings, kThresholds).young.empty());
  EXPECT_EQ(findings.size(), 1u);
}

TEST(RulesTest, DetectorsGoByTheLeastThatMayMatter) {
  const Rule all{.matches = {{RuleFact::comm, "x"}}, .threshold_ns = 5 * kSecond};
  const Rule spin{.matches = {{RuleFact::kind, "sp*"}}, .threshold_ns = 2 * kSecond};
  const Rule high{.matches = {{RuleFact::comm, "x"}}, .threshold_ns = 500 * kSecond};
  const Thresholds least = Rules({high, all, spin}).least_thresholds(kThresholds);
  EXPECT_EQ(least.stuck_ns, 5 * kSecond);
  EXPECT_EQ(least.spin_ns, 2 * kSecond);
  EXPECT_EQ(least.leak_window_ns, kThresholds.leak_window_ns);
  EXPECT_EQ(Rules({high}).least_thresholds(kThresholds).stuck_ns, 30 * kSecond);
}

TEST(RulesTest, StacksAreTakenOnlyOfWhatMayBeTold) {
  const Rule by_frame{.matches = {{RuleFact::comm, "api"}, {RuleFact::frame, "f"}},
                      .threshold_ns = 5 * kSecond};
  const Rules rules({by_frame});
  Finding bare = stuck(6);
  bare.threads[0].stack.clear();
  EXPECT_TRUE(rules.may_be_told(bare, kThresholds)) << "its stack may show f";
  EXPECT_FALSE(rules.may_be_told(stuck(6), kThresholds)) << "its stack does not";
  EXPECT_FALSE(rules.may_be_told(stuck(4), kThresholds));
  bare.process.comm = "db";
  EXPECT_FALSE(rules.may_be_told(bare, kThresholds));
  EXPECT_TRUE(rules.may_be_told(stuck(30), kThresholds));
  EXPECT_TRUE(rules.need_stacks());
  EXPECT_FALSE(Rules({ignoring({{RuleFact::comm, "x"}})}).need_stacks());
}

// --- any rules, any findings -----------------------------------------------------------------------------

class RandomRules {
 public:
  explicit RandomRules(uint32_t seed) : random_(seed) {}
  Rules rules() {
    std::vector<Rule> list(random_() % 6);
    for (Rule& rule : list) {
      for (size_t n = random_() % 3; n; --n)
        rule.matches.push_back(
            {kRuleFacts[random_() % kRuleFacts.size()].first, word() + (random_() % 2 ? "*" : "")});
      if (random_() % 3 == 0) rule.uid = random_() % 2;
      rule.ignore = random_() % 3 == 0;
      if (!rule.ignore && random_() % 2) rule.threshold_ns = random_() % 60 * kSecond;
      if (!rule.ignore && random_() % 2) rule.severity = static_cast<Severity>(random_() % 3);
      rule.line = ++lines_;
    }
    return Rules(std::move(list));
  }
  std::vector<Finding> findings() {
    std::vector<Finding> list(random_() % 20);
    for (Finding& finding : list) {
      finding = stuck(random_() % 60);
      finding.id = std::to_string(++ids_);
      finding.kind = static_cast<FindingKind>(random_() % 9);
      finding.process.comm = word();
      finding.process.uid = random_() % 2;
      finding.threads.resize(random_() % 3);
      for (FindingThread& thread : finding.threads) {
        thread.name = word();
        if (random_() % 2) thread.stack = {frame(word())};
      }
      finding.chain = random_() % 3;
    }
    return list;
  }

 private:
  std::string word() { return std::string(1, "abs"[random_() % 3]); }
  std::mt19937 random_;
  uint32_t lines_ = 0, ids_ = 0;
};

std::string text_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings)
    text += finding.id + " " + std::to_string(told_threshold(finding)) + " " + to_string(finding.severity) +
            " " + std::to_string(finding.rule_line) + "\n";
  return text;
}

TEST(RulesTest, AppliedAgainTheyChangeNothing) {
  for (uint32_t seed = 1; seed <= 3'000; ++seed) {
    RandomRules made(seed);
    const Rules rules = made.rules();
    std::vector<Finding> findings = made.findings();
    const size_t all = findings.size();
    const Rules::Sifted sifted = rules.apply(findings, kThresholds);
    EXPECT_EQ(findings.size() + sifted.ignored.size() + sifted.young.size(), all);
    const std::string once = text_of(findings);
    const Rules::Sifted again = rules.apply(findings, kThresholds);
    ASSERT_TRUE(again.ignored.empty() && again.young.empty()) << seed;
    ASSERT_EQ(text_of(findings), once) << seed;
  }
}

TEST(RulesTest, WhatMayNotBeToldIsNot) {
  for (uint32_t seed = 1; seed <= 3'000; ++seed) {
    RandomRules made(seed);
    const Rules rules = made.rules();
    for (const Finding& finding : made.findings()) {
      std::vector<Finding> one{finding};
      rules.apply(one, kThresholds);
      ASSERT_TRUE(one.empty() || rules.may_be_told(finding, kThresholds)) << seed;
    }
  }
}

TEST(RulesTest, DetectorsMissNothingThatWouldBeTold) {
  for (uint32_t seed = 1; seed <= 3'000; ++seed) {
    RandomRules made(seed);
    const Rules rules = made.rules();
    const Thresholds least = rules.least_thresholds(kThresholds);
    std::vector<Finding> findings = made.findings();
    rules.apply(findings, kThresholds);
    for (const Finding& finding : findings) {
      if (finding.kind != FindingKind::stuck) continue;
      ASSERT_GE(age_of(finding).value_or(UINT64_MAX), least.stuck_ns) << seed;
    }
  }
}

// --- the sieve -------------------------------------------------------------------------------------------

TEST(SieveTest, RemembersWhatItTookOutWithItsStacks) {
  const Rules rules({ignoring({{RuleFact::comm, "api"}})});
  Sieve sieve;
  auto snapshot = make_snapshot({});
  Finding young = stuck(1);
  young.id = "young";
  young.process.comm = "db";
  std::vector<Finding> found{stuck(), young};
  sieve.sift(found, rules, kThresholds, *snapshot);
  EXPECT_TRUE(found.empty());
  ASSERT_NE(sieve.find("f"), nullptr);
  ASSERT_NE(sieve.find("young"), nullptr);
  EXPECT_EQ(sieve.find("x"), nullptr);
  const uint64_t first = snapshot->begin_boot_ns;
  snapshot->begin_boot_ns += kSecond;
  found = {stuck()};
  found[0].threads[0].stack.clear();
  keep_what_was_seen(found[0], *sieve.find("f"));
  EXPECT_EQ(found[0].threads[0].stack.size(), 3u);
  sieve.sift(found, rules, kThresholds, *snapshot);
  ASSERT_EQ(sieve.ignored().size(), 1u);
  EXPECT_EQ(sieve.ignored()[0]->first_boot_ns, first);
  EXPECT_EQ(sieve.ignored()[0]->last_boot_ns, first + kSecond);
  EXPECT_EQ(sieve.find("young"), nullptr) << "it is gone";
  found.clear();
  sieve.sift(found, rules, kThresholds, *snapshot);
  EXPECT_EQ(sieve.ignored_count(), 0u);
}

TEST(SieveTest, IsBoundedAndCounts) {
  Sieve sieve;
  std::vector<Finding> found(Sieve::kMostIgnored + 5, stuck());
  for (size_t i = 0; i < found.size(); ++i) found[i].id = std::to_string(i);
  sieve.sift(found, Rules({ignoring({{RuleFact::comm, "api"}})}), kThresholds, *make_snapshot({}));
  EXPECT_EQ(sieve.ignored().size(), Sieve::kMostIgnored);
  EXPECT_EQ(sieve.ignored_count(), Sieve::kMostIgnored + 5);
}

}  // namespace
}  // namespace loiter::test
