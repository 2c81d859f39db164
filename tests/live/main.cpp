// The live tests: loiterd and loiter against the running kernel, as root.
//
// After each test nothing it started may be left. As a subreaper this process inherits whatever a test's
// children leave behind, so a look at its own children shows it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"
#include "tests/lib/await.h"
#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

class LeaveNothingBehind : public ::testing::EmptyTestEventListener {
  void OnTestEnd(const ::testing::TestInfo&) override {
    std::set<pid_t> left;
    const auto none = await("all processes of the test have ended", [&] {
      while (waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      left = children_of(getpid());
      return left.empty();
    });
    EXPECT_TRUE(none);
    for (pid_t pid : left) {
      ADD_FAILURE() << pid << ": " << read_file("/proc/" + std::to_string(pid) + "/cmdline");
      kill(pid, SIGKILL);  // ours to end, and in the way of the next test
      waitpid(pid, nullptr, 0);
    }
  }
};

}  // namespace
}  // namespace loiter::test

int main(int argc, char** argv) {
  // As loiterd does: tests of the opener and the parser start them from this executable.
  if (argc == 3 && std::strcmp(argv[1], "--helper") == 0)
    return std::strcmp(argv[2], "opener") == 0 ? loiter::run_opener_child() : loiter::run_parser_child();
  ::testing::InitGoogleTest(&argc, argv);
  if (!::testing::GTEST_FLAG(list_tests) && geteuid() != 0) {
    fprintf(stderr, "live_tests: needs root: they load BPF programs\n");
    return 1;
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  // The ends of tests reach listeners in reverse order: this one ahead of the printer.
  ::testing::UnitTest::GetInstance()->listeners().Append(new loiter::test::LeaveNothingBehind);
  return RUN_ALL_TESTS();
}
