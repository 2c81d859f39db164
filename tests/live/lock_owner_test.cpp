// Waits that are easily taken for others, and owners that are easily taken for somebody else: told right, or
// not told.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// Numbers of the program's own namespace become the host's.
json thread_told(const Daemon& daemon, const Workload& workload, json& fact) {
  fact = Workload::the(workload.facts(), "thread");
  fact["pid"] = workload.pid();
  const auto tid = tid_of_namespace(workload.pid(), fact.at("tid"));
  if (!tid) return json();
  fact["tid"] = *tid;
  return find_thread(daemon.tree(workload.pid()), *tid);
}

TEST(LockHolderIn, ANumberThatIsInUseAgainNamesNobody) {
  Daemon daemon;
  Workload workload(Workload::InContainer{}, "lock_owners", {"number again"});
  json fact;
  const json thread = thread_told(daemon, workload, fact);
  EXPECT_TRUE(wait_is_as_told(thread, fact));
}

class FileOfATest {
 public:
  ~FileOfATest() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/loiter-test-lock-" + std::to_string(getpid());
};

// Both have a thread 2, and only one of the two is meant.
TEST(LockHolderIn, MemoryThatContainersShareIsNotMistakenForOnesOwn) {
  const FileOfATest file;
  Daemon daemon;
  Workload holder(Workload::InContainer{}, "lock_owners", {"holds", file.path()});
  Workload waiter(Workload::InContainer{}, "lock_owners", {"waits", file.path()});
  Workload of_the_host("lock_owners", {"waits", file.path()});
  for (const Workload* workload : {&waiter, &of_the_host}) {
    json fact;
    const json thread = thread_told(daemon, *workload, fact);
    EXPECT_TRUE(wait_is_as_told(thread, fact));
    const json chains = daemon.chains(workload->pid(), fact.at("tid"));
    for (const json& chain : chains.at("chains")) EXPECT_EQ(chain.at("end"), "unknown") << chain;
  }
}

TEST(LockHolderOf, AFutexOfTheProgramsOwnIsNobody) {
  Workload workload("lock_owners", {"own futexes"});
  EXPECT_EQ(workload.facts().size(), 4u);
  Daemon daemon;
  for (const json& fact : workload.facts()) {
    const json thread = find_thread(daemon.tree(workload.pid()), fact.at("tid"));
    EXPECT_TRUE(wait_is_as_told(thread, fact));
  }
}

TEST(LockHolderOf, AProcessWithoutItsLeaderIsTold) {
  Workload workload("lock_owners", {"leader ended"});
  const json fact = Workload::the(workload.facts(), "thread");
  Daemon daemon;
  const json thread = find_thread(daemon.stacks(workload.pid(), fact.at("tid")), fact.at("tid"));
  EXPECT_TRUE(wait_is_as_told(thread, fact));
  EXPECT_TRUE(stack_shows(thread, fact.at("frames")));
}

// While it is handed on without rest: each owner lives, and nobody reads.
void expect_in_many_looks(const char* name, const std::function<void(const json& wait)>& expect) {
  constexpr int kLooks = 40;
  Workload workload("lock_owners", {name});
  Daemon daemon;
  daemon.tree(workload.pid());  // from here on it is known
  const std::string path = "/v1/processes/" + std::to_string(workload.pid());
  size_t waits = 0;
  for (int i = 0; i < kLooks; ++i) {
    const json tree = daemon.get(path);
    for (const json& thread : tree.at("threads")) {
      const json& wait = thread.at("wait");
      if (wait.is_null() || wait.at("kind") != "lock") continue;
      ++waits;
      expect(wait);
    }
  }
  EXPECT_GT(waits, 0u);
}

TEST(LockHolderOf, ALockOfShortLivesHasNotEnded) {
  expect_in_many_looks("young owners", [](const json& wait) {
    EXPECT_TRUE(is_one_of(wait.at("holder_state"), "alive|unknown")) << wait;
  });
}

TEST(LockHolderOf, ARwlockWithoutReadersIsNotTheirs) {
  expect_in_many_looks("writers only", [](const json& wait) {
    EXPECT_TRUE(is_one_of(wait.at("holder_state"), "alive|unknown")) << wait;
    EXPECT_EQ(wait.value("detail", "").find("readers hold"), std::string::npos) << wait;
  });
}

}  // namespace
}  // namespace loiter::test
