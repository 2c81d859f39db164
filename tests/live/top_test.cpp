// `loiter top` in a terminal: what it shows of known workloads, what its keys do, and how it leaves.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/lib/await.h"
#include "tests/lib/corpus.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmux.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

std::string hex(const std::string& bytes) {
  std::string text;
  for (unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

bool has(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

// A row in reverse video, up to its first figure.
const std::string kCursor = "\x1b\\[(?:[0-9;]*;)?7m(?:\x1b\\[[0-9;]*m)*\\s*";

std::string line_with(const std::string& screen, const std::string& what) {
  std::istringstream lines(screen);
  for (std::string line; std::getline(lines, line);)
    if (has(line, what)) return line;
  return {};
}

// The row of the process or thread `id`: the one that begins with it.
std::string row_of(const std::string& screen, const std::string& id) {
  std::istringstream lines(screen);
  for (std::string line; std::getline(lines, line);) {
    const size_t start = line.find_first_not_of(' ');
    if (start != line.npos && line.compare(start, id.size() + 1, id + " ") == 0) return line;
  }
  return {};
}

// A terminal, and what to type into it for a view of the daemon's pictures.
class TopTest : public ::testing::Test {
 protected:
  std::string command() const { return loiter_path() + " top --socket " + daemon.socket(); }

  void start(Tmux& terminal) {
    terminal.run(command());
    ASSERT_TRUE(terminal.await_text("threads in"));  // the first picture is there
  }

  // The picture on the screen has the process `pid` in it, and little else: a filter matches parts of pids.
  static void filter(Tmux& terminal, pid_t pid) {
    terminal.type("\\" + std::to_string(pid));
    terminal.press({"Enter"});
    ASSERT_TRUE(terminal.await_screen("process " + std::to_string(pid), [&](const std::string& screen) {
      return has(screen, "filter '") && !row_of(screen, std::to_string(pid)).empty();
    }));
  }

  static void await_listed(Tmux& terminal, pid_t pid) {
    filter(terminal, pid);
    terminal.press({"Escape"});
    ASSERT_TRUE(terminal.await_no_text("filter '"));
  }

  static bool cursor_on(Tmux& terminal, pid_t pid) {
    return std::regex_search(terminal.styled_screen(), std::regex(kCursor + std::to_string(pid) + " "));
  }

  // Under a filter.
  static void point_at(Tmux& terminal, pid_t pid) {
    terminal.press({"Home"});
    ASSERT_TRUE(await("the cursor on " + std::to_string(pid), [&] {
      if (cursor_on(terminal, pid)) return true;
      terminal.press({"Down"});
      return false;
    })) << terminal.screen();
  }

  static void open(Tmux& terminal, pid_t pid) {
    filter(terminal, pid);
    point_at(terminal, pid);
    terminal.press({"Enter"});
    ASSERT_TRUE(
        terminal.await_screen("the threads of " + std::to_string(pid), [&](const std::string& screen) {
          return has(screen, std::to_string(pid) + " ") && has(screen, "tree by");
        }));
  }

  static pid_t loiter_in(Tmux& terminal) {
    for (pid_t child : children_of(terminal.shell_pid()))
      if (thread_stat(child, child) && thread_stat(child, child)->comm == "loiter") return child;
    return -1;
  }

  Daemon daemon{{"--threshold", "1ms"}};
};

TEST_F(TopTest, ShowsTheHostAndTheColumns) {
  Tmux terminal(80, 24);
  start(terminal);
  const std::string screen = terminal.screen();
  for (const char* word :
       {"threads in", "processes", "overdue", "born", "ended", "census", "no losses", "PID", "COMM",
        "THREADS", "BLOCKED", "OLDEST↓", "FINDING", "CPU%", "? help", "q quit"})
    EXPECT_TRUE(has(screen, word)) << word << "\n" << screen;
}

TEST_F(TopTest, WiderScreensShowMoreColumns) {
  Tmux terminal(80, 24);
  start(terminal);
  EXPECT_FALSE(has(terminal.screen(), "UNIT"));
  terminal.resize(200, 60);
  EXPECT_TRUE(terminal.await_text("UNIT"));
  EXPECT_TRUE(terminal.await_text("EXE"));
}

TEST_F(TopTest, ShowsAProcessWithItsFigures) {
  Workload workload("blocker", {"futex", "poll", "pipe"});
  Tmux terminal(80, 24);
  start(terminal);
  filter(terminal, workload.pid());
  EXPECT_TRUE(terminal.await_screen("4 threads, 4 blocked, 4 overdue", [&](const std::string& screen) {
    const std::regex row("\\s*" + std::to_string(workload.pid()) + "\\s+blocker\\s+4\\s+4\\s+4\\s+.*");
    return std::regex_match(row_of(screen, std::to_string(workload.pid())), row);
  }));
}

TEST_F(TopTest, EnterShowsTheTreeOfThreadsAndTTheFlatList) {
  Workload workload("spawn_tree", {"2", "1"});
  const auto threads = Workload::of_kind(workload.facts(), "thread");
  ASSERT_EQ(threads.size(), 2u);
  const std::string child = std::to_string(threads[0].at("tid").get<pid_t>());
  const std::string grandchild = std::to_string(threads[1].at("tid").get<pid_t>());
  Tmux terminal(80, 24);
  start(terminal);
  open(terminal, workload.pid());
  EXPECT_TRUE(terminal.await_screen("a chain of three", [&](const std::string& screen) {
    return has(row_of(screen, child), "└─spawn_tree") && has(row_of(screen, grandchild), "  └─spawn_tree") &&
           has(row_of(screen, grandchild), " ! ") && has(row_of(screen, grandchild), "futex");
  }));
  terminal.type("t");
  EXPECT_TRUE(terminal.await_text("flat by"));
  EXPECT_TRUE(terminal.await_no_text("└─"));
  EXPECT_NE(row_of(terminal.screen(), grandchild), "");
  terminal.press({"Escape"});
  EXPECT_TRUE(terminal.await_text("Processes by"));
}

TEST_F(TopTest, ThreadsInADeadlockAreMarkedAndFGoesToIt) {
  json entry;
  for (const json& one : corpus_entries("faulty"))
    if (one.at("name") == "order_two") entry = one;
  CorpusProgram program(entry, 1000);
  ASSERT_TRUE(program.is_ready());
  json found;
  ASSERT_TRUE(await("it is found", [&] {
    found = daemon.get("/v1/findings?fresh=1&pid=" + std::to_string(program.pid())).at("findings");
    return !found.empty() && found[0].at("kind") == "deadlock";
  }));
  const std::string first = std::to_string(found[0].at("threads")[0].at("tid").get<pid_t>());
  const std::string second = std::to_string(found[0].at("threads")[1].at("tid").get<pid_t>());
  Tmux terminal(80, 24);
  start(terminal);
  open(terminal, program.pid());
  EXPECT_TRUE(
      terminal.await_screen("both are marked, beside what they wait for", [&](const std::string& screen) {
        return has(row_of(screen, first), "deadlock") && has(row_of(screen, second), "deadlock") &&
               has(row_of(screen, first), "mutex of " + second);
      }));
  EXPECT_FALSE(has(row_of(terminal.screen(), std::to_string(program.pid())), "deadlock"))
      << "its main thread";
  terminal.type("/deadlock");
  terminal.press({"Enter"});
  terminal.type("f");
  EXPECT_TRUE(terminal.await_text("─ " + found[0].at("id").get<std::string>()));
  terminal.press({"Escape"});
  EXPECT_TRUE(terminal.await_text("tree by"));
}

TEST_F(TopTest, OShowsWhereTheThreadsWereMade) {
  Workload workload("makers");
  workload.command("many 3");
  workload.command("short 2");
  Tmux terminal(120, 40);
  start(terminal);
  filter(terminal, workload.pid());
  point_at(terminal, workload.pid());
  terminal.type("o");
  EXPECT_TRUE(terminal.await_screen("its two sites, and the stack of one", [&](const std::string& screen) {
    return has(screen, "small_thread") && has(screen, "pthread_create") &&
           (has(screen, "make_many") || has(screen, "make_short"));
  }));
  terminal.press({"Escape"});
  EXPECT_TRUE(terminal.await_text("Processes by"));
}

TEST_F(TopTest, AThreadThatEndsLeavesTheTreeAndIsStillKnown) {
  Workload workload("spawn_tree", {"1", "2"});
  const auto threads = Workload::of_kind(workload.facts(), "thread");
  const std::string tid = std::to_string(threads.at(0).at("tid").get<pid_t>());
  Tmux terminal(80, 24);
  start(terminal);
  open(terminal, workload.pid());
  EXPECT_TRUE(terminal.await_screen("the thread",
                                    [&](const std::string& screen) { return !row_of(screen, tid).empty(); }));
  workload.command("end " + tid);
  EXPECT_TRUE(terminal.await_text("1 ended (e)"));
  EXPECT_EQ(row_of(terminal.screen(), tid), "");
  terminal.type("e");
  EXPECT_TRUE(terminal.await_screen("the thread marked as ended", [&](const std::string& screen) {
    return has(row_of(screen, tid), "ended");
  }));
}

TEST_F(TopTest, AProcessThatEndsWhileOpenedSaysSoAndStays) {
  Tmux terminal(80, 24);
  {
    Workload workload("blocker", {"futex"});
    start(terminal);
    open(terminal, workload.pid());
    ASSERT_TRUE(terminal.await_text("futex"));
  }
  EXPECT_TRUE(terminal.await_text("last picture"));
  EXPECT_TRUE(has(terminal.screen(), "futex"));
  terminal.press({"Escape"});
  EXPECT_TRUE(terminal.await_text("Processes by"));
}

// The first figure of each row below the headings.
std::vector<long> first_column(const std::string& screen) {
  std::vector<long> figures;
  std::istringstream lines(screen);
  bool rows = false;
  for (std::string line; std::getline(lines, line);) {
    if (rows && std::regex_search(line, std::regex("^\\s*\\d+\\s"))) figures.push_back(std::stol(line));
    rows |= has(line, "PID");
  }
  return figures;
}

TEST_F(TopTest, SortsByTheNextColumnTheOneBeforeAndTheOtherWayRound) {
  Tmux terminal(80, 24);
  start(terminal);
  terminal.type("<<<<<");  // from OLDEST to PID
  ASSERT_TRUE(terminal.await_text("Processes by PID↑"));
  auto pids = first_column(terminal.screen());
  EXPECT_GE(pids.size(), 3u);
  EXPECT_TRUE(std::is_sorted(pids.begin(), pids.end()));
  terminal.type("I");
  ASSERT_TRUE(terminal.await_text("Processes by PID↓"));
  pids = first_column(terminal.screen());
  EXPECT_TRUE(std::is_sorted(pids.rbegin(), pids.rend()));
  terminal.type(">>");
  EXPECT_TRUE(terminal.await_text("Processes by THREADS↓"));
}

TEST_F(TopTest, TheCursorStaysOnItsProcessWhenTheOrderChanges) {
  Workload workload("blocker", {"futex"});
  const std::string pid = std::to_string(workload.pid());
  Tmux terminal(80, 24);
  start(terminal);
  filter(terminal, workload.pid());
  point_at(terminal, workload.pid());
  terminal.type("/" + pid);  // finds the row it is on, and so holds on to it
  terminal.press({"Enter", "Escape", "Escape"});
  ASSERT_TRUE(terminal.await_no_text("filter '"));
  const auto on_it = [&](const std::string&) { return cursor_on(terminal, workload.pid()); };
  ASSERT_TRUE(terminal.await_screen("the cursor on " + pid, on_it));
  for (const char* keys : {"<<<<<", "I", ">", ">", "I"}) {
    terminal.type(keys);
    EXPECT_TRUE(terminal.await_screen("the cursor still on " + pid, on_it));
  }
  terminal.press({"Enter"});
  EXPECT_TRUE(terminal.await_text(pid + " blocker"));
}

TEST_F(TopTest, SearchGoesToWhatItFindsAndOnToTheNext) {
  Workload first("blocker", {"futex"}), second("blocker", {"futex"});
  Tmux terminal(80, 50);
  start(terminal);
  await_listed(terminal, first.pid());
  await_listed(terminal, second.pid());
  terminal.type("/no such thing at all");
  EXPECT_TRUE(terminal.await_text("no row holds it"));
  terminal.press({"Escape"});
  terminal.type("/blocker");
  ASSERT_TRUE(terminal.await_text("Search: blocker"));
  terminal.press({"Enter"});
  const auto cursor_row = [&] {
    std::smatch row;
    const std::string screen = terminal.styled_screen();
    return std::regex_search(screen, row, std::regex(kCursor + "(\\d+)\\s+blocker")) ? row[1].str() : "";
  };
  std::string at;
  ASSERT_TRUE(await("the cursor on a blocker", [&] { return !(at = cursor_row()).empty(); }))
      << terminal.styled_screen();
  terminal.type("n");
  EXPECT_TRUE(await("the cursor on another one", [&] {
    const std::string now = cursor_row();
    return !now.empty() && now != at;
  }));
}

TEST_F(TopTest, PauseFreezesThePictureWhileTheCursorMoves) {
  Workload workload("blocker", {"futex", "poll"});
  Tmux terminal(80, 24);
  start(terminal);
  open(terminal, workload.pid());
  ASSERT_TRUE(terminal.await_text("futex 0x"));
  terminal.type(" ");
  ASSERT_TRUE(terminal.await_text("PAUSED"));
  // Without the branches before the name, which tell where it stands.
  const auto figures = [](const std::string& screen) {
    const std::string row = line_with(screen, "futex");
    return has(row, "blocker") ? row.substr(row.find("blocker")) : "";
  };
  const std::string before = figures(terminal.screen());
  ASSERT_NE(before, "") << terminal.screen();
  terminal.press({"Down", "Down"});
  EXPECT_TRUE(terminal.await_text("4s old"));
  EXPECT_EQ(figures(terminal.screen()), before);
  terminal.type("I");
  EXPECT_TRUE(terminal.await_text("BLOCKED↑"));
  EXPECT_EQ(figures(terminal.screen()), before);
  EXPECT_TRUE(has(terminal.screen(), "PAUSED"));
  // It says what to do, and is more than a colour.
  EXPECT_TRUE(has(line_with(terminal.screen(), "PAUSED"), "Space goes on"));
  terminal.type(" ");
  EXPECT_TRUE(terminal.await_no_text("PAUSED"));
  EXPECT_TRUE(terminal.await_screen("newer figures", [&](const std::string& screen) {
    return !figures(screen).empty() && figures(screen) != before;
  }));
}

TEST_F(TopTest, ResizingDownToASingleCellAndBack) {
  Workload workload("blocker", {"futex"});
  Tmux terminal(80, 24);
  start(terminal);
  open(terminal, workload.pid());
  for (auto [columns, rows] :
       {std::pair{1, 1}, {2, 30}, {40, 10}, {80, 24}, {200, 60}, {5, 3}, {1, 1}, {80, 24}}) {
    terminal.resize(columns, rows);
    terminal.press({"Down", "Up"});
    EXPECT_TRUE(
        terminal.await_screen("a picture that fits", [&, columns = columns](const std::string& screen) {
          return columns < 40 || (has(screen, "NAME") && has(screen, "└─blocker"));
        }));
  }
  EXPECT_TRUE(terminal.await_text("? help"));
  EXPECT_NE(loiter_in(terminal), -1);
}

TEST_F(TopTest, NastyNamesNeitherReachTheTerminalNorMoveAColumn) {
  Workload workload("renamer");
  const std::string tid = std::to_string(Workload::the(workload.facts(), "thread").at("tid").get<pid_t>());
  Tmux terminal(80, 24);
  start(terminal);
  open(terminal, workload.pid());
  const std::vector<std::pair<std::string, std::string>> names{{"\x1b[2J", "\\x1b[2J"},
                                                               {"a\nb", "a\\nb"},
                                                               {"\x1b]0;x\a", "\\x1b]0;x\\x07"},
                                                               {"日本語", "日本語"},
                                                               {"e\u0301e\u0301x", "e\u0301e\u0301x"},
                                                               {"\u202eabc", "\\u202eabc"},
                                                               {"q\"'`\\", "q\"'`\\\\"},
                                                               {"\xff", "�"}};
  for (const auto& [name, shown] : names) {
    workload.command("self " + hex(name));
    EXPECT_TRUE(terminal.await_screen("the name " + shown, [&, shown = shown](const std::string& screen) {
      return has(row_of(screen, tid), shown);
    }));
    const std::string screen = terminal.screen();
    EXPECT_TRUE(has(screen, "threads in") && has(screen, "? help")) << screen;
    // What stands to the right of the name is where its heading is; wide characters take two columns.
    const auto column_of = [&](const std::string& line, const std::string& what) {
      const std::string before = line.substr(0, line.find(what));
      size_t columns = 0;
      for (size_t i = 0; i < before.size(); ++i) {
        const auto byte = static_cast<unsigned char>(before[i]);
        const bool combining = byte == 0xcc;  // U+0301 is the only one here
        if ((byte & 0xc0) != 0x80 && !combining) columns += byte >= 0xe3 && byte <= 0xe9 ? 2 : 1;
      }
      return columns;
    };
    EXPECT_EQ(column_of(row_of(screen, tid), "sleeping"), column_of(line_with(screen, "STATE"), "STATE"))
        << screen;
  }
}

TEST_F(TopTest, AnAsciiTerminalGetsAscii) {
  Workload workload("renamer");
  workload.command("self " + hex("日本"));
  Tmux terminal(80, 24, {"LC_ALL=C"});
  start(terminal);
  open(terminal, workload.pid());
  EXPECT_TRUE(terminal.await_text("`-??"));
  for (unsigned char byte : terminal.screen()) EXPECT_LT(byte, 0x80);
}

TEST_F(TopTest, HelpOpensAndCloses) {
  Tmux terminal(80, 24);
  start(terminal);
  for (const char* key : {"?", "h", "F1"}) {
    terminal.press({key});
    ASSERT_TRUE(terminal.await_text("blocked past the threshold"));
    terminal.press({"Escape"});
    ASSERT_TRUE(terminal.await_text("Processes by"));
  }
}

TEST_F(TopTest, KeysAreAnsweredWhileTheDaemonIsNot) {
  Tmux terminal(80, 24);
  start(terminal);
  daemon.process().signal(SIGSTOP);
  EXPECT_TRUE(terminal.await_text("data 3s old"));
  terminal.type("?");
  EXPECT_TRUE(terminal.await_text("Help"));
  terminal.type("q");
  terminal.type(">");
  EXPECT_TRUE(terminal.await_text("by FINDING"));
  terminal.type("q");
  EXPECT_TRUE(terminal.await_no_text("by FINDING"));
  EXPECT_TRUE(await("loiter has ended", [&] { return loiter_in(terminal) == -1; }));
  daemon.process().signal(SIGCONT);
}

// Attributes are no colours, nor are 39 and 49 (the terminal's own); 3x, 4x, 9x and 10x are.
bool has_colour(const std::string& styled) {
  return std::regex_search(styled, std::regex("\x1b\\[([0-9;]*;)?([34][0-8]|9[0-7]|10[0-7])[;m]"));
}

TEST_F(TopTest, ColoursAreUsedUnlessNoColorIsSet) {
  {
    Tmux terminal(80, 24);
    start(terminal);
    EXPECT_TRUE(has_colour(terminal.styled_screen()));
  }
  Tmux terminal(80, 24, {"NO_COLOR=1"});
  start(terminal);
  terminal.type(" ");
  ASSERT_TRUE(terminal.await_text("PAUSED"));
  EXPECT_FALSE(has_colour(terminal.styled_screen())) << terminal.styled_screen();
  EXPECT_TRUE(has(terminal.styled_screen(), "\x1b[")) << "attributes stay";
}

// --- ways out --------------------------------------------------------------------------------------

struct WayOut {
  const char* name;
  std::vector<std::string> keys;  // pressed, or
  int signal;                     // sent
  int code;
};

class TopWayOutTest : public TopTest, public ::testing::WithParamInterface<WayOut> {};

TEST_P(TopWayOutTest, GivesTheTerminalBack) {
  Tmux terminal(80, 24);
  const std::string before = terminal.dir().file("before"), after = terminal.dir().file("after");
  terminal.run("ulimit -c 0; echo ON-THE-SCREEN-BEFORE; stty -a > " + before + "; " + command() +
               "; echo code=$?; stty -a > " + after + "; echo GONE-ON");
  ASSERT_TRUE(terminal.await_text("Processes by"));
  EXPECT_EQ(terminal.format("#{alternate_on} #{cursor_flag}"), "1 0");
  if (GetParam().signal)
    kill(loiter_in(terminal), GetParam().signal);
  else
    terminal.press(GetParam().keys);
  ASSERT_TRUE(terminal.await_text("\nGONE-ON"));
  const std::string screen = terminal.screen();
  EXPECT_TRUE(has(screen, "\nON-THE-SCREEN-BEFORE")) << screen;
  EXPECT_TRUE(has(screen, "code=" + std::to_string(GetParam().code) + "\n")) << screen;
  EXPECT_FALSE(has(screen, "Processes by")) << screen;
  EXPECT_EQ(read_file(after), read_file(before));
  EXPECT_NE(read_file(before), "");
  EXPECT_EQ(terminal.format("#{alternate_on} #{cursor_flag} #{keypad_cursor_flag} #{keypad_flag}"),
            "0 1 0 0");
}

INSTANTIATE_TEST_SUITE_P(, TopWayOutTest,
                         ::testing::Values(WayOut{"q", {"q"}, 0, 0}, WayOut{"F10", {"F10"}, 0, 0},
                                           WayOut{"ControlC", {"C-c"}, 0, 0}, WayOut{"SIGINT", {}, SIGINT, 0},
                                           WayOut{"SIGTERM", {}, SIGTERM, 128 + SIGTERM},
                                           WayOut{"SIGHUP", {}, SIGHUP, 128 + SIGHUP},
                                           WayOut{"SIGQUIT", {}, SIGQUIT, 128 + SIGQUIT},
                                           WayOut{"SIGSEGV", {}, SIGSEGV, 128 + SIGSEGV},
                                           WayOut{"SIGBUS", {}, SIGBUS, 128 + SIGBUS},
                                           WayOut{"SIGFPE", {}, SIGFPE, 128 + SIGFPE},
                                           WayOut{"SIGABRT", {}, SIGABRT, 128 + SIGABRT}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(TopTest, SuspendsAndGoesOn) {
  Tmux terminal(80, 24);
  start(terminal);
  terminal.press({"C-z"});
  ASSERT_TRUE(terminal.await_text("Stopped"));
  EXPECT_EQ(terminal.format("#{alternate_on} #{cursor_flag}"), "0 1");
  terminal.run("echo SHELL-$((6 * 7))");
  ASSERT_TRUE(terminal.await_text("SHELL-42"));
  terminal.resize(120, 30);
  terminal.run("fg");
  ASSERT_TRUE(terminal.await_screen("the picture in the new size", [](const std::string& screen) {
    return has(screen, "Processes by") && has(screen, "UNIT");
  }));
  EXPECT_EQ(terminal.format("#{alternate_on} #{cursor_flag}"), "1 0");
  terminal.type("q");
  EXPECT_TRUE(terminal.await_text("SHELL-42"));
}

TEST_F(TopTest, SaysThatTheDaemonIsGone) {
  Tmux terminal(80, 24);
  terminal.run(command() + "; echo code=$?");
  ASSERT_TRUE(terminal.await_text("Processes by"));
  daemon.process().signal(SIGKILL);
  ASSERT_TRUE(terminal.await_text("code=3"));
  EXPECT_TRUE(has(terminal.screen(), "\nloiter: ")) << terminal.screen();
  EXPECT_EQ(terminal.format("#{alternate_on} #{cursor_flag}"), "0 1");
}

// A view with a loiterd of its own.
class TopPrivateDaemonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    terminal.run(loiter_path() + " top; echo code=$?");
    ASSERT_TRUE(terminal.await_text("Processes by"));
    const auto loiters = children_of(terminal.shell_pid());
    ASSERT_EQ(loiters.size(), 1u);
    const auto daemons = children_of(*loiters.begin());
    ASSERT_EQ(daemons.size(), 1u);
    daemon = *daemons.begin();
  }

  Tmux terminal{80, 24};
  pid_t daemon = 0;
};

TEST_F(TopPrivateDaemonTest, EndsWithTheView) {
  terminal.type("q");
  ASSERT_TRUE(terminal.await_text("code=0"));
  EXPECT_TRUE(await("the private loiterd has ended", [&] { return !process_exists(daemon); }));
}

TEST_F(TopPrivateDaemonTest, ItsDeathIsToldAtOnce) {
  kill(daemon, SIGKILL);
  ASSERT_TRUE(terminal.await_text("code=3"));
  EXPECT_TRUE(has(terminal.screen(), "\nloiter: ")) << terminal.screen();
  EXPECT_EQ(terminal.format("#{alternate_on} #{cursor_flag}"), "0 1");
}

TEST_F(TopTest, ATerminalThatCannotDoItGetsOneLine) {
  for (const std::string setting : {"TERM=dumb", "TERM=no-such-terminal", "TERM="}) {
    Tmux terminal(80, 24);
    const std::string errors = terminal.dir().file("errors");
    terminal.run(setting + " " + command() + " 2> " + errors + "; echo code=$?");
    ASSERT_TRUE(terminal.await_text("code=3")) << setting;
    const std::string text = read_file(errors);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    EXPECT_TRUE(has(text, "TERM")) << text;
    EXPECT_TRUE(has(text, "--once")) << text;
    EXPECT_EQ(terminal.format("#{alternate_on}"), "0");
  }
}

}  // namespace
}  // namespace loiter::test
