// Stacks of a real process, unwound and named: built in the ways that programs are built.
#include "daemon/inspect/parser/stack_parser.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstring>
#include <fstream>

#include "tests/unit/inspect_program.h"

namespace loiter {
namespace {

using test::Directory;
using test::InspectProgram;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using Names = std::vector<std::string>;

Fd open_file(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(file) << path;
  return file;
}

// Lets a process that opens a FIFO for reading go on, at the latest when the test ends: it must not outlive
// it.
struct FifoReader {
  std::string path;
  bool released = false;
  void release() {
    // ENXIO until the reader is there.
    const auto opened = [&] {
      return static_cast<bool>(Fd(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)));
    };
    released = released || test::await("somebody reads the FIFO", opened);
  }
  ~FifoReader() { release(); }
};

// The parser with all files of a process; the program's own may be given another way.
struct Session {
  StackParser parser;
  test::TargetCode code;
  ModuleKey own = 0;

  explicit Session(const InspectProgram& program, const std::string& own_file = "",
                   const StackParser::Limits& limits = {})
      : parser(limits), code(test::code_of(program.pid())) {
    for (const test::TargetFile& file : code.files) {
      const bool is_own = file.path == program.path();
      if (is_own) own = file.key;
      Fd opened =
          is_own && !own_file.empty() ? open_file(own_file) : test::open_target_file(program.pid(), file);
      EXPECT_TRUE(parser.add_module(file.key, std::move(opened)).valid) << file.path;
    }
  }

  UnwindReply unwind(const test::StackCopy& copy, bool with_lines = true) {
    return parser.unwind({.mappings = code.mappings, .jobs = {copy.job()}, .with_lines = with_lines});
  }
};

// Function names from the innermost out, those of inlined ones in brackets; up to and with main.
Names names_of(const UnwindReply& reply, size_t stack = 0) {
  Names names;
  for (const uint32_t index : reply.stacks.at(stack).places)
    for (const CodeLine& line : reply.places.at(index).lines) {
      names.push_back(line.inlined ? "[" + line.symbol + "]" : line.symbol);
      if (line.symbol == "main") return names;
    }
  return names;
}

const Names kPlain{
    "wait_here", "[inlined_inner]", "[inlined_outer]", "with_inlining", "with_alloca", "realigned", "main"};
const Names kPlainWithoutLines{"wait_here", "with_inlining", "with_alloca", "realigned", "main"};

#define NEED_COMPILER() \
  if (!InspectProgram::available()) GTEST_SKIP() << "needs gcc and objcopy on x86-64"

// The last frame is _start, and nothing but its rules says so.
void expect_whole(const UnwindReply& reply) {
  ASSERT_EQ(reply.stacks.size(), 1u);
  EXPECT_EQ(reply.stacks[0].cut, Cut::none) << to_string(reply.stacks[0].cut);
  const CodePlace& last = reply.places.at(reply.stacks[0].places.back());
  EXPECT_EQ(last.lines.back().symbol, "_start");
}

struct Build {
  const char* name;
  std::vector<std::string> flags;
  bool lines = true;
};

class StackOfBuild : public ::testing::TestWithParam<Build> {};

TEST_P(StackOfBuild, IsThatOfTheSource) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, GetParam().flags);
  program.start({"plain"});
  Session session(program);
  const UnwindReply reply = session.unwind(program.stack());
  EXPECT_THAT(names_of(reply), ElementsAreArray(GetParam().lines ? kPlain : kPlainWithoutLines));
  expect_whole(reply);
}

INSTANTIATE_TEST_SUITE_P(
    All, StackOfBuild,
    ::testing::Values(Build{"Pie", {"-g", "-pie", "-fPIE"}}, Build{"NoPie", {"-g", "-no-pie", "-fno-pie"}},
                      Build{"Static", {"-g", "-static"}}, Build{"StaticPie", {"-g", "-static-pie"}},
                      Build{"Dwarf4", {"-g", "-gdwarf-4"}}, Build{"CompressedDwarf", {"-g", "-gz"}},
                      Build{"TypeUnits", {"-g", "-fdebug-types-section"}},
                      Build{"WithoutDebugInformation", {"-g0"}, false},
                      Build{"NoEhFrameHeader", {"-g", "-Wl,--no-eh-frame-hdr"}},
                      Build{"DebugFrameAlone",
                            {"-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"}},
                      Build{"OneSegment", {"-g", "-Wl,-z,noseparate-code"}},
                      Build{"NoBuildId", {"-g", "-Wl,--build-id=none"}}),
    [](const auto& info) { return info.param.name; });

// Where the return addresses lie: up to the frame that is as large as its frame pointer says.
TEST(StackParser, TellsTheSlotsOfReturnAddresses) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g"});
  program.start({"plain"});
  Session session(program);
  const test::StackCopy copy = program.stack();
  EXPECT_TRUE(session.unwind(copy).stacks[0].slots.empty()) << "nobody asked";
  const UnwindReply reply = session.parser.unwind(
      {.mappings = session.code.mappings, .jobs = {copy.job()}, .with_lines = false, .with_slots = true});
  const Stack& stack = reply.stacks.at(0);
  const Names names = names_of(reply);
  const auto alloca_at = std::find(names.begin(), names.end(), "with_alloca") - names.begin();
  ASSERT_EQ(stack.slots.size(), static_cast<size_t>(alloca_at)) << "its own return address is not fixed";
  for (size_t i = 0; i < stack.slots.size(); ++i) {
    uint64_t word = 0;
    const uint64_t at = copy.regs.sp - copy.start + stack.slots[i];
    ASSERT_LE(at + sizeof(word), copy.memory.size());
    std::memcpy(&word, copy.memory.data() + at, sizeof(word));
    EXPECT_EQ(word, reply.places.at(stack.places[i + 1]).pc) << "slot " << i;
  }
}

TEST(StackParser, TellsFileAndLineOfEachFunction) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g"});
  program.start({"plain"});
  Session session(program);
  const UnwindReply reply = session.unwind(program.stack());
  const CodePlace& place = reply.places.at(reply.stacks[0].places.at(1));
  ASSERT_EQ(place.lines.size(), 3u);
  const char* marks[] = {"inner", "outer", "holder"};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(place.lines[i].file, directory / InspectProgram::source_name());
    EXPECT_EQ(place.lines[i].line, InspectProgram::line_of(marks[i]));
    EXPECT_EQ(place.lines[i].inlined, i < 2);
  }
  EXPECT_EQ(reply.places.at(reply.stacks[0].places.at(2)).lines[0].line, InspectProgram::line_of("alloca"));
}

TEST(StackParser, WithoutLinesFunctionsStay) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g"});
  program.start({"plain"});
  Session session(program);
  const UnwindReply reply = session.unwind(program.stack(), false);
  EXPECT_THAT(names_of(reply), ElementsAreArray(kPlainWithoutLines));
  for (const CodePlace& place : reply.places) EXPECT_EQ(place.lines.at(0).line, 0u);
}

TEST(StackParser, OffsetsAreThoseOfTheFile) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g"});
  program.start({"plain"});
  Session session(program);
  const UnwindReply reply = session.unwind(program.stack());
  const CodePlace& place = reply.places.at(reply.stacks[0].places.at(1));
  EXPECT_EQ(place.module, session.own);
  char offset[32];
  std::snprintf(offset, sizeof(offset), "0x%llx", static_cast<unsigned long long>(place.offset - 1));
  const test::RunResult result = test::run({"/usr/bin/addr2line", "-i", "-f", "-e", program.path(), offset});
  EXPECT_TRUE(result.out.starts_with("inlined_inner\n")) << result.out << result.err;
}

TEST(StackParser, AThreadInLibcHasTheNamesThatLibcExports) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g"});
  program.start({"libc"});
  Session session(program);
  const UnwindReply reply = session.unwind(program.stack());
  EXPECT_THAT(names_of(reply), ElementsAre("read", "in_libc", "main"));
  EXPECT_EQ(reply.places.at(reply.stacks[0].places.at(0)).export_name, "read");
  EXPECT_EQ(reply.places.at(reply.stacks[0].places.at(1)).export_name, "") << "the program exports nothing";
  EXPECT_EQ(reply.places.at(reply.stacks[0].places.at(1)).lines[0].line, InspectProgram::line_of("libc"));
}

TEST(StackParser, GoesOnThroughASignalHandler) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g", "-static"});
  program.start({"signal"});
  Session session(program);
  const UnwindReply reply = session.unwind(program.stack());
  const Names names = names_of(reply);
  ASSERT_GE(names.size(), 9u);
  EXPECT_EQ(names[5], "realigned");
  EXPECT_EQ(names[6], "on_signal");
  EXPECT_EQ(names[7], "__restore_rt");
  EXPECT_EQ(names.back(), "main");
  EXPECT_THAT(names, ::testing::Contains("raise"));
  expect_whole(reply);
}

// posix_spawn waits in clone3 until its child has executed; the child waits for a writer of the FIFO.
TEST(StackParser, StepsOutOfCloneWhichHasNoRules) {
  NEED_COMPILER();
  const Directory directory;
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  InspectProgram program(directory, {"-g", "-static"});
  program.start({"spawn", fifo}, SYS_clone3);
  FifoReader reader{fifo};
  Session session(program);
  const UnwindReply reply = session.unwind(program.stack());
  const Names names = names_of(reply);
  reader.release();
  ASSERT_GE(names.size(), 4u);
  EXPECT_EQ(names.front(), "clone3");
  EXPECT_EQ(names[1], "__clone_internal");
  EXPECT_THAT(names, ::testing::Contains("posix_spawn"));
  EXPECT_EQ(names[names.size() - 2], "spawn");
  EXPECT_EQ(names.back(), "main");
  expect_whole(reply);
  EXPECT_TRUE(program.process().wait());
}

TEST(StackParser, StrippedItStillUnwindsAndADebugFileGivesTheNames) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g"});
  program.start({"plain"});
  const std::string stripped = directory / "stripped", debug = directory / "program.debug";
  test::must_run({"/usr/bin/objcopy", "--strip-all", program.path(), stripped});
  test::must_run({"/usr/bin/objcopy", "--only-keep-debug", program.path(), debug});
  Session session(program, stripped);
  const UnwindReply without = session.unwind(program.stack());
  EXPECT_EQ(without.stacks[0].cut, Cut::none);
  EXPECT_EQ(without.places.at(without.stacks[0].places.at(1)).lines, std::vector<CodeLine>(1))
      << "no name, not a wrong one";
  const ModuleFacts facts = session.parser.add_debug_file(session.own, open_file(debug));
  EXPECT_TRUE(facts.valid && facts.has_lines && facts.has_symbols);
  const UnwindReply with = session.unwind(program.stack());
  EXPECT_THAT(names_of(with), ElementsAreArray(kPlain));
  expect_whole(with);
}

TEST(StackParser, ADebugFileOfAnotherBuildIsRefused) {
  NEED_COMPILER();
  const Directory directory, other;
  InspectProgram program(directory, {"-g"});
  const InspectProgram stranger(other, {"-g", "-DSTRANGER", "-O1"});
  program.start({"plain"});
  Session session(program);
  EXPECT_FALSE(session.parser.add_debug_file(session.own, open_file(stranger.path())).valid);
  EXPECT_FALSE(session.parser.add_supplement(session.own, open_file(stranger.path())).valid);
  EXPECT_THAT(names_of(session.unwind(program.stack())), ElementsAreArray(kPlain));
}

TEST(StackParser, WithoutBuildIdTheChecksumOfTheLinkDecides) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g", "-Wl,--build-id=none"});
  program.start({"plain"});
  const std::string linked = directory / "linked", debug = directory / "program.debug";
  test::must_run({"/usr/bin/objcopy", "--only-keep-debug", program.path(), debug});
  test::must_run({"/usr/bin/objcopy", "--strip-all", "--add-gnu-debuglink=" + debug, program.path(), linked});
  Session session(program, linked);
  std::ofstream(directory / "changed") << std::ifstream(debug).rdbuf() << "x";
  EXPECT_FALSE(session.parser.add_debug_file(session.own, open_file(directory / "changed")).valid);
  EXPECT_TRUE(session.parser.add_debug_file(session.own, open_file(debug)).valid);
  EXPECT_THAT(names_of(session.unwind(program.stack())), ElementsAreArray(kPlain));
}

TEST(StackParser, DebugInformationSharedByDwzIsFollowed) {
  NEED_COMPILER();
  if (access("/usr/bin/dwz", X_OK)) GTEST_SKIP() << "needs dwz";
  const Directory directory, other;
  InspectProgram program(directory, {"-g"});
  const InspectProgram second(other, {"-g", "-DOTHER"});
  program.start({"plain"});
  const std::string a = directory / "a.debug", b = directory / "b.debug", shared = directory / "shared.debug";
  const std::string stripped = directory / "stripped";
  test::must_run({"/usr/bin/objcopy", "--strip-all", program.path(), stripped});
  test::must_run({"/usr/bin/objcopy", "--only-keep-debug", program.path(), a});
  test::must_run({"/usr/bin/objcopy", "--only-keep-debug", second.path(), b});
  test::must_run({"/usr/bin/dwz", "-m", shared, a, b});
  Session session(program, stripped);
  EXPECT_EQ(session.parser.add_debug_file(session.own, open_file(a)).alt_link, shared);
  // Its names of strings are in the supplement: none are known without it, and none are wrong.
  for (const std::string& name : names_of(session.unwind(program.stack())))
    EXPECT_THAT(kPlain, ::testing::Contains(name == "[]" ? kPlain[0] : name)) << name;
  EXPECT_TRUE(session.parser.add_supplement(session.own, open_file(shared)).valid);
  EXPECT_THAT(names_of(session.unwind(program.stack())), ElementsAreArray(kPlain));
}

TEST(StackParser, AStackThatWasReadInPartAsksForMore) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g"});
  program.start({"deep", "400"});
  Session session(program);
  size_t size = 256, asked = 0;
  UnwindReply reply = session.unwind(program.stack(size));
  while (reply.stacks[0].cut == Cut::needs_memory && asked++ < 10'000) {
    const uint64_t end = program.stack(size).start + size;
    ASSERT_GT(reply.stacks[0].wanted_end, end);
    size += reply.stacks[0].wanted_end - end;
    reply = session.unwind(program.stack(size));
  }
  EXPECT_GT(asked, 0u);
  const Names names = names_of(reply);
  EXPECT_EQ(std::count(names.begin(), names.end(), "recurse"), 400) << "the last one left by a jump";
  expect_whole(reply);
}

TEST(StackParser, WhatIsCutSaysWhy) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g"});
  program.start({"deep", "200"});
  StackParser::Limits limits;
  limits.frames = 50;
  Session session(program, "", limits);
  const UnwindReply deep = session.unwind(program.stack());
  EXPECT_EQ(deep.stacks[0].cut, Cut::too_deep);
  EXPECT_EQ(deep.stacks[0].places.size(), 50u);

  test::StackCopy copy = program.stack(512);
  copy.whole = true;
  EXPECT_EQ(session.unwind(copy).stacks[0].cut, Cut::no_memory);

  session.parser.forget(session.own);
  const UnwindReply forgotten = session.unwind(program.stack());
  EXPECT_EQ(forgotten.stacks[0].cut, Cut::no_module);
  EXPECT_EQ(forgotten.places.at(0).lines, std::vector<CodeLine>(1));
}

TEST(StackParser, LittleMemoryCostsTimeButNoNames) {
  NEED_COMPILER();
  const Directory directory;
  InspectProgram program(directory, {"-g", "-static"});
  program.start({"plain"});
  StackParser::Limits limits;
  limits.memory_bytes = 1;
  Session session(program, "", limits);
  for (int i = 0; i < 3; ++i)
    EXPECT_THAT(names_of(session.unwind(program.stack())), ElementsAreArray(kPlain));
  EXPECT_LE(session.parser.memory_bytes(), 1u);
  Session roomy(program);
  roomy.unwind(program.stack());
  EXPECT_GT(roomy.parser.memory_bytes(), 10'000u);
}

TEST(StackParser, APerfMapNamesCodeInNoFile) {
  Fd map(memfd_create("perf", MFD_CLOEXEC));
  const std::string text = "7000 100 jit::hot\n";
  ASSERT_EQ(write(map.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  StackParser parser;
  EXPECT_TRUE(parser.add_perf_map(7, std::move(map)).valid);
  loiter_regs regs{};
  regs.ip = 0x7050;
  const UnwindReply reply = parser.unwind(
      {.mappings = {{0x7000, 0x8000, 0, 0}}, .perf_map = 7, .jobs = {{.regs = &regs, .memory = {}}}});
  EXPECT_EQ(reply.stacks.at(0).cut, Cut::no_module);
  EXPECT_EQ(reply.places.at(0).lines.at(0).symbol, "jit::hot");
}

TEST(StackParser, FilesThatAreNoneAreKeptAsSuch) {
  StackParser parser;
  EXPECT_FALSE(parser.add_module(1, open_file("/dev/null")).valid);
  EXPECT_FALSE(parser.add_module(2, open_file("/")).valid);
  EXPECT_FALSE(parser.add_module(3, Fd()).valid);
  EXPECT_FALSE(parser.add_module(0, open_file("/proc/self/exe")).valid) << "0 names no file";
  EXPECT_TRUE(parser.add_module(4, open_file("/proc/self/exe")).valid);
  EXPECT_FALSE(parser.add_module(4, open_file("/proc/self/exe")).valid) << "a key is given once";
  EXPECT_FALSE(parser.add_debug_file(1, open_file("/proc/self/exe")).valid);
  EXPECT_FALSE(parser.add_supplement(9, open_file("/proc/self/exe")).valid);
  parser.forget(1);
  parser.forget(17);
}

}  // namespace
}  // namespace loiter
