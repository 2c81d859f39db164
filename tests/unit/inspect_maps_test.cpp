// /proc/PID/maps: real ones, and what a hostile path makes of a line.
#include "daemon/inspect/maps.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>
#include <sstream>

namespace loiter::test {
namespace {

TEST(Maps, OfThisProcessHoldWhatItMapped) {
  void* data = mmap(nullptr, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::ifstream file("/proc/self/maps");
  std::stringstream text;
  text << file.rdbuf();
  const std::vector<Mapping> mappings = parse_maps(text.str());
  const Mapping* mapping = find_mapping(mappings, reinterpret_cast<uint64_t>(data) + 4096);
  ASSERT_NE(mapping, nullptr);
  EXPECT_TRUE(mapping->readable);
  EXPECT_FALSE(mapping->executable);
  const Mapping* code = find_mapping(mappings, reinterpret_cast<uint64_t>(&parse_maps));
  ASSERT_NE(code, nullptr);
  EXPECT_TRUE(code->executable);
  EXPECT_NE(code->inode, 0u);
  EXPECT_TRUE(code->path.ends_with("unit_tests"));
  munmap(data, 3 * 4096);
}

TEST(Maps, OneLineFieldByField) {
  const auto maps = parse_maps("7f00-8000 r-xp 00001000 fe:01 77 /tmp/a b (deleted)\n");
  ASSERT_EQ(maps.size(), 1u);
  EXPECT_EQ(maps[0].start, 0x7f00u);
  EXPECT_EQ(maps[0].end, 0x8000u);
  EXPECT_EQ(maps[0].offset, 0x1000u);
  EXPECT_EQ(maps[0].device_major, 0xfeu);
  EXPECT_EQ(maps[0].device_minor, 1u);
  EXPECT_EQ(maps[0].inode, 77u);
  EXPECT_EQ(maps[0].path, "/tmp/a b");
  EXPECT_TRUE(maps[0].deleted);
  EXPECT_TRUE(maps[0].executable);
}

TEST(Maps, WhatIsNoMappingIsLeftOut) {
  const auto maps = parse_maps(
      "nonsense\n\n"
      "2000-1000 r-xp 00000000 00:00 0\n"
      "1000-2000 r-xp 00000000 00:00 0 \n"
      "1800-3000 r-xp 00000000 00:00 0 [overlaps]\n"
      "3000-4000 r-x");
  ASSERT_EQ(maps.size(), 1u);
  EXPECT_EQ(maps[0].start, 0x1000u);
  EXPECT_EQ(maps[0].path, "");
}

TEST(Maps, NoMoreThanTheLimit) {
  std::string text;
  for (int i = 1; i <= 100; ++i) {
    std::ostringstream line;
    line << std::hex << i * 0x1000 << "-" << i * 0x1000 + 0x800 << " rw-p 00000000 00:00 0 \n";
    text += line.str();
  }
  EXPECT_EQ(parse_maps(text, 10).size(), 10u);
  const auto all = parse_maps(text);
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(find_mapping(all, 0x1000 + 0x900), nullptr);
  EXPECT_EQ(find_mapping(all, 0xfff), nullptr);
  EXPECT_EQ(find_mapping(all, 100 * 0x1000 + 0x7ff), &all.back());
}

}  // namespace
}  // namespace loiter::test
