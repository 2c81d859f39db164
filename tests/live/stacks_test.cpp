// Stacks, function by function: of a program that knows each.
#include <gtest/gtest.h>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

void expect_stack(const json& thread, const json& fact) {
  SCOPED_TRACE(fact.at("case").get<std::string>());
  ASSERT_FALSE(thread.is_null()) << fact;
  EXPECT_TRUE(stack_shows(thread, fact.at("frames"))) << fact;
  if (fact.at("note") == "may be cut") return;
  if (fact.at("note") == "5000")  // whole, or it says that it is not
    EXPECT_TRUE(!thread.at("cut").is_null() || thread.at("stack").size() >= 5000) << thread.at("cut");
  else
    EXPECT_TRUE(thread.at("cut").is_null()) << thread;
}

class Stacks : public ::testing::TestWithParam<const char*> {};

TEST_P(Stacks, AreThoseOfTheSource) {
  Workload workload(GetParam());
  const PerfMapRemover remover(workload.pid());
  Daemon daemon;
  const json document = daemon.stacks(workload.pid());
  for (const json& fact : workload.facts()) expect_stack(find_thread(document, fact.at("tid")), fact);
  EXPECT_GE(workload.facts().size(), 8u);
}

TEST_P(Stacks, OfOneThreadIsTheSameAsAmongAll) {
  Workload workload(GetParam(), {"inlined", "names"});
  Daemon daemon;
  const json all = daemon.stacks(workload.pid());
  for (const json& fact : workload.facts()) {
    const json one = daemon.stacks(workload.pid(), fact.at("tid"));
    ASSERT_EQ(one.at("threads").size(), 1u);
    EXPECT_EQ(one.at("threads")[0].at("stack"), find_thread(all, fact.at("tid")).at("stack"));
  }
}

INSTANTIATE_TEST_SUITE_P(, Stacks, ::testing::Values("stacks", "stacks-static"), [](const auto& info) {
  return std::string(info.param) == "stacks" ? "dynamic" : "static";
});

TEST(StacksIn, AContainerAreWhole) {
  Workload workload(Workload::InContainer{}, "stacks",
                    {"inlined", "names", "raised signal", "std::thread", "vanished library"});
  Daemon daemon;
  const json document = daemon.stacks(workload.pid());
  for (const json& fact : workload.facts())
    expect_stack(find_thread(document, tid_of_namespace(workload.pid(), fact.at("tid")).value_or(0)), fact);
}

TEST(StacksWithoutLines, HaveNoneAndNothingInlined) {
  Workload workload("stacks", {"inlined"});
  Daemon daemon;
  const json fact = Workload::the(workload.facts(), "stack");
  const json thread = daemon.stacks(workload.pid(), fact.at("tid"), "&lines=0").at("threads")[0];
  EXPECT_TRUE(stack_shows(thread, "inlining::leaf inlining::outer thread_of_case"));
  for (const json& frame : thread.at("stack")) {
    EXPECT_TRUE(frame.at("line").is_null()) << frame;
    EXPECT_EQ(frame.at("inlined"), false) << frame;
  }
}

TEST(StacksWithKernel, TellWhereInTheKernel) {
  Workload workload("lock_kinds", {"mutex normal"});
  Daemon daemon;
  const json fact = Workload::the(workload.facts(), "thread");
  const json thread = daemon.stacks(workload.pid(), fact.at("tid"), "&kernel=1").at("threads")[0];
  ASSERT_TRUE(thread.at("kernel_stack").is_array()) << thread;
  bool futex = false;
  for (const json& frame : thread.at("kernel_stack"))
    futex = futex || frame.get<std::string>().find("futex") != std::string::npos;
  EXPECT_TRUE(futex) << thread;
}

}  // namespace
}  // namespace loiter::test
