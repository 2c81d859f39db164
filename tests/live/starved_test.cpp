// A machine with too little CPU for everybody: the helpers that look inside processes are slow then, and not
// taken for hung.
#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>

#include "tests/lib/await.h"
#include "tests/lib/daemon.h"
#include "tests/lib/one_cpu.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

// Beside 8 busy threads it gets next to nothing of the CPU, and it needs some milliseconds for a look.
void starve(pid_t pid) {
  const sched_param none{};
  cpu_set_t same;
  sched_getaffinity(0, sizeof(same), &same);
  ASSERT_EQ(sched_setaffinity(pid, sizeof(same), &same), 0);
  ASSERT_EQ(sched_setscheduler(pid, SCHED_IDLE, &none), 0);
}

TEST(Starved, AHelperThatGetsNoCpuIsWaitedFor) {
  Workload workload("lock_kinds", {"mutex normal"});
  Daemon daemon;
  const nlohmann::json fact = workload.facts().front();
  daemon.stacks(workload.pid());  // so that there are helpers
  const std::set<pid_t> helpers = children_of(daemon.pid());
  ASSERT_EQ(helpers.size(), 2u);

  const OneCpu cpu;
  Workload busy("spinner", {"8", "120"});
  // The helpers name where its threads were made: they are to be starved of the CPU for the look alone.
  ASSERT_TRUE(await("its creation sites are known", [&] {
    const nlohmann::json origins =
        daemon.get("/v1/processes/" + std::to_string(busy.pid()) + "/origins?fresh=1");
    return origins.at("births") == 8 && origins.at("without_site").at("pending") == 0;
  }));
  for (const pid_t helper : helpers) starve(helper);
  using namespace std::chrono;
  constexpr auto kPatience = seconds(2);  // of the daemon with its opener
  bool was_slow = false;
  for (int tries = 0; tries < 100 && !was_slow; ++tries) {
    const auto begin = steady_clock::now();
    const nlohmann::json thread = find_thread(daemon.stacks(workload.pid()), fact.at("tid"));
    was_slow = steady_clock::now() - begin > kPatience + milliseconds(500);
    ASSERT_FALSE(thread.is_null());
    EXPECT_TRUE(thread.at("cut").is_null()) << thread;
    EXPECT_FALSE(thread.at("stack").empty()) << thread;
  }
  EXPECT_TRUE(was_slow) << "else this has shown nothing";
  EXPECT_EQ(children_of(daemon.pid()), helpers) << daemon.log();
}

}  // namespace
}  // namespace loiter::test
