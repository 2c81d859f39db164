// Stacks compared with gdb's, frame by frame: function, file and line, inlined or not. gdb stops what it looks
// at, so the daemon looks first; the programs are the tests' own and blocked for good.
//
// Where the two may differ, and why, stands in kAllowed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <regex>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

constexpr const char* kGdb = "/usr/bin/gdb";

struct GdbFrame {
  std::string function;  // without arguments; "??" where it has no name
  std::string file;      // without its directory; empty where unknown
  int line = 0;
  std::string text;
};

using GdbStacks = std::map<pid_t, std::vector<GdbFrame>>;

// "#3  0x00005… in named::Box<long>::take<double> (this=0x0) at tests/x.cpp:91"; without address and "in" where
// it is inlined or stands at the start of a line.
std::optional<GdbFrame> parse_frame(const std::string& line) {
  static const std::regex start("^#[0-9]+ +(0x[0-9a-f]+ in )?(.*)$");
  std::smatch parts;
  if (!std::regex_match(line, parts, start)) return std::nullopt;
  GdbFrame frame;
  frame.text = line;
  std::string rest = parts[2];
  static const std::regex place("^(.*) (at|from) ([^ ]+)$");
  if (std::smatch found; std::regex_match(rest, found, place)) {
    const std::string where = found[3];
    const size_t colon = where.rfind(':');
    if (found[2] == "at" && colon != std::string::npos) {
      frame.file = std::filesystem::path(where.substr(0, colon)).filename();
      frame.line = atoi(where.c_str() + colon + 1);
    }
    rest = found[1];
  }
  // The arguments begin at the first " (" outside of a name: "operator() (this=…)", "Box<(E)1>::f (x=1)".
  const size_t arguments = rest.find(" (");
  frame.function = rest.substr(0, arguments);
  return frame;
}

GdbStacks gdb_stacks(pid_t pid, std::string* output) {
  const RunResult result =
      run({kGdb, "-nx", "-batch", "-p", std::to_string(pid), "-ex", "set print frame-arguments none", "-ex",
           "set width 0", "-ex", "set backtrace limit 64", "-ex", "thread apply all bt"});
  *output = result.out + result.err;
  GdbStacks stacks;
  static const std::regex thread("^Thread [0-9]+ \\((Thread 0x[0-9a-f]+ \\()?LWP ([0-9]+)\\)?.*");
  std::vector<GdbFrame>* current = nullptr;
  for (const std::string& line : split(result.out, '\n')) {
    std::smatch parts;
    if (std::regex_match(line, parts, thread)) {
      current = &stacks[std::stoi(parts[2])];
    } else if (auto frame = parse_frame(line); frame && current) {
      current->push_back(*frame);
    }
  }
  return stacks;
}

// "__GI___libc_read", "__libc_read" and "read" stand at one address: each reader takes one of them.
std::string plain(std::string name) {
  for (bool more = true; more;) {
    more = false;
    for (const char* prefix : {"_", "GI_", "libc_", "new_", "pthread_"})
      if (name.starts_with(prefix)) {
        name.erase(0, std::string(prefix).size());
        more = true;
      }
  }
  return name.substr(0, name.find_first_of(".@"));
}

std::string symbol_of(const json& shown) {
  return shown.at("symbol").is_string() ? shown.at("symbol").get<std::string>() : "";
}

bool same_place(const GdbFrame& gdb, const json& shown) {
  return !gdb.file.empty() && shown.at("line") == gdb.line && shown.at("file").is_string() &&
         std::filesystem::path(shown.at("file").get<std::string>()).filename() == gdb.file;
}

struct Allowed {
  const char* reason;
  bool (*holds)(const GdbFrame& gdb, const json& shown);
};

const std::vector<Allowed> kAllowed = {
    {"gdb has a word of its own for the frame that the kernel makes for a handler",
     [](const GdbFrame& gdb, const json& shown) {
       return gdb.function == "<signal handler called>" &&
              (symbol_of(shown).empty() || symbol_of(shown).find("restore_rt") != std::string::npos ||
               symbol_of(shown).find("rt_sigreturn") != std::string::npos);
     }},
    {"gdb has no name for it: a perf map, or a library that is gone from disk",
     [](const GdbFrame& gdb, const json&) { return gdb.function == "??"; }},
    {"several names for one address in libc, of one line",
     [](const GdbFrame& gdb, const json& shown) {
       return same_place(gdb, shown) && plain(gdb.function) == plain(function_name(symbol_of(shown)));
     }},
    {"several names for one address in libc, and no source of it",
     [](const GdbFrame& gdb, const json& shown) {
       return gdb.file.empty() && plain(gdb.function) == plain(function_name(symbol_of(shown)));
     }},
    {"names of one place that have nothing in common: aliases such as pthread_rwlock_rdlock@GLIBC_2.2.5",
     [](const GdbFrame& gdb, const json& shown) {
       return same_place(gdb, shown) &&
              (gdb.function.starts_with("_") || symbol_of(shown).starts_with("_"));
     }},
    {"assembly: gdb takes the line from its line table, which has no function",
     [](const GdbFrame& gdb, const json& shown) {
       return gdb.file.ends_with(".S") && plain(gdb.function) == plain(function_name(symbol_of(shown)));
     }},
};

bool equal(const GdbFrame& gdb, const json& shown) {
  const bool place = gdb.file.empty() ? true : same_place(gdb, shown);
  return place && gdb.function == function_name(symbol_of(shown));
}

// Which reason allows it; nullptr: none does.
const char* allowed(const GdbFrame& gdb, const json& shown) {
  for (const Allowed& one : kAllowed)
    if (one.holds(gdb, shown)) return one.reason;
  return nullptr;
}

std::string as_text(const std::vector<GdbFrame>& gdb, const json& shown) {
  std::string text = "gdb:\n";
  for (const GdbFrame& frame : gdb) text += "  " + frame.text + "\n";
  text += "loiter, cut " + shown.at("cut").dump() + ":\n";
  for (const json& frame : shown.at("stack")) text += "  " + frame.dump() + "\n";
  return text;
}

// gdb loses its way where it has no file to read rules from: from its first frame without a name on, only
// what it had before counts.
size_t frames_to_compare(const std::vector<GdbFrame>& gdb) {
  size_t count = 0;
  while (count < gdb.size() && gdb[count].function != "??") ++count;
  return count;
}

void compare(pid_t tid, const std::vector<GdbFrame>& gdb, const json& shown) {
  SCOPED_TRACE("thread " + std::to_string(tid));
  const json& stack = shown.at("stack");
  const size_t count = frames_to_compare(gdb);
  const bool whole = count == gdb.size() && gdb.size() < 64;
  EXPECT_TRUE(whole ? stack.size() == count : stack.size() >= count)
      << "another number of frames\n"
      << as_text(gdb, shown);
  for (size_t i = 0; i < std::min(count, stack.size()); ++i)
    EXPECT_TRUE(equal(gdb[i], stack[i]) || allowed(gdb[i], stack[i]))
        << "frame " << i << ": " << gdb[i].text << " is " << stack[i] << "\n"
        << as_text(gdb, shown);
}

class GdbFrames : public ::testing::TestWithParam<std::pair<const char*, bool>> {
 public:
  void SetUp() override {
    if (access(kGdb, X_OK)) GTEST_SKIP() << "no " << kGdb;
  }
};

TEST_P(GdbFrames, AreTheFramesShown) {
  const auto [name, contained] = GetParam();
  std::optional<Workload> workload;
  if (contained)
    workload.emplace(Workload::InContainer{}, name);
  else
    workload.emplace(name);
  Daemon daemon;
  const json document = daemon.stacks(workload->pid(), 0, "&lines=1");
  std::string output;
  const GdbStacks gdb = gdb_stacks(workload->pid(), &output);
  size_t compared = 0;
  for (const json& thread : document.at("threads")) {
    if (!is_one_of(thread.at("state"), "sleeping")) continue;  // a spinning one is elsewhere by now
    const auto found = gdb.find(thread.at("tid"));
    ASSERT_NE(found, gdb.end()) << "gdb does not show " << thread.at("tid") << ": " << output;
    compare(found->first, found->second, thread);
    ++compared;
  }
  EXPECT_GE(compared, 10u) << output;
}

INSTANTIATE_TEST_SUITE_P(, GdbFrames,
                         ::testing::Values(std::pair{"stacks", false}, std::pair{"stacks-static", false},
                                           std::pair{"lock_kinds", false}, std::pair{"lock_kinds-static", false},
                                           std::pair{"wait_kinds", false}, std::pair{"fd_kinds", false},
                                           std::pair{"cxx_kinds", false}, std::pair{"lock_kinds", true}),
                         [](const auto& info) {
                           std::string text = info.param.first;
                           for (char& c : text)
                             if (c == '-') c = '_';
                           return text + (info.param.second ? "_contained" : "");
                         });

}  // namespace
}  // namespace loiter::test
