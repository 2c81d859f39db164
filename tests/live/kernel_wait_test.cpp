// Threads that the kernel itself keeps asleep: at file systems that are frozen or whose server is silent, in
// a frozen cgroup, in an io_uring, at a page that nobody serves. What the machine refuses is skipped.
#include <gtest/gtest.h>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

class KernelWait : public ::testing::Test {
 protected:
  // Starts the case of a workload; false where this machine has not what it needs.
  bool block_in(const std::string& workload, const std::string& name) {
    workload_.emplace(workload, std::vector<std::string>{name});
    fact_ = workload_->facts().at(0);
    return fact_.at("fact") == "thread";
  }
  std::string reason() const { return fact_.at("why"); }

  // The thread as the tree shows it, which must be as it was told, as must be what a look inside shows.
  json blocked() {
    const pid_t pid = fact_.at("pid"), tid = fact_.at("tid");
    const json in_stacks = find_thread(daemon_.stacks(pid), tid);
    EXPECT_TRUE(wait_is_as_told(in_stacks, fact_));
    json in_tree = find_thread(daemon_.tree(pid), tid);
    EXPECT_TRUE(wait_is_as_told(in_tree, fact_));
    return in_tree;
  }

  // "…, in vfs_write" names a function of the kernel that stands on the thread's stack there.
  void expect_function_of_the_kernel(const json& thread) {
    const std::string detail = thread.at("wait").at("detail");
    const size_t at = detail.rfind(", in ");
    ASSERT_NE(at, std::string::npos) << detail;
    const std::string stack = read_file("/proc/" + std::to_string(fact_.at("pid").get<pid_t>()) + "/task/" +
                                        std::to_string(fact_.at("tid").get<pid_t>()) + "/stack");
    EXPECT_NE(stack.find(" " + detail.substr(at + 5) + "+0x"), std::string::npos) << detail << "\n" << stack;
  }

  Daemon daemon_;
  std::optional<Workload> workload_;
  json fact_;
};

TEST_F(KernelWait, AtAFrozenFileSystemIsForTheDisk) {
  if (!block_in("kernel_kinds", "frozen disk")) GTEST_SKIP() << reason();
  expect_function_of_the_kernel(blocked());
}

TEST_F(KernelWait, ForASilentFileServerIsForTheDisk) {
  if (!block_in("kernel_kinds", "silent server")) GTEST_SKIP() << reason();
  expect_function_of_the_kernel(blocked());
}

TEST_F(KernelWait, InAFrozenCgroupIsFrozen) {
  if (!block_in("kernel_kinds", "frozen cgroup")) GTEST_SKIP() << reason();
  blocked();
}

// Nobody has to do anything about the lock that it was in.
TEST_F(KernelWait, InAFrozenCgroupIsNoLockAnyMore) {
  if (!block_in("kernel_kinds", "frozen waiter")) GTEST_SKIP() << reason();
  const json thread = blocked();
  EXPECT_TRUE(thread.at("wait").at("object").is_null()) << thread;
}

TEST_F(KernelWait, InAnIoUringHasItsDescriptor) {
  if (!block_in("wait_kinds", "io_uring")) GTEST_SKIP() << reason();
  blocked();
}

// The page is not touched by whoever looks: nothing hangs, nobody has to be replaced.
TEST_F(KernelWait, AtAPageThatNobodyServesIsAPageFault) {
  if (!block_in("wait_kinds", "page fault")) GTEST_SKIP() << reason();
  blocked();
  EXPECT_TRUE(daemon_.stacks(workload_->pid()).at("failure").is_null());
  EXPECT_EQ(daemon_.log().find("opener"), std::string::npos) << daemon_.log();
}

}  // namespace
}  // namespace loiter::test
