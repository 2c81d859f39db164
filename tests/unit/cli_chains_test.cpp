// Who waits for whom, from document to text: loiter chain and loiter why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/chain_text.h"
#include "cli/why_text.h"
#include "daemon/base/bytes.h"
#include "tests/unit/units.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

json held(const char* object, uint32_t holder, const char* name, const char* state = "alive") {
  return {{"kind", "lock"},       {"object", object},    {"detail", "pthread_mutex_t"},
          {"holder_tid", holder}, {"holder_name", name}, {"holder_state", state}};
}

json link(uint32_t tid, const char* name, json wait, json via = nullptr, uint32_t pid = 812) {
  const bool blocked = !wait.is_null();
  return {{"pid", pid},
          {"comm", pid == 812 ? "api" : "sh"},
          {"tid", tid},
          {"name", name},
          {"state", blocked ? "sleeping" : "running"},
          {"blocked_ns", blocked ? json(192 * kSecond) : json()},
          {"exactness", blocked ? json("estimated") : json()},
          {"wait", std::move(wait)},
          {"via", std::move(via)}};
}

json chain(json links, const char* end, uint64_t waiters, size_t root) {
  return {{"links", std::move(links)}, {"end", end},   {"cycle", std::string(end) == "cycle"},
          {"waiters", waiters},        {"root", root}, {"detail", ""}};
}

json running_chain() {
  return chain({link(4713, "worker", held("0xa", 4712, "reader")),
                link(4712, "reader", held("0xb", 4711, "db-writer"), "lock"),
                link(4711, "db-writer", nullptr, "lock")},
               "running", 3, 2);
}

json deadlock_chain() {
  return chain({link(5, "tail", held("0xa", 6, "left")), link(6, "left", held("0xb", 7, "right"), "lock"),
                link(7, "right", held("0xa", 6, "left"), "lock")},
               "cycle", 4, 1);
}

json document_of(json chains) {
  return {{"schema", 1}, {"as_of", "2026"}, {"process", {{"pid", 812}, {"comm", "api"}}}, {"chains", chains}};
}

Chains chains_of(json chains) {
  auto parsed = parse_chains(document_of(std::move(chains)));
  EXPECT_TRUE(parsed);
  return parsed ? *parsed : Chains{};
}

std::vector<std::string> lines_of(json chains, std::optional<uint32_t> tid = {}) {
  return chains_lines(chains_of(std::move(chains)), tid);
}

TEST(ParseChains, ReadsEveryField) {
  json one = running_chain();
  one["detail"] = "one line";
  const Chains chains = chains_of({one});
  EXPECT_EQ(chains.process.pid, 812u);
  ASSERT_EQ(chains.chains.size(), 1u);
  const Chain& parsed = chains.chains[0];
  EXPECT_EQ(parsed.end, "running");
  EXPECT_FALSE(parsed.cycle);
  EXPECT_EQ(parsed.waiters, 3u);
  EXPECT_EQ(parsed.root, 2u);
  EXPECT_EQ(parsed.detail, "one line");
  ASSERT_EQ(parsed.links.size(), 3u);
  EXPECT_EQ(parsed.links[1].tid, 4712u);
  EXPECT_EQ(parsed.links[1].via, "lock");
  EXPECT_EQ(parsed.links[1].wait->holder_tid, 4711u);
  EXPECT_EQ(parsed.links[0].age.blocked_ns, 192 * kSecond);
}

TEST(ParseChains, RefusesWhatIsNone) {
  EXPECT_FALSE(parse_chains(json()));
  EXPECT_FALSE(parse_chains(json{{"schema", 1}}));
  for (const char* key : {"links", "waiters", "end", "root", "detail"}) {
    json one = running_chain();
    one[key] = json{{"x", json::array({json::array()})}};
    EXPECT_FALSE(parse_chains(document_of({one}))) << key;
  }
}

TEST(ParseChains, ARootThatIsNoLinkBecomesTheLast) {
  for (const int64_t root : {int64_t{-1}, int64_t{3}, int64_t{1} << 40}) {
    json one = running_chain();
    one["root"] = root;
    EXPECT_EQ(chains_of({one}).chains[0].root, 2u) << root;
  }
  json one = running_chain();
  one.erase("root");
  EXPECT_EQ(chains_of({one}).chains[0].root, 2u);
}

TEST(ChainText, LinksAreIndentedUpToTheRoot) {
  EXPECT_THAT(
      lines_of({running_chain()}),
      ElementsAre(
          "812 api", "3 waiters behind 4711 db-writer",
          "  4713 worker, sleeping ~3m12s, mutex 0xa held by 4712 reader (pthread_mutex_t)",
          "    lock: 4712 reader, sleeping ~3m12s, mutex 0xb held by 4711 db-writer (pthread_mutex_t)",
          "      lock: 4711 db-writer, running", "        => 4711 db-writer runs"));
}

TEST(ChainText, ADeadlockSaysSo) {
  const auto lines = lines_of({deadlock_chain()});
  EXPECT_EQ(lines[1], "DEADLOCK, 4 waiters");
  EXPECT_THAT(lines.back(), HasSubstr("=> DEADLOCK: back to 6 left"));
}

TEST(ChainText, EachEndInWords) {
  auto end_of = [](json links, const char* end) {
    const size_t root = links.size() - 1;
    return end_text(chains_of({chain(std::move(links), end, 1, root)}).chains[0], 812);
  };
  const json waiter = link(5, "w", held("0xa", 6, "root"));
  EXPECT_EQ(
      end_of({waiter, link(6, "root", {{"kind", "read"}, {"object", "tcp a -> b established"}}, "lock")},
             "waits"),
      "6 root waits to read from TCP connection a -> b established");
  EXPECT_EQ(end_of({link(5, "w", held("0xa", 6, "", "ended"))}, "holder_ended"),
            "the owner 6 has ended: nobody can unlock it any more");
  EXPECT_THAT(end_of({link(5, "w", held("0xa", 6, "", "inherited"))}, "inherited"),
              HasSubstr("locked before the fork"));
  EXPECT_EQ(end_of({waiter}, "unknown"), "who holds it is not known");
  EXPECT_EQ(end_of({waiter}, "an end of later"), "who holds it is not known");
  EXPECT_EQ(end_of({waiter, waiter}, "too_long"), "the chain goes on: only its first 2 are told");
}

TEST(ChainText, OtherProcessesAreNamed) {
  const auto lines = lines_of(
      {chain({link(5, "w", {{"kind", "read"}, {"object", "pipe:[1]"}}), link(99, "sh", nullptr, "pipe", 99)},
             "running", 1, 1)});
  EXPECT_THAT(lines, Contains("1 waiter behind pid 99 sh"));
  EXPECT_THAT(lines, Contains("    pipe: pid 99 sh, running"));
}

TEST(ChainText, AThreadOfAnotherProcessHasBoth) {
  EXPECT_EQ(who_text({99, 100, "sh", "t", "", {}, {}, {}}, 812), "100 t of pid 99 sh");
  EXPECT_EQ(who_text({99, {}, "sh", "", "", {}, {}, {}}, 812), "pid 99 sh");
  EXPECT_EQ(who_text({{}, 100, "sh", "t", "", {}, {}, {}}, 812), "100 t");
}

TEST(ChainText, NarrowerTheLinksKeepWhoHoldsIt) {
  for (const size_t columns : {60, 80, 100})
    for (const std::string& line : chains_lines(chains_of({running_chain()}), {}, columns))
      EXPECT_LE(display_width(line), columns);
  EXPECT_THAT(chains_lines(chains_of({running_chain()}), {}, 60),
              Contains("  4713 worker, sleeping ~3m12s, mutex held by 4712 reader"));
  EXPECT_EQ(chains_lines(chains_of({running_chain()}), {}, 1).size(), 6u) << "cut by the terminal";
}

TEST(ChainText, NobodyWaitingOnAnybodyIsOneLine) {
  const json alone = chain({link(5, "w", {{"kind", "poll"}})}, "waits", 1, 0);
  EXPECT_THAT(lines_of(json::array()),
              ElementsAre("812 api: no thread is known to wait for another thread or process"));
  EXPECT_THAT(lines_of({alone}),
              ElementsAre("812 api: no thread is known to wait for another thread or process"));
  EXPECT_THAT(lines_of({chain(json::array(), "", 0, 0)}),
              ElementsAre("812 api: no thread is known to wait for another thread or process"));
  EXPECT_THAT(lines_of(json::array(), 5), ElementsAre("812 api: thread 5 waits for nobody"));
  EXPECT_THAT(lines_of({alone}, 5), Contains(HasSubstr("=> 5 w waits for something to happen")));
}

TEST(ChainText, AnOrphanedLockIsToldEvenAlone) {
  const auto lines = lines_of({chain({link(5, "w", held("0xa", 6, "", "ended"))}, "holder_ended", 1, 0)});
  EXPECT_THAT(lines, Contains(HasSubstr("mutex 0xa owner 6 ENDED")));
}

TEST(ChainText, MissingMembersAreNotKnown) {
  const auto lines = lines_of({{{"links", {json::object(), json::object()}}}});
  EXPECT_THAT(lines, Contains("  ?, state not known"));
}

TEST(ChainText, ALongChainStaysNarrow) {
  json links = json::array();
  for (uint32_t tid = 1; tid <= 500; ++tid) links.push_back(link(tid, "w", nullptr, "lock"));
  for (const std::string& line : lines_of({chain(links, "too_long", 499, 499)}))
    EXPECT_LE(display_width(line), 120u);
}

TEST(ChainText, HostileStringsAreEscaped) {
  const std::string nasty = "a\x1b[2J\n\xff\u202e";
  ChainLink bad;
  bad.tid = 5;
  bad.pid = 99;
  bad.comm = bad.name = bad.state = nasty;
  bad.via = nasty;
  bad.wait = Wait{};
  bad.wait->kind = bad.wait->object.emplace(nasty);
  Chains chains;
  chains.process.comm = nasty;
  for (const char* end : {"waits", "running", "cycle", "unknown", "holder_ended"}) {
    Chain one{{bad, bad}, end, std::string(end) == "cycle", 2, 1, nasty};
    chains.chains.push_back(one);
  }
  for (const std::string& line : chains_lines(chains, {})) {
    EXPECT_EQ(line.find_first_of("\x1b\n\xff"), line.npos) << escape_for_terminal(line);
    EXPECT_EQ(line.find("\u202e"), line.npos);
  }
}

TEST(AgeInWords, SaysHowWellItIsKnown) {
  const uint64_t ns = 192 * kSecond;
  EXPECT_EQ(age_in_words({ns, ns, Exactness::exact}), "for 3m12s");
  EXPECT_EQ(age_in_words({ns, ns, Exactness::estimated}), "for about 3m12s");
  EXPECT_EQ(age_in_words({ns, ns + 3 * kSecond, Exactness::estimated}), "for 3m12s to 3m15s");
  EXPECT_EQ(age_in_words({ns, {}, Exactness::lower_bound}), "for at least 3m12s");
  EXPECT_EQ(age_in_words({{}, {}, Exactness::unknown}), "for an unknown time");
  EXPECT_EQ(age_in_words({}), "");
}

// --- why -------------------------------------------------------------------------------------------

ThreadRow thread(uint32_t tid, const char* kind, uint64_t seconds = 10) {
  ThreadRow row;
  row.tid = tid;
  row.name = "t" + std::to_string(tid);
  if (!kind) return row;
  row.age = {seconds * kSecond, {}, Exactness::exact};
  row.wait = Wait{};
  row.wait->kind = kind;
  return row;
}

Tree tree_of(std::vector<ThreadRow> threads) {
  Tree tree;
  tree.process.pid = 812;
  tree.process.comm = "api";
  tree.threads = std::move(threads);
  return tree;
}

std::string why(const Tree& tree, const Chains& chains, const StackThread* stack = nullptr,
                const std::string& why_none = "") {
  return why_text(tree, chains, find_root(tree, chains), stack, why_none);
}

TEST(Why, ADeadlockComesBeforeTheMostWaiters) {
  json many = running_chain();
  many["waiters"] = 500;
  const Chains chains = chains_of({many, deadlock_chain()});
  const Root root = find_root(tree_of({thread(812, nullptr)}), chains);
  EXPECT_EQ(root.chain, 1u);
  EXPECT_EQ(root.tid, 6u);
  EXPECT_EQ(root.pid, 812u);
  const std::string text = why(tree_of({}), chains);
  EXPECT_THAT(text,
              AllOf(StartsWith("812 (api): DEADLOCK of 2 threads: 5 tail (blocked for about 3m12s) waits "
                               "for mutex 0xa held by 6 left; "),
                    HasSubstr("So it goes back to 6 left"), HasSubstr("4 threads in all stand still")));
}

TEST(Why, ADeadlockWithATimeLimitMayComeToAnEnd) {
  EXPECT_THAT(why(tree_of({}), chains_of({deadlock_chain()})), HasSubstr("none of them can go on; "));
  json timed = deadlock_chain();
  timed["links"][0]["wait"]["bounded"] = true;  // not in the cycle itself
  EXPECT_THAT(why(tree_of({}), chains_of({timed})), HasSubstr("none of them can go on; "));
  timed["links"][2]["wait"]["bounded"] = true;
  EXPECT_THAT(why(tree_of({}), chains_of({timed})), HasSubstr("can go on until one's time is up; "));
}

TEST(Why, AnOrphanComesBeforeTheMostWaitersToo) {
  const Chains chains =
      chains_of({running_chain(), chain({link(5, "w", held("0xa", 6, "", "ended"))}, "holder_ended", 1, 0)});
  EXPECT_EQ(find_root(tree_of({}), chains).chain, 1u);
  EXPECT_THAT(why(tree_of({}), chains), HasSubstr("the owner 6 has ended"));
}

TEST(Why, ElseTheRootWithTheMostWaiters) {
  json few = running_chain();
  few["waiters"] = 2;
  EXPECT_EQ(find_root(tree_of({}), chains_of({few, running_chain()})).chain, 1u);
}

TEST(Why, TellsChainAndWhereTheRootIs) {
  StackThread stack;
  stack.frames = {{"__write", "/lib/libc.so.6", {}, {}, {}, false},
                  {"flush", "/bin/api", "/src/deep/log.c", 1, 120, false},
                  {"main", "/bin/api", {}, 1, {}, false},
                  {"__libc_start_main", "/lib/libc.so.6", {}, 1, {}, false},
                  {"_start", "/bin/api", {}, 1, {}, false}};
  EXPECT_EQ(
      why(tree_of({}), chains_of({running_chain()}), &stack),
      "812 (api): 3 threads wait for 4711 db-writer, which runs: 4713 worker (blocked for about 3m12s) "
      "waits for mutex 0xa held by 4712 reader; 4712 reader (blocked for about 3m12s) waits for mutex 0xb "
      "held by 4711 db-writer. 4711 is at flush at log.c:120, called from main in api.");
}

TEST(Why, TheStartOfAProgramWithoutSymbolsIsNotWhereItIs) {
  StackThread stack;
  stack.frames = {{"flock", "/lib/libc.so.6", {}, {}, {}, false},
                  {{}, "/bin/flock", {}, 0x280a, {}, false},
                  {"__libc_start_call_main", "/lib/libc.so.6", {}, {}, {}, false},
                  {"__libc_start_main", "/lib/libc.so.6", {}, {}, {}, false},
                  {{}, "/bin/flock", {}, 0x2f11, {}, false}};
  EXPECT_THAT(why(tree_of({}), chains_of({running_chain()}), &stack), EndsWith("4711 is at flock+0x280a."));
}

TEST(Why, WithoutAStackItSaysWhy) {
  const Chains chains = chains_of({running_chain()});
  EXPECT_THAT(why(tree_of({}), chains, nullptr, "no such thread"),
              HasSubstr("The stack of 4711 is not to be had: no such thread."));
  StackThread running;
  running.cut = "it is running";
  EXPECT_THAT(why(tree_of({}), chains, &running), HasSubstr("There is no stack of 4711: it is running."));
}

TEST(Why, ARootThatWaitsSaysForWhat) {
  const Chains chains =
      chains_of({chain({link(5, "w", held("0xa", 6, "root")),
                        link(6, "root", {{"kind", "read"}, {"object", "tcp a -> b"}}, "lock")},
                       "waits", 1, 1)});
  EXPECT_THAT(
      why(tree_of({}), chains),
      StartsWith("812 (api): 1 thread waits for 6 root (blocked for about 3m12s), which itself waits to "
                 "read from TCP connection a -> b: 5 w "));
}

TEST(Why, AJoinOfIdleThreadsIsIdle) {
  const Chains chains = chains_of({chain(
      {link(1, "main", {{"kind", "join"}, {"holder_tid", 2}}), link(2, "w", {{"kind", "poll"}}, "join")},
      "waits", 1, 1)});
  const Tree tree = tree_of({thread(1, "join", 50), thread(2, "poll", 20)});
  const Root root = find_root(tree, chains);
  EXPECT_FALSE(root.chain || root.thread);
  EXPECT_EQ(root.tid, 0u);
  EXPECT_EQ(why(tree, chains),
            "812 (api): nothing in it is known to be stuck. All of its 2 threads wait as idle ones do (1 in "
            "join, 1 in "
            "poll). The longest: 1 t1 (blocked for 50.0s) waits for a thread to end (join).");
}

TEST(Why, WithoutChainsTheOldestThatIsNotIdle) {
  const Tree tree =
      tree_of({thread(1, "poll", 999), thread(2, "disk", 5), thread(3, "disk", 7), thread(4, "futex", 500)});
  const Root root = find_root(tree, {});
  EXPECT_EQ(root.thread, 2u);
  EXPECT_EQ(root.tid, 3u);
  EXPECT_THAT(why(tree, {}), HasSubstr("3 t3 (blocked for 7.00s) waits for the disk"));
}

TEST(Why, WhatIsAwakeNowAndThenIsNotStuck) {
  Tree tree = tree_of({thread(1, "poll", 0)});
  tree.threads[0].wait.reset();  // it ran while it was looked at
  tree.threads[0].syscall = "epoll_wait";
  EXPECT_FALSE(find_root(tree, {}).thread);
  EXPECT_THAT(why(tree, {}), HasSubstr("nothing in it is known to be stuck"));
  tree.threads[0].age.blocked_ns = 60 * kSecond;
  EXPECT_EQ(find_root(tree, {}).tid, 1u);
  EXPECT_THAT(why(tree, {}),
              HasSubstr("what they wait for is not known (1 in epoll_wait). The longest: 1 t1 "));
}

TEST(Why, AKindNotKnownIsNotCalledStuck) {
  const Tree tree = tree_of({thread(1, "poll", 999), thread(4, "futex", 500)});
  EXPECT_EQ(find_root(tree, {}).tid, 4u);
  EXPECT_THAT(why(tree, {}), HasSubstr("may be idle or stuck"));
}

TEST(Why, OneThreadThatRunsOrWaits) {
  EXPECT_EQ(why(tree_of({thread(812, nullptr)}), {}),
            "812 (api): nothing of it is blocked: its one thread runs.");
  EXPECT_EQ(why(tree_of({thread(1, nullptr), thread(2, nullptr)}), {}),
            "812 (api): nothing of it is blocked: all of its 2 threads run.");
  EXPECT_THAT(why(tree_of({thread(812, "sleep")}), {}),
              HasSubstr("Its one thread waits as one that is idle does"));
  EXPECT_THAT(why(tree_of({thread(1, "sleep"), thread(2, nullptr)}), {}),
              HasSubstr("1 of its 2 threads waits as one that is idle does (1 in sleep), the rest runs"));
}

TEST(Why, AProcessThatIsStoppedIsNotIdle) {
  Tree tree = tree_of({thread(1, "stopped", 5), thread(2, "stopped", 4)});
  EXPECT_EQ(why(tree, {}), "812 (api): it is stopped, for 5.00s; SIGCONT lets it go on.");
  tree.threads[0].wait->detail = "by a debugger";
  EXPECT_EQ(why(tree, {}), "812 (api): it is stopped by a debugger, for 5.00s.");
  tree.threads[1] = thread(2, "poll", 4);
  EXPECT_THAT(why(tree, {}), HasSubstr("nothing in it is known to be stuck"));
}

TEST(Why, AProcessThatHasEnded) {
  Tree tree = tree_of({});
  tree.process.ended = "2026-11-21T06:18:04Z";
  EXPECT_EQ(why(tree, {}), "812 (api): it has ended, at 2026-11-21T06:18:04Z.");
}

TEST(Why, ALongChainIsToldInShort) {
  json links = json::array();
  for (uint32_t tid = 1; tid < 300; ++tid) links.push_back(link(tid, "w", held("0xa", tid + 1, "w"), "lock"));
  links.push_back(link(300, "root", nullptr, "lock"));
  const std::string text = why(tree_of({}), chains_of({chain(links, "running", 299, 299)}));
  EXPECT_LT(text.size(), 700u);
  EXPECT_THAT(text, AllOf(HasSubstr("1 w "), HasSubstr("295 threads more in a row"), HasSubstr("299 w ")));
}

TEST(Why, HostileStringsAreEscaped) {
  const std::string nasty = "a\x1b[2J\n\xff\u202e";
  Tree tree = tree_of({thread(1, "disk"), thread(2, nasty.c_str())});
  tree.process.comm = nasty;
  for (ThreadRow& row : tree.threads) row.name = nasty;
  StackThread stack;
  stack.frames = {{nasty, nasty, nasty, 1, 1, false}};
  Chains chains = chains_of({running_chain()});
  for (ChainLink& one : chains.chains[0].links) one.name = one.state = nasty;
  for (const Chains& asked : {Chains{}, chains})
    for (const StackThread* told : std::initializer_list<const StackThread*>{&stack, nullptr}) {
      const std::string text = why(tree, asked, told, nasty);
      EXPECT_EQ(text.find_first_of("\x1b\n\xff"), text.npos) << escape_for_terminal(text);
      EXPECT_EQ(text.find("\u202e"), text.npos);
    }
}

}  // namespace
}  // namespace loiter::cli
