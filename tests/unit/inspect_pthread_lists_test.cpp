// Thread descriptors: what became of their threads, what glibc may say of them, and lists that lie. The lists
// are this process' own memory, walked from outside by way of the system call that reads another's.
#include "daemon/inspect/pthread_lists.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>

#include "daemon/inspect/list_walk.h"
#include "daemon/inspect/start_routines.h"

namespace loiter {
namespace {

PthreadEntry entry(uint32_t tid, uint64_t joinid, uint32_t cancelhandling = 0) {
  return {.descriptor = 0x7000, .tid = tid, .cancelhandling = cancelhandling, .joinid = joinid};
}

constexpr uint32_t kExiting = 0x10, kTerminated = 0x20;

TEST(PthreadFate, IsToldByTidJoinerAndBits) {
  EXPECT_EQ(fate_of(entry(7, 0), false), PthreadFate::live);
  EXPECT_EQ(fate_of(entry(7, 0, kExiting), false), PthreadFate::live) << "the kernel still has it";
  EXPECT_EQ(fate_of(entry(7, 0x7000), false), PthreadFate::detached);
  EXPECT_EQ(fate_of(entry(7, 0x8000), true), PthreadFate::joining);
  EXPECT_EQ(fate_of(entry(0, 0x8000, kExiting), true), PthreadFate::joining) << "who joins it does so now";
  EXPECT_EQ(fate_of(entry(0, 0, kExiting), false), PthreadFate::unjoined);
}

TEST(PthreadFate, WhoIsOnTheWayInOrOutIsNotUnjoined) {
  EXPECT_EQ(fate_of(entry(0, 0), false), PthreadFate::unclear) << "it is being made";
  EXPECT_EQ(fate_of(entry(0, 0x7000, kExiting), false), PthreadFate::gone) << "it ended detached";
  EXPECT_EQ(fate_of(entry(0, 0, kExiting | kTerminated), false), PthreadFate::gone);
  EXPECT_EQ(fate_of(entry(UINT32_MAX, 0x8000, kExiting), true), PthreadFate::joining);
  EXPECT_EQ(fate_of(entry(UINT32_MAX, 0, kExiting), false), PthreadFate::unclear);
  EXPECT_EQ(fate_of(entry(7, 0x8000), false), PthreadFate::unclear) << "nobody is known by that";
  EXPECT_EQ(fate_of(entry(0, 0x8000, kExiting), false), PthreadFate::unclear);
}

// --- what glibc says of itself ---------------------------------------------------------------------

GlibcDescription glibc_2_36() {
  return {.size = 2368,
          .list = {128, 1, 704},
          .tid = {32, 1, 720},
          .cancelhandling = {32, 1, 776},
          .start_routine = {64, 1, 1592},
          .nextevent = {64, 1, 1632},
          .list_next = {64, 1, 0},
          .list_prev = {64, 1, 8},
          .version = "2.36"};
}

TEST(PthreadLayout, FollowsFromTheDescription) {
  const auto layout = interpret(glibc_2_36());
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->no_lists, "");
  EXPECT_EQ(layout->tid, 720u);
  EXPECT_EQ(layout->start_routine, 1592u);
  EXPECT_EQ(layout->joinid, 1568u);      // as DWARF has it
  EXPECT_EQ(layout->stackblock, 1680u);  // likewise
}

TEST(PthreadLayout, WhatMakesNoSenseIsRefused) {
  for (const auto& [change, lists_alone] : std::vector<std::pair<void (*)(GlibcDescription&), bool>>{
           {[](GlibcDescription& d) { d.size = 0; }, false},
           {[](GlibcDescription& d) { d.size = UINT32_MAX & ~7U; }, false},
           {[](GlibcDescription& d) { d.tid.bits = 64; }, false},
           {[](GlibcDescription& d) { d.tid.offset = 2366; }, false},
           {[](GlibcDescription& d) { d.tid.offset = 721; }, false},
           {[](GlibcDescription& d) { d.start_routine.offset = UINT32_MAX - 7; }, false},
           {[](GlibcDescription& d) { d.start_routine = {}; }, false},
           {[](GlibcDescription& d) { d.version = "2.31"; }, true},
           {[](GlibcDescription& d) { d.version = ""; }, true},
           {[](GlibcDescription& d) { d.version = "two"; }, true},
           {[](GlibcDescription& d) { d.list = {}; }, true},
           {[](GlibcDescription& d) { d.list_next.offset = 8; }, true},
           {[](GlibcDescription& d) { d.nextevent.offset = 2360; }, true},
           {[](GlibcDescription& d) { d.start_routine.offset = 16; }, true},
           {[](GlibcDescription& d) { d.cancelhandling.count = 2; }, true}}) {
    GlibcDescription description = glibc_2_36();
    change(description);
    const auto layout = interpret(description);
    EXPECT_EQ(static_cast<bool>(layout), lists_alone);
    EXPECT_TRUE(!layout || !layout->no_lists.empty());
  }
}

TEST(PthreadCounts, WhoIsWaitedForIsBeingJoined) {
  auto layout = interpret(glibc_2_36());
  const std::vector<PthreadEntry> entries{{.descriptor = 0x10000, .tid = 7},
                                          {.descriptor = 0x20000, .tid = 8},
                                          {.descriptor = 0x30000, .tid = 0, .cancelhandling = kExiting},
                                          {.descriptor = 0x40000, .tid = 0, .cancelhandling = kExiting},
                                          {.descriptor = 0x50000, .tid = 9, .joinid = 0x50000},
                                          {.descriptor = 0x60000, .tid = 10, .joinid = 0x10000}};
  loiter_thread joiner{};
  joiner.marks = LOITER_MARK_REGS;
  joiner.regs.syscall = SYS_futex;
  joiner.regs.args[0] = 0x20000 + layout->tid;
  joiner.regs.args[1] = 9 | 256;  // FUTEX_WAIT_BITSET, CLOCK_REALTIME
  Futexes futexes;
  add_futexes(joiner, futexes);
  joiner.regs.args[0] = 0x30000 + layout->tid;
  add_futexes(joiner, futexes);
  joiner.marks = 0;
  joiner.regs.args[0] = 0x10000 + layout->tid;
  add_futexes(joiner, futexes);  // nothing is known of it
  const PthreadCounts counts = count_pthreads(*layout, entries, {3}, futexes, {});
  EXPECT_EQ(counts.live, 1u);
  EXPECT_EQ(counts.joining, 3u);
  EXPECT_EQ(counts.detached, 1u);
  EXPECT_EQ(counts.unclear, 0u);
  ASSERT_EQ(counts.unjoined.size(), 1u);
  EXPECT_EQ(counts.unjoined[0].stack_bytes, std::nullopt) << "nothing is mapped";
}

TEST(PthreadStack, IsBelievedWhereItIsMapped) {
  std::vector<Mapping> mappings(3);
  mappings[0].start = 0x10000;
  mappings[0].end = mappings[1].start = 0x11000;
  mappings[1].end = 0x20000;
  mappings[2].start = 0x30000;
  mappings[2].end = 0x40000;
  mappings[2].inode = 5;
  PthreadEntry good{.descriptor = 0x1f000, .stack = 0x10000, .stack_size = 0x10000};
  EXPECT_TRUE(is_plausible_stack(good, mappings));
  for (const auto& change : std::vector<void (*)(PthreadEntry&)>{
           [](PthreadEntry& e) { e.stack_size = 0x11000; },
           [](PthreadEntry& e) { e.stack_size = UINT64_MAX; }, [](PthreadEntry& e) { e.stack_size = 0; },
           [](PthreadEntry& e) { e.stack = 0; }, [](PthreadEntry& e) { e.descriptor = 0x9000; },
           [](PthreadEntry& e) { e.stack = UINT64_MAX - 0xfff; },
           [](PthreadEntry& e) { e = {.descriptor = 0x31000, .stack = 0x30000, .stack_size = 0x10000}; }}) {
    PthreadEntry bad = good;
    change(bad);
    EXPECT_FALSE(is_plausible_stack(bad, mappings));
  }
  EXPECT_FALSE(is_plausible_stack(good, {}));
}

// --- lists -----------------------------------------------------------------------------------------

struct Links {
  Links* next = nullptr;
  Links* prev = nullptr;
};

struct Node {
  uint64_t before = 0;
  Links links;
  uint64_t value = 0;
};

class List {
 public:
  explicit List(size_t count) {
    head.next = head.prev = &head;
    for (size_t i = 0; i < count; ++i) {
      Node& node = nodes.emplace_back();
      node.value = 100 + i;
      node.links = {&head, head.prev};
      head.prev->next = &node.links;
      head.prev = &node.links;
    }
  }

  FollowedList walk(uint64_t most = 1000) {
    ListToFollow list{.head = reinterpret_cast<uint64_t>(&head), .place = 64, .most_nodes = most};
    list.ranges[0] = {0, 16};
    list.ranges[1] = {16, 8};
    list.ranges[2] = {-8, 8};
    return walk_list(getpid(), list, memory, error);
  }

  uint64_t word(size_t node, size_t index) const {
    uint64_t word = 0;
    std::memcpy(&word, memory.data() + 64 + node * 32 + index * 8, 8);
    return word;
  }

  Links& at(size_t node) { return nodes[node].links; }

  Links head;
  std::deque<Node> nodes;
  std::vector<std::byte> memory = std::vector<std::byte>(64 + 32 * 2000);
  int32_t error = 0;
};

TEST(FollowList, CopiesWhatLiesAroundEachNode) {
  List list(5);
  for (Node& node : list.nodes) node.before = node.value * 2;
  const FollowedList result = list.walk();
  EXPECT_EQ(result.end, FollowedList::End::closed);
  ASSERT_EQ(result.nodes, 5u);
  EXPECT_EQ(result.address, reinterpret_cast<uint64_t>(&list.at(4)));
  for (size_t i = 0; i < 5; ++i) {
    const Links* next = i == 4 ? &list.head : &list.at(i + 1);
    EXPECT_EQ(list.word(i, 0), reinterpret_cast<uint64_t>(next));
    EXPECT_EQ(list.word(i, 2), 100 + i);
    EXPECT_EQ(list.word(i, 3), 200 + 2 * i);
  }
}

TEST(FollowList, OfNothingIsClosed) {
  List list(0);
  EXPECT_EQ(list.walk().end, FollowedList::End::closed);
  EXPECT_EQ(list.walk().nodes, 0u);
}

TEST(FollowList, ThatLiesEnds) {
  using End = FollowedList::End;
  {
    List list(5);
    list.at(3).next = &list.at(1);
    EXPECT_NE(list.walk().end, End::closed);
    list.at(1).prev = &list.at(3);  // so that the way back agrees
    EXPECT_EQ(list.walk().end, End::torn) << "the first way there did not";
  }
  {
    List list(5);
    list.at(4).next = &list.at(0);  // which points back at the head
    EXPECT_EQ(list.walk().end, End::torn);
    list.at(0).next = &list.at(0);
    EXPECT_EQ(list.walk().end, End::cycle);
  }
  {
    List list(5);
    list.at(2).next = reinterpret_cast<Links*>(16);
    EXPECT_EQ(list.walk().end, End::unreadable);
    list.at(2).next = reinterpret_cast<Links*>(~uintptr_t{0});
    EXPECT_EQ(list.walk().end, End::unreadable);
  }
  {
    List list(1500);
    EXPECT_EQ(list.walk().end, End::too_many);
    EXPECT_EQ(list.walk(UINT64_MAX).nodes, 1500u);
    EXPECT_EQ(list.walk(1500).end, End::closed);
  }
  {
    List list(3);
    list.head.prev = &list.at(0);
    EXPECT_EQ(list.walk().end, End::torn);
  }
}

TEST(FollowList, NeverWritesBeyondItsMemory) {
  List list(100);
  list.memory.resize(64 + 10 * 32);
  EXPECT_EQ(list.walk().end, FollowedList::End::too_many);
  list.memory.resize(32);
  list.walk();
  EXPECT_EQ(list.error, EINVAL);
}

// --- std::thread -----------------------------------------------------------------------------------

TEST(StdThread, IsKnownByTheTypeOfItsState) {
  EXPECT_TRUE(is_thread_state("NSt6thread11_State_implINS_8_InvokerISt5tupleIJ7FunctorEEEEEE"));
  EXPECT_TRUE(is_thread_state("*NSt6thread11_State_implINS_8_InvokerISt5tupleIJZ4mainEUlvE_EEEEE"));
  EXPECT_FALSE(is_thread_state("7Functor"));
  EXPECT_FALSE(is_thread_state(""));
  EXPECT_TRUE(runs_by_pointer("NSt6thread11_State_implINS_8_InvokerISt5tupleIJPFviEiEEEEEE"));
  EXPECT_TRUE(runs_by_pointer("NSt6thread11_State_implINS_8_InvokerISt5tupleIJM5ClassFvvEPS3_EEEEEE"));
  EXPECT_FALSE(runs_by_pointer("NSt6thread11_State_implINS_8_InvokerISt5tupleIJ7FunctorEEEEEE"));
}

TEST(StdThread, ItsCallableIsTheFirstOfTheTuple) {
  const auto state = [](const std::string& tuple) {
    return "std::thread::_State_impl<std::thread::_Invoker<std::tuple<" + tuple + "> > >";
  };
  EXPECT_EQ(callable_of(state("Functor")), "Functor");
  EXPECT_EQ(callable_of(state("Functor, int")), "Functor");
  EXPECT_EQ(callable_of(state("Pair<int, long>, int")), "Pair<int, long>");
  EXPECT_EQ(callable_of(state("main::{lambda(int, int)#1} ")), "main::{lambda(int, int)#1}");
  EXPECT_EQ(callable_of(state("void (*)(int, char), int")), "void (*)(int, char)");
  EXPECT_EQ(callable_of("Functor"), "Functor");
  EXPECT_EQ(callable_of("_Invoker<std::tuple<a<b"), "_Invoker<std::tuple<a<b");
}

}  // namespace
}  // namespace loiter
