// Stacks compared with gdb's, frame by frame: function, file and line, inlined or not. gdb stops what it
// looks at, so the daemon looks first; the programs are the tests' own and blocked for good.
//
// Where the two may differ, and why, stands in kAllowed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

constexpr const char* kGdb = "/usr/bin/gdb";
constexpr size_t kMostFrames = 64;

// Prints what "thread apply all bt" shows, a line a frame: tid, type, function, file, line. Frames that gdb
// makes up are left out: where a function ended in a jump to another it is no longer on the stack, but gdb
// concludes from the debug information that it was.
constexpr const char* kPrintFrames = R"(python
names = {gdb.INLINE_FRAME: 'inlined', gdb.SIGTRAMP_FRAME: 'signal'}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame, count = gdb.newest_frame(), 0
    while frame is not None and count < 64:
        if frame.type() != gdb.TAILCALL_FRAME:
            place = frame.find_sal()
            file = place.symtab.filename if place.symtab else ''
            print('@FRAME', thread.ptid[1], names.get(frame.type(), 'normal'), frame.name() or '??', file,
                  place.line if place.symtab else 0, sep='\t')
            count += 1
        try:
            frame = frame.older()
        except gdb.error:
            frame = None
end
)";

struct GdbFrame {
  std::string type;      // normal, inlined, signal
  std::string function;  // "??" where it has no name
  std::string file;      // without its directory; empty where unknown
  int line = 0;
  bool system_header = false;
  std::string text;
};

using GdbStacks = std::map<pid_t, std::vector<GdbFrame>>;

// In the order of the tabs, empty fields too.
std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  return fields;
}

GdbStacks gdb_stacks(pid_t pid, std::string* output) {
  TempDir dir;
  const std::string script = dir.file("frames.gdb");
  std::ofstream(script) << "set backtrace past-main on\n" << kPrintFrames;
  const RunResult result = run({kGdb, "-nx", "-batch", "-p", std::to_string(pid), "-x", script});
  *output = result.out + result.err;
  GdbStacks stacks;
  for (const std::string& line : split(result.out, '\n')) {
    const auto fields = fields_of(line);
    if (fields.size() != 6 || fields[0] != "@FRAME") continue;
    stacks[std::stoi(fields[1])].push_back(
        {fields[2], function_name(fields[3]), std::filesystem::path(fields[4]).filename(),
         std::stoi(fields[5]), fields[4].starts_with("/usr/include/"), line.substr(fields[0].size() + 1)});
  }
  return stacks;
}

// "__GI___libc_read", "__libc_read" and "read", "__libc_start_main" and "__libc_start_main_impl" stand at one
// address: each reader takes one of them.
std::string plain(std::string name) {
  for (bool more = true; more;) {
    more = false;
    for (const char* prefix : {"_", "GI_", "libc_", "new_", "pthread_"})
      if (name.starts_with(prefix)) {
        name.erase(0, std::string(prefix).size());
        more = true;
      }
  }
  name = name.substr(0, name.find_first_of(".@"));
  return name.ends_with("_impl") ? name.substr(0, name.size() - 5) : name;
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
    {"the frame that the kernel makes for a handler: gdb has no name for it, loiter that of what it returns "
     "to",
     [](const GdbFrame& gdb, const json& shown) {
       return gdb.type == "signal" && (symbol_of(shown).empty() || plain(symbol_of(shown)) == "restore_rt");
     }},
    {"several names for one address in libc: each reader takes one of them",
     [](const GdbFrame& gdb, const json& shown) {
       return (gdb.file.empty() || same_place(gdb, shown)) && plain(gdb.function) == plain(symbol_of(shown));
     }},
    {"the same, where a name of its own was given to an alias: __new_sem_wait is sem_wait",
     [](const GdbFrame& gdb, const json& shown) {
       return same_place(gdb, shown) && gdb.function.starts_with("_") &&
              shown.at("module").get<std::string>().find("libc.so") != std::string::npos;
     }},
    {"a lambda: gdb takes the name from the debug information, loiter also that of the symbol",
     [](const GdbFrame& gdb, const json& shown) {
       const std::string symbol = symbol_of(shown);
       return same_place(gdb, shown) &&
              (gdb.function.find("lambda") != std::string::npos
                   ? symbol.find("lambda") != std::string::npos
                   : gdb.function == "operator()" && symbol.ends_with("operator()"));
     }},
    {"an instruction may have several entries in the line table, of which gdb takes one that begins a "
     "statement:"
     " in inlined functions of the library's headers these may be of others",
     [](const GdbFrame& gdb, const json& shown) {
       return gdb.type == "inlined" && shown.at("inlined") == true && gdb.system_header &&
              gdb.function == function_name(symbol_of(shown)) && shown.at("file").is_string() &&
              std::filesystem::path(shown.at("file").get<std::string>()).filename() == gdb.file;
     }},
};

bool equal(const GdbFrame& gdb, const json& shown) {
  return (gdb.file.empty() || same_place(gdb, shown)) && (gdb.type == "inlined") == shown.at("inlined") &&
         gdb.function == function_name(symbol_of(shown));
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

// gdb loses its way where it has no file to read rules from, a perf map or a library that is gone: from its
// first frame without a name on, only what it had before counts.
size_t frames_to_compare(const std::vector<GdbFrame>& gdb) {
  size_t count = 0;
  while (count < gdb.size() && (gdb[count].function != "??" || gdb[count].type == "signal")) ++count;
  return count;
}

void compare(pid_t tid, const std::vector<GdbFrame>& gdb, const json& shown) {
  SCOPED_TRACE("thread " + std::to_string(tid));
  const json& stack = shown.at("stack");
  const size_t count = frames_to_compare(gdb);
  const bool whole = count == gdb.size() && gdb.size() < kMostFrames;
  EXPECT_TRUE(whole ? stack.size() == count : stack.size() >= count) << "another number of frames\n"
                                                                     << as_text(gdb, shown);
  for (size_t i = 0; i < std::min(count, stack.size()); ++i)
    EXPECT_TRUE(equal(gdb[i], stack[i]) || allowed(gdb[i], stack[i]))
        << "frame " << i << ": " << gdb[i].text << " is shown as " << stack[i] << "\n"
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
  // A thread that waits for its vforked child cannot be stopped, and so gdb would wait for ever.
  std::vector<std::string> args;
  if (std::string(name) == "wait_kinds") args = {"--but", "vfork parent"};
  if (contained)
    workload.emplace(Workload::InContainer{}, name, args);
  else
    workload.emplace(name, args);
  const PerfMapRemover remover(workload->pid());
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
  EXPECT_GE(compared, 8u) << output;
}

INSTANTIATE_TEST_SUITE_P(, GdbFrames,
                         ::testing::Values(std::pair{"stacks", false}, std::pair{"stacks-static", false},
                                           std::pair{"lock_kinds", false},
                                           std::pair{"lock_kinds-static", false},
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
