// What the daemon tells of itself and of the moment that its answers speak of.
#include <gtest/gtest.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/lib/clocks.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

TEST(Status, NamesItselfAndTheHost) {
  Daemon daemon({"--threshold", "7s", "--interval", "500ms"});
  const json status = daemon.status();
  utsname host{};
  uname(&host);
  EXPECT_EQ(status.at("pid"), daemon.pid());
  EXPECT_EQ(status.at("private"), false);
  EXPECT_EQ(status.at("threshold_ns"), 7 * kNsPerSecond);
  EXPECT_EQ(status.at("census_interval_ns"), 500 * kMillisecond);
  EXPECT_EQ(status.at("kernel_threads"), false);
  EXPECT_EQ(status.at("host").at("kernel"), host.release);
  EXPECT_EQ(status.at("host").at("arch"), host.machine);
  EXPECT_EQ(status.at("host").at("cpus"), sysconf(_SC_NPROCESSORS_ONLN));
  for (const auto& feature : status.at("features")) {
    EXPECT_TRUE(feature.at("state") == "ok" || feature.at("state") == "degraded" ||
                feature.at("state") == "missing")
        << feature;
    EXPECT_FALSE(feature.at("detail").get<std::string>().empty()) << feature;
  }
}

TEST(Status, CountsItsMemory) {
  Daemon daemon;
  const json memory = daemon.status().at("memory");
  EXPECT_GT(memory.at("pss_bytes"), 0);
  uint64_t total = 0;
  for (const auto& map : memory.at("bpf_maps")) total += map.at("bytes").get<uint64_t>();
  EXPECT_EQ(memory.at("bpf_bytes"), total);
  EXPECT_GE(total, 4096u) << "the ring at least";
}

TEST(Status, TakesACensusEveryInterval) {
  Daemon daemon({"--interval", "200ms"});
  const auto passes = [&] { return daemon.get("/v1/status").at("census").at("passes").get<uint64_t>(); };
  const uint64_t before = passes();
  const uint64_t began = boottime_now_ns();
  ASSERT_TRUE(await("five more", [&] { return passes() >= before + 5; }));
  EXPECT_GE(boottime_now_ns() - began, 500u * kMillisecond) << "and not more often than asked for";
  EXPECT_EQ(daemon.status().at("census").at("failed"), 0);
}

TEST(Status, CountsEachKindOfEvent) {
  Daemon daemon;
  Workload workload("storm");
  const json before = daemon.status().at("events");
  workload.command("threads 100");
  workload.command("processes 10");
  const json after = daemon.status().at("events");
  EXPECT_GE(after.at("born").get<int>() - before.at("born").get<int>(), 110);
  EXPECT_GE(after.at("ended").get<int>() - before.at("ended").get<int>(), 110);
  EXPECT_EQ(daemon.status().at("losses_total"), 0);
}

TEST(Fresh, AnswersFromACensusBegunAfterTheRequest) {
  Daemon daemon({"--interval", "1h"});
  for (int i = 0; i < 5; ++i) {
    const uint64_t asked = boottime_now_ns();
    const json list = daemon.get("/v1/processes?fresh=1");
    EXPECT_GE(list.at("as_of_boottime_ns"), asked);
    EXPECT_LE(list.at("as_of_boottime_ns"), boottime_now_ns());
    EXPECT_EQ(daemon.get("/v1/processes").at("as_of_boottime_ns"), list.at("as_of_boottime_ns"))
        << "without it, the last one serves";
  }
}

TEST(Fresh, ManyAtOnceShareACensus) {
  Daemon daemon({"--interval", "1h"});
  const uint64_t before = daemon.status().at("census").at("passes");
  std::vector<std::unique_ptr<HttpConnection>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<HttpConnection>(daemon.socket()));
    clients.back()->request("/v1/processes?fresh=1");
  }
  for (const auto& client : clients) EXPECT_EQ(client->read_response().status, 200);
  EXPECT_LT(daemon.get("/v1/status").at("census").at("passes"), before + 25);
}

TEST(Times, OfABirthDoNotWander) {
  Workload workload("spawn_tree", {"1", "2"});
  Daemon daemon;
  const json first = daemon.tree(workload.pid());
  for (int i = 0; i < 20; ++i) {
    const json again = daemon.tree(workload.pid());
    for (const auto& thread : first.at("threads"))
      ASSERT_EQ(find_thread(again, thread.at("tid")).at("start_time"), thread.at("start_time"));
    EXPECT_EQ(again.at("process").at("start_time"), first.at("process").at("start_time"));
  }
}

}  // namespace
}  // namespace loiter::test
