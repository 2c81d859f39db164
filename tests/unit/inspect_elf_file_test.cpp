// ELF files: true ones, cut ones, and ones that lie.
#include "daemon/inspect/parser/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/stack_parser.h"

namespace loiter {
namespace {

Fd memory_file(const std::string& content) {
  Fd file(memfd_create("elf", MFD_CLOEXEC));
  EXPECT_EQ(write(file.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  return file;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::shared_ptr<ElfFile> open_bytes(const std::string& content) {
  return ElfFile::open(memory_file(content), native_architecture().elf_machine);
}

// A small program that every Debian has.
const std::string& program() {
  static const std::string content = content_of("/usr/bin/true");
  return content;
}

Elf64_Ehdr& header_of(std::string& content) {
  return *reinterpret_cast<Elf64_Ehdr*>(content.data());
}

TEST(ElfFile, TellsWhatItIs) {
  const auto file = open_bytes(program());
  ASSERT_TRUE(file);
  EXPECT_EQ(file->facts().build_id.size(), 40u);
  EXPECT_EQ(file->facts().build_id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(file->facts().debug_link, file->facts().build_id.substr(2) + ".debug");
  EXPECT_FALSE(file->facts().has_symbols) << "Debian strips";
  EXPECT_FALSE(file->facts().has_lines);
}

TEST(ElfFile, WithoutSectionsTheBuildIdStays) {
  std::string content = program();
  header_of(content).e_shoff = 0;
  header_of(content).e_shnum = header_of(content).e_shstrndx = 0;
  const auto file = open_bytes(content);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->facts().build_id, open_bytes(program())->facts().build_id);
  EXPECT_EQ(file->facts().debug_link, "");
}

TEST(ElfFile, AddressesFollowTheProgramHeaders) {
  const auto file = open_bytes(program());
  std::string content = program();
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(content.data() + header_of(content).e_phoff);
  size_t checked = 0;
  for (int i = 0; i < header_of(content).e_phnum; ++i) {
    if (segments[i].p_type != PT_LOAD || !(segments[i].p_flags & PF_X)) continue;
    EXPECT_EQ(file->address_of(segments[i].p_offset), segments[i].p_vaddr);
    EXPECT_EQ(file->address_of(segments[i].p_offset + 17), segments[i].p_vaddr + 17);
    EXPECT_TRUE(file->is_code(segments[i].p_vaddr));
    EXPECT_EQ(file->bytes_at(segments[i].p_vaddr, 8).data() != nullptr, true);
    EXPECT_EQ(
        std::memcmp(file->bytes_at(segments[i].p_vaddr, 8).data(), content.data() + segments[i].p_offset, 8),
        0);
    ++checked;
  }
  EXPECT_EQ(checked, 1u);
  EXPECT_EQ(file->address_of(uint64_t{1} << 40), std::nullopt);
  EXPECT_FALSE(file->is_code(uint64_t{1} << 40));
  EXPECT_TRUE(file->bytes_at(uint64_t{1} << 40, 8).empty());
  EXPECT_TRUE(file->bytes_at(UINT64_MAX, 8).empty());
}

TEST(ElfFile, OtherMachinesAndKindsAreRefused) {
  for (const auto& [change, what] : std::vector<std::pair<void (*)(Elf64_Ehdr&), const char*>>{
           {[](Elf64_Ehdr& header) { header.e_machine = EM_S390; }, "machine"},
           {[](Elf64_Ehdr& header) { header.e_type = ET_REL; }, "relocatable"},
           {[](Elf64_Ehdr& header) { header.e_type = ET_CORE; }, "core"},
           {[](Elf64_Ehdr& header) { header.e_ident[EI_CLASS] = ELFCLASS32; }, "class"},
           {[](Elf64_Ehdr& header) { header.e_ident[EI_DATA] = ELFDATA2MSB; }, "byte order"},
           {[](Elf64_Ehdr& header) { header.e_ident[EI_MAG3] = 'G'; }, "magic"},
           {[](Elf64_Ehdr& header) { header.e_phnum = 0; }, "no segments"},
           {[](Elf64_Ehdr& header) { header.e_phoff = UINT64_MAX - 8; }, "segments elsewhere"}}) {
    std::string content = program();
    change(header_of(content));
    EXPECT_FALSE(open_bytes(content)) << what;
  }
}

TEST(ElfFile, SameContentIsOneFileOnlyForOneOwner) {
  const auto a = open_bytes(program()), b = open_bytes(program());
  EXPECT_TRUE(a->is_same(*b));
  std::string other = program();
  other.back() = static_cast<char>(other.back() ^ 1);
  EXPECT_FALSE(a->is_same(*open_bytes(other))) << "the build id is the same, the content is not";
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  Fd foreign = memory_file(program());
  ASSERT_EQ(fchown(foreign.get(), 12345, 12345), 0);
  EXPECT_FALSE(a->is_same(*ElfFile::open(std::move(foreign), native_architecture().elf_machine)));
}

// Whatever a file holds: the parser answers, and stays within what it was asked.
bool expect_survives(const std::string& content) {
  StackParser parser;
  const bool valid = parser.add_module(1, memory_file(content)).valid;
  parser.add_debug_file(1, memory_file(content));
  loiter_regs regs{};
  std::vector<std::byte> stack(4096);
  for (size_t i = 0; i < stack.size(); i += 8) {
    const uint64_t word = 0x400000 + i * 7;
    std::memcpy(stack.data() + i, &word, 8);
  }
  regs.sp = 0x7000'0000;
  for (uint64_t offset = 0; offset < content.size(); offset += 997) {
    regs.ip = 0x400000 + offset;
    const UnwindReply reply = parser.unwind({.mappings = {{0x400000, 0x400000 + content.size(), 0, 1}},
                                             .jobs = {{&regs, 0x7000'0000, stack, false}}});
    EXPECT_EQ(reply.stacks.size(), 1u);
    EXPECT_GE(reply.stacks.at(0).places.size(), 1u);
    for (const uint32_t place : reply.stacks.at(0).places) EXPECT_LT(place, reply.places.size());
  }
  return valid;
}

TEST(ElfFile, CutAtAnyPlace) {
  int valid = 0;
  for (size_t size = 0; size < program().size(); size = size * 5 / 4 + 7)
    valid += expect_survives(program().substr(0, size));
  EXPECT_GT(valid, 0) << "headers may be whole where the rest is not";
}

TEST(ElfFile, WithRandomBytes) {
  uint64_t state = 1;
  int valid = 0;
  for (int round = 0; round < 60; ++round) {
    std::string content = program();
    for (int i = 0; i < 40; ++i) {
      state = state * 6364136223846793005 + 1442695040888963407;
      // Half of them in the headers, at the beginning and at the end.
      const size_t span = i % 2 ? content.size() : 1024;
      const size_t at = (state >> 20) % span;
      content[i % 4 == 0 ? content.size() - 1 - at : at] = static_cast<char>(state >> 55);
    }
    std::memcpy(content.data(), program().data(), EI_NIDENT + 8);
    valid += expect_survives(content);
  }
  EXPECT_GT(valid, 20);
}

}  // namespace
}  // namespace loiter
