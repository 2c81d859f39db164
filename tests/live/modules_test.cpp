// Files of code: what one process cannot open any more, another can.
#include "daemon/inspect/modules.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/lib/proc.h"
#include "tests/lib/reader.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

std::vector<Mapping> code_in(pid_t pid) {
  return code_of(parse_maps(read_file("/proc/" + std::to_string(pid) + "/maps")));
}

// Paths of the files that the parser knows, and of those that it does not.
struct Files {
  std::set<std::string> known, unknown;
};

Files resolve(Modules& modules, pid_t pid, const std::vector<Mapping>& code) {
  Files files;
  const std::vector<CodeMapping> resolved = modules.resolve(static_cast<uint32_t>(pid), code);
  EXPECT_EQ(resolved.size(), code.size());
  for (size_t i = 0; i < resolved.size(); ++i)
    if (code[i].path.starts_with('/'))
      (resolved[i].module ? files.known : files.unknown).insert(code[i].path);
  return files;
}

// The first process of a host that maps the C library may end just when it is to be opened: short-lived ones
// do so at all times.
TEST(Modules, OfAProcessThatEndedAreThoseOfTheNext) {
  Reader reader;
  pid_t gone = 0;
  std::vector<Mapping> code_of_gone;
  {
    const Workload workload("blocker", {"poll"});
    gone = workload.pid();
    code_of_gone = code_in(gone);
  }
  const Files before = resolve(reader.modules, gone, code_of_gone);
  EXPECT_TRUE(before.known.empty());
  EXPECT_GE(before.unknown.size(), 3u) << "the program, the C library, its loader";

  const Workload workload("blocker", {"poll"});
  const Files after = resolve(reader.modules, workload.pid(), code_in(workload.pid()));
  EXPECT_EQ(after.known, before.unknown);
  EXPECT_TRUE(after.unknown.empty());
  EXPECT_EQ(reader.opener.restarts(), 0u);
}

}  // namespace
}  // namespace loiter::test
