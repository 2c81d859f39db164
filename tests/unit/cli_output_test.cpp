#include "cli/output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <locale.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/process_table.h"
#include "cli/target.h"
#include "cli/text_table.h"
#include "daemon/base/fd.h"

namespace loiter::cli {
namespace {

using ::testing::ElementsAre;

class Locale {
 public:
  explicit Locale(const char* name) : former_(setlocale(LC_ALL, nullptr)) {
    if (!setlocale(LC_ALL, name)) ADD_FAILURE() << "no locale " << name;
  }
  ~Locale() { setlocale(LC_ALL, former_.c_str()); }

 private:
  std::string former_;
};

std::string contents(int fd) {
  std::string text(1 << 16, '\0');
  text.resize(static_cast<size_t>(std::max<ssize_t>(pread(fd, text.data(), text.size(), 0), 0)));
  return text;
}

TEST(Output, ToAFileLinesAreWhole) {
  const Fd file(memfd_create("out", MFD_CLOEXEC));
  Output out(file.get());
  EXPECT_FALSE(out.is_terminal());
  out.line(std::string(1000, 'x') + "  ");
  out.json({{"schema", 1}, {"name", "\xff"}});
  EXPECT_TRUE(out.finish());
  EXPECT_EQ(contents(file.get()), std::string(1000, 'x') + "\n{\"name\":\"\xef\xbf\xbd\",\"schema\":1}\n");
}

TEST(Output, WithoutATerminalThereIsNoWidth) {
  const Fd file(memfd_create("out", MFD_CLOEXEC));
  EXPECT_FALSE(Output(file.get()).width());
}

TEST(Output, AReaderWhoLeftIsNoError) {
  signal(SIGPIPE, SIG_IGN);  // as main does
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Fd write_end(ends[1]);
  close(ends[0]);
  Output out(write_end.get());
  out.line("x");
  EXPECT_FALSE(out.flush());
  EXPECT_TRUE(out.finish());
  signal(SIGPIPE, SIG_DFL);
}

TEST(Output, AFullDiskIsAnError) {
  const Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  Output out(full.get());
  out.line("x");
  Status written = out.finish();
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message, "cannot write the result: No space left on device");
}

// What an Output to a terminal of `columns` columns writes for `line`.
std::string on_terminal(const std::string& line, unsigned short columns) {
  int primary = -1, secondary = -1;
  const winsize size{24, columns, 0, 0};
  if (openpty(&primary, &secondary, nullptr, nullptr, &size)) return "no pty";
  const Fd keep_primary(primary), keep_secondary(secondary);
  Output out(secondary);
  EXPECT_TRUE(out.is_terminal());
  out.line(line);
  EXPECT_TRUE(out.finish());
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(std::max<ssize_t>(read(primary, text.data(), text.size()), 0)));
  return text;
}

TEST(Output, OnATerminalLinesAreCutToItsWidth) {
  const Locale locale("C.UTF-8");
  EXPECT_EQ(on_terminal("12345", 5), "12345\r\n");
  EXPECT_EQ(on_terminal("123456", 5), "1234…\r\n");
  EXPECT_EQ(on_terminal("123456", 1), "…\r\n");
  EXPECT_EQ(on_terminal("123456", 0), "123456\r\n") << "width not known";
}

TEST(Output, ATerminalWithoutUtf8GetsNone) {
  const Locale locale("C");
  EXPECT_EQ(on_terminal("├─ ü", 80), "?? ?\r\n");
}

TEST(TextTable, ColumnsAreAsWideAsNeeded) {
  TextTable table;
  table.add_column("PID", true);
  table.add_column("NAME");
  table.add_column("X");
  table.add_row({"1", "long name", ""});
  table.add_row({"12345", "a"});
  EXPECT_THAT(table.lines(), ElementsAre("  PID  NAME       X", "    1  long name", "12345  a"));
}

TEST(TextTable, NoTitlesNoTitleLine) {
  TextTable table;
  table.add_column("");
  table.add_column("");
  table.add_row({"a", "b"});
  EXPECT_THAT(table.lines(), ElementsAre("a  b"));
}

TEST(Target, PutsAQueryTogether) {
  EXPECT_EQ(Target("/v1/x").text(), "/v1/x");
  EXPECT_EQ(Target("/v1/x").with("a", 1).with("b", std::nullopt).with("c", 3).text(), "/v1/x?a=1&c=3");
}

nlohmann::json processes_document() {
  return nlohmann::json::parse(R"({"schema": 1, "host": {"name": "h"}, "processes": [
    {"pid": 1, "comm": "a", "thread_count": 5, "kept": true}, {"pid": 2, "comm": "b", "thread_count": 9}]})");
}

TEST(ProcessTable, ArrangesTheDocumentItself) {
  nlohmann::json document = processes_document();
  ASSERT_TRUE(arrange_processes(document, "threads", {}));
  EXPECT_EQ(document["processes"][0]["pid"], 2);
  EXPECT_EQ(document["processes"][1]["kept"], true);
  ASSERT_TRUE(arrange_processes(document, "comm", 1));
  ASSERT_EQ(document["processes"].size(), 1u);
  EXPECT_EQ(document["processes"][0]["pid"], 1);
  EXPECT_FALSE(arrange_processes(document, "colour", {}));
}

TEST(ProcessTable, OneLineAProcess) {
  nlohmann::json document = processes_document();
  auto list = parse_process_list(document);
  ASSERT_TRUE(list);
  const auto lines = process_lines(list->processes);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0].starts_with("PID  COMM"));
  EXPECT_TRUE(lines[1].starts_with("  1  a"));
}

}  // namespace
}  // namespace loiter::cli
