// The parser's messages: what goes in comes out, and what a harmed child may say is refused.
#include "daemon/inspect/parser/wire.h"

#include <gtest/gtest.h>

#include <random>

namespace loiter::test {
namespace {

UnwindReply sample() {
  UnwindReply reply;
  reply.places.push_back(
      {0x1234, 7, 0x34, "f", {}, {{"inlined()", "a.cpp", 3, true}, {"f()", "a.cpp", 9, false}}});
  reply.places.push_back({0x5678, 0, 0, "", {"g", "h"}, {{"", "", 0, false}}});
  reply.stacks.push_back({{0, 1, 0}, Cut::none, 0, 0, {16, 48}});
  reply.stacks.push_back({{}, Cut::needs_memory, 0x9000, 0, {}});
  return reply;
}

TEST(Wire, AReplyComesBackAsItWas) {
  auto back = decode_reply(encode_reply(sample()), 2);
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_EQ(back->places.size(), 2u);
  EXPECT_EQ(back->places[0].pc, 0x1234u);
  EXPECT_EQ(back->places[0].module, 7u);
  EXPECT_EQ(back->places[0].export_name, "f");
  EXPECT_TRUE(back->places[0].reached_from.empty());
  EXPECT_EQ(back->places[1].reached_from, (std::vector<std::string>{"g", "h"}));
  ASSERT_EQ(back->places[0].lines.size(), 2u);
  EXPECT_TRUE(back->places[0].lines[0].inlined);
  EXPECT_EQ(back->places[0].lines[1].line, 9u);
  EXPECT_EQ(back->stacks[0].places, (std::vector<uint32_t>{0, 1, 0}));
  EXPECT_EQ(back->stacks[1].cut, Cut::needs_memory);
  EXPECT_EQ(back->stacks[1].wanted_end, 0x9000u);
  EXPECT_EQ(back->stacks[0].slots, (std::vector<uint32_t>{16, 48}));
  EXPECT_TRUE(back->stacks[1].slots.empty());
}

TEST(Wire, AReplyOfAnotherShapeIsRefused) {
  EXPECT_FALSE(decode_reply(encode_reply(sample()), 1));  // more stacks than were asked for
  EXPECT_FALSE(decode_reply(encode_reply(sample()), 3));
  EXPECT_FALSE(decode_reply("", 1));
  EXPECT_TRUE(decode_reply("", 0));
  UnwindReply wild = sample();
  wild.stacks[0].places.push_back(2);  // no such place
  EXPECT_FALSE(decode_reply(encode_reply(wild), 2));
  UnwindReply empty = sample();
  empty.places[1].lines.clear();
  EXPECT_FALSE(decode_reply(encode_reply(empty), 2));
  UnwindReply crowded = sample();
  crowded.places[1].reached_from.resize(17);
  EXPECT_FALSE(decode_reply(encode_reply(crowded), 2));
  UnwindReply cut = sample();
  cut.stacks[0].cut = static_cast<Cut>(99);
  EXPECT_FALSE(decode_reply(encode_reply(cut), 2));
  UnwindReply slots = sample();
  slots.stacks[0].slots.push_back(64);  // of a caller that there is not
  EXPECT_FALSE(decode_reply(encode_reply(slots), 2));
}

TEST(Wire, NamedAddressesAndTypesComeBack) {
  UnwindReply named = sample();
  named.named = {1, 1, 0};
  named.type_names = {"Functor"};
  const std::string message = encode_reply(named);
  auto back = decode_reply(message, ReplyShape{2, 3, 1});
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->named, named.named);
  EXPECT_EQ(back->type_names, named.type_names);
  EXPECT_FALSE(decode_reply(message, ReplyShape{2, 2, 1}));
  EXPECT_FALSE(decode_reply(message, ReplyShape{2, 4, 1}));
  EXPECT_FALSE(decode_reply(message, ReplyShape{2, 3, 0}));
  EXPECT_FALSE(decode_reply(message, ReplyShape{2, 3, 2}));
  named.named[2] = 2;  // no such place
  EXPECT_FALSE(decode_reply(encode_reply(named), ReplyShape{2, 3, 1}));
}

TEST(Wire, NoDamageToAReplyDoesHarm) {
  const std::string good = encode_reply(sample());
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (int hits = 0; hits < 3; ++hits) bad[random() % bad.size()] = static_cast<char>(random());
    bad.resize(random() % 4 ? bad.size() : random() % bad.size());
    auto reply = decode_reply(bad, 2);
    refused += !reply;
    if (!reply) continue;
    for (const Stack& stack : reply->stacks)
      for (uint32_t place : stack.places) ASSERT_LT(place, reply->places.size());
  }
  EXPECT_GT(refused, 1000);
}

TEST(Wire, FactsComeBack) {
  auto back = decode_facts(encode_facts({true, "abcd", "x.debug", 77, "dwz", true, false}));
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->valid);
  EXPECT_EQ(back->build_id, "abcd");
  EXPECT_EQ(back->debug_link, "x.debug");
  EXPECT_EQ(back->debug_link_crc, 77u);
  EXPECT_EQ(back->alt_link, "dwz");
  EXPECT_TRUE(back->has_lines);
  EXPECT_FALSE(decode_facts("\xff\xff\xff"));
}

TEST(Wire, SymbolsAndTheirNamesComeBack) {
  const std::vector<std::string> names{"pthread_create", "", std::string(kLongestName + 9, 'x')};
  std::vector<std::string> decoded;
  const auto message = encode_symbols_request(7, names);
  ASSERT_TRUE(decode_symbols_request(message, decoded));
  EXPECT_EQ(decoded, (std::vector<std::string>{names[0], "", std::string(kLongestName, 'x')}));
  auto cut = message;
  cut.pop_back();
  EXPECT_FALSE(decode_symbols_request(cut, decoded));
  EXPECT_FALSE(decode_symbols_request({}, decoded));

  const std::vector<FoundSymbol> symbols{{true, true, false, 0x1234, 9, true, 0x234}, {}};
  const std::string reply = encode_symbols(symbols);
  auto back = decode_symbols(reply, 2);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE((*back)[0].found && (*back)[0].is_code && (*back)[0].has_offset);
  EXPECT_EQ((*back)[0].address, 0x1234u);
  EXPECT_EQ((*back)[0].size, 9u);
  EXPECT_EQ((*back)[0].file_offset, 0x234u);
  EXPECT_FALSE((*back)[1].found);
  EXPECT_FALSE(decode_symbols(reply, 1)) << "more than were asked for";
  EXPECT_FALSE(decode_symbols(reply, 3));
  EXPECT_FALSE(decode_symbols("\xff\xff\xff", 1));
}

TEST(Wire, AnUnwindRequestPointsIntoTheSharedMemory) {
  std::vector<SharedJob> jobs(2);
  jobs[0].regs.sp = 0x7000;
  jobs[0].memory_start = 0x7000;
  jobs[0].place = 16;
  jobs[0].size = 32;
  jobs[1].whole = 1;
  const auto message = encode_unwind_request({.mappings = {{1, 2, 3, 4}},
                                              .perf_map = 9,
                                              .jobs = {},
                                              .with_lines = true,
                                              .with_slots = true,
                                              .addresses = {5, 6},
                                              .type_names = {"1A"}},
                                             jobs);
  std::vector<std::byte> memory(64);
  std::vector<SharedJob> decoded;
  UnwindRequest request;
  ASSERT_TRUE(decode_unwind_request(message, memory, decoded, request));
  EXPECT_EQ(request.perf_map, 9u);
  EXPECT_TRUE(request.with_slots);
  ASSERT_EQ(request.jobs.size(), 2u);
  EXPECT_EQ(request.jobs[0].memory.data(), memory.data() + 16);
  EXPECT_EQ(request.jobs[0].memory.size(), 32u);
  EXPECT_EQ(request.jobs[0].regs->sp, 0x7000u);
  EXPECT_TRUE(request.jobs[1].whole);
  EXPECT_EQ(request.addresses, (std::vector<uint64_t>{5, 6}));
  EXPECT_EQ(request.type_names, std::vector<std::string>{"1A"});
  EXPECT_FALSE(decode_unwind_request(message, std::span(memory).first(40), decoded, request));
  auto cut = message;
  cut.pop_back();
  EXPECT_FALSE(decode_unwind_request(cut, memory, decoded, request));
}

}  // namespace
}  // namespace loiter::test
