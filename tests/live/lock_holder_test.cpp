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
  bool without_symbols = false;  // of libc
};

void PrintTo(const Program& program, std::ostream* out) {
  *out << program.name << (program.without_symbols ? "_without_symbols" : "");
}

class LockHolder : public ::testing::TestWithParam<Program> {};

void expect_as_told(const json& thread, const json& fact) {
  EXPECT_TRUE(wait_is_as_told(thread, fact));
  if (thread.is_null()) return;
  EXPECT_TRUE(stack_shows(thread, fact.at("frames"))) << fact;
  EXPECT_TRUE(thread.at("cut").is_null()) << thread;
}

// That the symbols are not to be had, and that nothing stands in their place.
void expect_no_names_inside_libc(const json& thread, const json& fact) {
  if (fact.at("case") != "mutex robust" && fact.at("case") != "mutex timed pi") return;
  ASSERT_FALSE(thread.is_null() || thread.at("stack").empty()) << fact;
  EXPECT_TRUE(thread.at("stack")[0].at("symbol").is_null()) << thread;
}

TEST_P(LockHolder, IsTheThreadThatHasIt) {
  const SpawnOptions options{.hide_debug_files = GetParam().without_symbols};
  Workload workload(GetParam().name, {}, options);
  EXPECT_EQ(workload.facts().size(), GetParam().cases);
  Daemon daemon({}, options);
  for (const json& fact : workload.facts()) {
    SCOPED_TRACE(fact.at("case").get<std::string>());
    const json thread = find_thread(daemon.stacks(fact.at("pid"), fact.at("tid")), fact.at("tid"));
    expect_as_told(thread, fact);
    if (GetParam().without_symbols) expect_no_names_inside_libc(thread, fact);
    EXPECT_TRUE(wait_is_as_told(find_thread(daemon.tree(fact.at("pid")), fact.at("tid")), fact));
  }
}

INSTANTIATE_TEST_SUITE_P(, LockHolder,
                         ::testing::Values(Program{"lock_kinds", 25}, Program{"lock_kinds", 25, true},
                                           Program{"lock_kinds-static", 25}, Program{"lock_kinds-musl", 23},
                                           Program{"lock_kinds-musl-static", 23}),
                         [](const auto& info) {
                           std::string name = ::testing::PrintToString(info.param);
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
    EXPECT_EQ(workload.facts().size(), 25u);
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
