// Names looked up in symbol tables: held against what the dynamic linker of this very process says, and
// against a program whose tables are taken away one by one.
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>

#include <fstream>
#include <iterator>

#include "daemon/inspect/parser/stack_parser.h"
#include "tests/unit/inspect_program.h"

namespace loiter {
namespace {

using test::Directory;
using test::InspectProgram;

struct Libc {
  std::string path;
  uint64_t base = 0;
};

Libc own_libc() {
  Dl_info info{};
  EXPECT_NE(dladdr(dlsym(RTLD_DEFAULT, "pthread_create"), &info), 0);
  return {info.dli_fname, reinterpret_cast<uint64_t>(info.dli_fbase)};
}

Fd open_file(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(file) << path;
  return file;
}

std::vector<FoundSymbol> find_in(const std::string& path, const std::vector<std::string>& names) {
  StackParser parser;
  EXPECT_TRUE(parser.add_module(1, open_file(path)).valid);
  return parser.find_symbols(1, names);
}

TEST(FindSymbols, AreWhereTheDynamicLinkerHasThem) {
  const Libc libc = own_libc();
  const std::vector<std::string> names{"pthread_create", "environ", "no_such_function", "pthread_join"};
  const auto found = find_in(libc.path, names);
  ASSERT_EQ(found.size(), names.size());
  for (const size_t i : {0, 1, 3}) {
    SCOPED_TRACE(names[i]);
    EXPECT_TRUE(found[i].found);
    EXPECT_EQ(found[i].address + libc.base,
              reinterpret_cast<uint64_t>(dlsym(RTLD_DEFAULT, names[i].c_str())));
    EXPECT_EQ(found[i].is_code, i != 1);
    EXPECT_GT(found[i].size, 0u);
  }
  EXPECT_FALSE(found[2].found);
  EXPECT_FALSE(found[1].has_offset) << "it is zero at the start, and so in no file";
}

TEST(FindSymbols, OfSeveralVersionsTheDefaultOneIsTaken) {
  const Libc libc = own_libc();
  void* now = dlvsym(RTLD_DEFAULT, "pthread_cond_wait", "GLIBC_2.3.2");
  void* before = dlvsym(RTLD_DEFAULT, "pthread_cond_wait", "GLIBC_2.2.5");
  if (!now || !before || now == before) GTEST_SKIP() << "this libc has one version of it";
  const auto found = find_in(libc.path, {"pthread_cond_wait"});
  EXPECT_EQ(found.at(0).address + libc.base, reinterpret_cast<uint64_t>(now));
}

TEST(FindSymbols, OffsetsLeadToTheCode) {
  const Libc libc = own_libc();
  const auto found = find_in(libc.path, {"pthread_create"});
  ASSERT_TRUE(found.at(0).has_offset);
  std::ifstream file(libc.path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(found[0].file_offset));
  char bytes[16];
  ASSERT_TRUE(file.read(bytes, sizeof(bytes)));
  EXPECT_EQ(std::memcmp(bytes, dlsym(RTLD_DEFAULT, "pthread_create"), sizeof(bytes)), 0);
}

TEST(FindSymbols, ComeFromTheDebugFileWhereTheModuleHasNone) {
  if (!InspectProgram::available()) GTEST_SKIP() << "needs gcc and objcopy on x86-64";
  const Directory directory;
  const InspectProgram program(directory, {"-g", "-pie", "-fPIE"});
  const std::vector<std::string> names{"main", "saved", "with_alloca"};
  const auto whole = find_in(program.path(), names);
  for (const FoundSymbol& symbol : whole) EXPECT_TRUE(symbol.found);
  EXPECT_TRUE(whole[0].is_code && whole[0].has_offset);
  EXPECT_FALSE(whole[1].is_code);
  const std::string debug = directory / "debug", stripped = directory / "stripped";
  test::must_run({"/usr/bin/objcopy", "--only-keep-debug", program.path(), debug});
  test::must_run({"/usr/bin/objcopy", "--strip-all", program.path(), stripped});
  StackParser parser;
  ASSERT_TRUE(parser.add_module(1, open_file(stripped)).valid);
  EXPECT_FALSE(parser.find_symbols(1, names).at(0).found);
  ASSERT_TRUE(parser.add_debug_file(1, open_file(debug)).valid);
  const auto found = parser.find_symbols(1, names);
  for (size_t i = 0; i < names.size(); ++i) {
    SCOPED_TRACE(names[i]);
    EXPECT_TRUE(found[i].found);
    EXPECT_EQ(found[i].address, whole[i].address);
    EXPECT_EQ(found[i].size, whole[i].size);
    EXPECT_EQ(found[i].file_offset, whole[i].file_offset);
    EXPECT_EQ(found[i].is_code, whole[i].is_code);
  }
}

TEST(FindSymbols, OfWhatIsNoModuleNothingIsFound) {
  StackParser parser;
  const std::vector<std::string> names{"main"};
  EXPECT_FALSE(parser.find_symbols(5, names).at(0).found);
  parser.add_module(1, open_file("/dev/null"));
  EXPECT_FALSE(parser.find_symbols(1, names).at(0).found);
  EXPECT_TRUE(parser.find_symbols(1, {}).empty());
}

// Tables cut off, and with wild sizes and links.
TEST(FindSymbols, TablesThatLieDoNoHarm) {
  const Libc libc = own_libc();
  std::ifstream file(libc.path, std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(file), {}};
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(good.data());
  const Directory directory;
  for (int i = 0; i < header.e_shnum; ++i) {
    std::string bad = good;
    auto* section = reinterpret_cast<Elf64_Shdr*>(bad.data() + header.e_shoff) + i;
    const uint32_t type = section->sh_type;
    if (type != SHT_DYNSYM && type != SHT_STRTAB && type != SHT_GNU_versym) continue;
    for (int wrong = 0; wrong < 4; ++wrong) {
      if (wrong == 0) section->sh_size = 25;
      if (wrong == 1) section->sh_offset = UINT64_MAX - 100;
      if (wrong == 2) section->sh_link = 0xfffe;
      if (wrong == 3) section->sh_entsize = 1;
      const std::string path = directory / ("bad" + std::to_string(i) + std::to_string(wrong));
      std::ofstream(path, std::ios::binary) << bad;
      StackParser parser;
      if (!parser.add_module(1, open_file(path)).valid) continue;
      for (const FoundSymbol& symbol : parser.find_symbols(1, std::vector<std::string>{"pthread_create"}))
        EXPECT_TRUE(!symbol.has_offset || symbol.file_offset < good.size());
    }
  }
}

}  // namespace
}  // namespace loiter
