// Who holds the lock that a thread waits for: right, or not told; never wrong.
#include <gtest/gtest.h>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

struct Program {
  const char* name;
  size_t cases;
};

void PrintTo(const Program& program, std::ostream* out) {
  *out << program.name;
}

class LockHolder : public ::testing::TestWithParam<Program> {};

void expect_as_told(const json& thread, const json& fact) {
  EXPECT_TRUE(wait_is_as_told(thread, fact));
  const bool musl = fact.at("libc") == "musl";
  if (thread.is_null() || (musl && !thread.at("cut").is_null())) return;
  EXPECT_TRUE(stack_shows(thread, fact.at("frames"))) << fact;
  EXPECT_TRUE(thread.at("cut").is_null()) << thread;
}

TEST_P(LockHolder, IsTheThreadThatHasIt) {
  Workload workload(GetParam().name);
  EXPECT_EQ(workload.facts().size(), GetParam().cases);
  Daemon daemon;
  for (const json& fact : workload.facts()) {
    SCOPED_TRACE(fact.at("case").get<std::string>());
    expect_as_told(find_thread(daemon.stacks(fact.at("pid"), fact.at("tid")), fact.at("tid")), fact);
    EXPECT_TRUE(wait_is_as_told(find_thread(daemon.tree(fact.at("pid")), fact.at("tid")), fact));
  }
}

INSTANTIATE_TEST_SUITE_P(, LockHolder,
                         ::testing::Values(Program{"lock_kinds", 20}, Program{"lock_kinds-static", 20},
                                           Program{"lock_kinds-musl", 18},
                                           Program{"lock_kinds-musl-static", 18}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

// Its words hold the numbers of its own namespace; what is shown are the host's.
json by_the_host(const json& fact, pid_t init) {
  json translated = fact;
  for (const char* key : {"pid", "tid", "holder_tid", "holder_pid"}) {
    const pid_t number = fact.at(key);
    if (number == 0) continue;
    const auto tid = tid_of_namespace(init, number);
    if (tid) translated[key] = *tid;
  }
  return translated;
}

TEST(LockHolderIn, AContainerIsToldByTheHostsNumbers) {
  for (const char* name : {"lock_kinds", "lock_kinds-static"}) {
    SCOPED_TRACE(name);
    Workload workload(Workload::InContainer{}, name);
    EXPECT_EQ(workload.facts().size(), 20u);
    Daemon daemon;
    for (const json& told : workload.facts()) {
      const json fact = by_the_host(told, workload.pid());
      ASSERT_NE(fact.at("tid"), told.at("tid"));
      SCOPED_TRACE(fact.at("case").get<std::string>());
      const json thread = find_thread(daemon.stacks(fact.at("pid"), fact.at("tid")), fact.at("tid"));
      // What is gone, or never was in this process, has only the number in the lock's word.
      json expected = fact;
      // An owner in another process is looked for by its number, which here is not the host's: it may stay
      // unknown.
      const json wait = thread.is_null() ? json() : thread.at("wait");
      if (fact.at("holder_pid") != fact.at("pid") && !wait.is_null() &&
          wait.at("holder_state") == "unknown") {
        expected["holder_tid"] = 0;
        expected["holder_state"] = "unknown";
      }
      if (is_one_of(fact.at("holder_state"), "ended|inherited"))
        expected["holder_tid"] = told.at("holder_tid");
      expect_as_told(thread, expected);
    }
  }
}

}  // namespace
}  // namespace loiter::test
