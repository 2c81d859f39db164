// Tables of functions, perf maps, and names as people write them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "daemon/inspect/parser/demangle.h"
#include "daemon/inspect/parser/function_table.h"
#include "daemon/inspect/parser/perf_map.h"

namespace loiter {
namespace {

std::string at(const FunctionTable& table, uint64_t address) {
  return std::string(table.find(address).value_or("?"));
}

TEST(FunctionTable, FindsWhatCoversAnAddress) {
  FunctionTable table({});
  table.add("second", 0x200, 0x10);
  table.add("first", 0x100, 0x80);
  table.finish(true);
  EXPECT_EQ(at(table, 0xff), "?");
  EXPECT_EQ(at(table, 0x100), "first");
  EXPECT_EQ(at(table, 0x17f), "first");
  EXPECT_EQ(at(table, 0x180), "?") << "the gap between two has no name";
  EXPECT_EQ(at(table, 0x20f), "second");
  EXPECT_EQ(at(table, 0x210), "?");
  EXPECT_EQ(table.start_of(0x17f), 0x100u);
}

TEST(FunctionTable, OfManyNamesThePlainestStays) {
  for (const bool forwards : {true, false}) {
    FunctionTable table({});
    std::vector<std::string> names{"__GI___libc_read", "__libc_read", "read@@GLIBC_2.2.5", "__read"};
    if (!forwards) std::reverse(names.begin(), names.end());
    for (const std::string& name : names) table.add(name, 0x100, 0x80);
    table.finish(true);
    EXPECT_EQ(at(table, 0x120), "read");
    EXPECT_EQ(table.size(), 1u);
  }
}

TEST(FunctionTable, FunctionsWithoutASizeReachToTheNext) {
  FunctionTable table({});
  table.add("label_within", 0x120, 0);
  table.add("sized", 0x100, 0x80);
  table.add("open", 0x180, 0);
  table.add("next", 0x200, 0x10);
  table.add("last", 0x300, 0);
  table.finish(true);
  EXPECT_EQ(at(table, 0x130), "sized");
  EXPECT_EQ(at(table, 0x1ff), "open");
  EXPECT_EQ(at(table, 0x200), "next");
  EXPECT_EQ(at(table, 0x999), "last");
}

TEST(FunctionTable, WhereNotAllAreKnownOneWithoutASizeNamesNothing) {
  FunctionTable table({});
  table.add("open", 0x180, 0);
  table.add("sized", 0x200, 0x10);
  table.finish(false);
  EXPECT_EQ(at(table, 0x180), "?");
  EXPECT_EQ(at(table, 0x200), "sized");
}

TEST(FunctionTable, NestedAndHostile) {
  FunctionTable table({.functions = 3, .name_bytes = 8});
  EXPECT_TRUE(table.add("outer", 0x100, 0x100));
  EXPECT_TRUE(table.add("inner", 0x140, 0x10));
  EXPECT_TRUE(table.add("a_very_long_name", UINT64_MAX - 16, UINT64_MAX));
  EXPECT_FALSE(table.add("one too many", 1, 1));
  EXPECT_EQ(table.left_out(), 1u);
  table.finish(true);
  EXPECT_EQ(at(table, 0x148), "inner");
  EXPECT_EQ(at(table, 0x150), "outer");
  EXPECT_EQ(at(table, UINT64_MAX - 2), "a_ver...");
  FunctionTable cut({.name_bytes = 8});
  cut.add("a_very_long_name", 0x100, 1);
  cut.add("", 0x200, 1);
  cut.finish(true);
  EXPECT_EQ(at(cut, 0x100), "a_ver...");
  EXPECT_EQ(at(cut, 0x200), "?");
}

TEST(Demangle, CppAndBothSchemesOfRust) {
  EXPECT_EQ(demangle("_ZN6Worker4lockEi", 4096), "Worker::lock(int)");
  EXPECT_EQ(demangle("_ZN6Worker4lockEi.isra.0", 4096), "Worker::lock(int) [clone .isra.0]");
  EXPECT_EQ(demangle_type("St6threadI6WorkerE", 4096), "std::thread<Worker>");
  EXPECT_EQ(demangle_type("*6Worker", 4096), "Worker");
  EXPECT_EQ(demangle_type("no type", 4096), "no type");
  EXPECT_EQ(demangle("_Z3runIiEvT_", 4096), "run<int>(int)") << "without the type of its result";
  EXPECT_EQ(demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", 4096),
            "core::fmt::Write::write_fmt");
  EXPECT_EQ(demangle("_RNvCs1234_7mycrate3foo", 4096), "mycrate::foo");
}

TEST(Demangle, OtherNamesPass) {
  for (const char* name :
       {"", "main", "_start", "_Z", "_ZN", "_R", "_Znonsense", "a\xff\nb", "__libc_start_main"})
    EXPECT_EQ(demangle(name, 4096), name);
}

TEST(Demangle, WhatGrowsWithoutEndIsCut) {
  // Each level doubles what the one before stands for.
  // S_ is A, S0_ is A<int, int>, each further one made of two of those before.
  std::string name = "_Z1f1AIiiE";
  const std::string digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (size_t i = 0; i < 30; ++i) name += std::string("S_I") + "S" + digits[i] + "_S" + digits[i] + "_E";
  const std::string cut = demangle(name, 1000);
  EXPECT_EQ(cut.size(), 1000u);
  EXPECT_TRUE(cut.starts_with("f(A<int, int>, A<A<int, int>, A<int, int> >, "));
  EXPECT_TRUE(cut.ends_with("..."));
  EXPECT_EQ(demangle(std::string(5000, 'x'), 1000).size(), 1000u);
  EXPECT_EQ(demangle("_Z" + std::string(5000, 'P'), 1000).size(), 1000u);
}

std::string at(const PerfMap& map, uint64_t address) {
  return std::string(map.find(address).value_or("?"));
}

TEST(PerfMap, LinesOfAJit) {
  const PerfMap map("7f00 80 Interpreted: main\n0x8000 0x10 LazyCompile:~f x.js:1\n", {});
  EXPECT_EQ(map.size(), 2u);
  EXPECT_EQ(at(map, 0x7eff), "?");
  EXPECT_EQ(at(map, 0x7f00), "Interpreted: main");
  EXPECT_EQ(at(map, 0x7f7f), "Interpreted: main");
  EXPECT_EQ(at(map, 0x7f80), "?");
  EXPECT_EQ(at(map, 0x800f), "LazyCompile:~f x.js:1");
}

TEST(PerfMap, LaterLinesHideEarlierOnes) {
  const PerfMap map("1000 100 old\n1040 20 inner\n10f0 100 tail\n1000 10 head\n2000 10 a\n2000 10 b\n", {});
  EXPECT_EQ(at(map, 0x1000), "head");
  EXPECT_EQ(at(map, 0x1010), "old");
  EXPECT_EQ(at(map, 0x1040), "inner");
  EXPECT_EQ(at(map, 0x105f), "inner");
  EXPECT_EQ(at(map, 0x1060), "old");
  EXPECT_EQ(at(map, 0x10f0), "tail");
  EXPECT_EQ(at(map, 0x11ef), "tail");
  EXPECT_EQ(at(map, 0x11f0), "?");
  EXPECT_EQ(at(map, 0x2000), "b");
  const PerfMap covered("1040 20 inner\n1000 100 all\n", {});
  EXPECT_EQ(at(covered, 0x1050), "all");
}

// The same as asking the lines one by one, from the last.
TEST(PerfMap, AgreesWithASearchLineByLine) {
  std::string text;
  std::vector<std::array<uint64_t, 2>> lines;
  uint64_t state = 42;
  for (int i = 0; i < 300; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    lines.push_back({state >> 33 & 0x3ff, (state >> 50 & 0x3f) + 1});
    char line[64];
    std::snprintf(line, sizeof(line), "%lx %lx n%d\n", lines.back()[0], lines.back()[1], i);
    text += line;
  }
  const PerfMap map(text, {});
  for (uint64_t address = 0; address < 0x480; ++address) {
    std::string expected = "?";
    for (size_t i = 0; i < lines.size(); ++i)
      if (address >= lines[i][0] && address - lines[i][0] < lines[i][1]) expected = "n" + std::to_string(i);
    EXPECT_EQ(at(map, address), expected) << address;
  }
}

TEST(PerfMap, NonsenseIsSkipped) {
  const PerfMap map(
      "\n \nx\n10\n10 10\n10 10 \nzz 10 a\n10 zz a\n-1 10 a\n10 0 empty\nffffffffffffffff 10 wraps\n"
      "11111111111111111 1 too long\n20 10 good\n30 10 no newline",
      {});
  EXPECT_EQ(map.size(), 2u);
  EXPECT_EQ(at(map, 0x25), "good");
  EXPECT_EQ(at(map, 0x35), "no newline");
  EXPECT_EQ(at(map, 0x10), "?");
}

TEST(PerfMap, NamesAreBytesAndBounded) {
  const PerfMap map("10 10 a\xff\x1b[31m\r\n20 10 " + std::string(100, 'n') + "\n", {.name_bytes = 10});
  EXPECT_EQ(at(map, 0x10), "a\xff\x1b[31m\r");
  EXPECT_EQ(at(map, 0x20), "nnnnnnn...");
  const PerfMap few("10 10 a\n20 10 b\n30 10 c\n", {.entries = 2});
  EXPECT_TRUE(few.cut());
  EXPECT_EQ(few.size(), 2u);
  const PerfMap small("10 10 a\n20 10 b\n", {.bytes = 9});
  EXPECT_TRUE(small.cut());
  EXPECT_EQ(small.size(), 1u);
  EXPECT_FALSE(map.cut());
}

TEST(PerfMap, AnUnreadableFileIsNone) {
  EXPECT_FALSE(PerfMap::read(-1, {}));
  const int directory = open("/", O_RDONLY | O_CLOEXEC);
  EXPECT_FALSE(PerfMap::read(directory, {}));
  close(directory);
}

}  // namespace
}  // namespace loiter
