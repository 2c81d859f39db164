// The default mode costs a hot program nothing: none of our programs runs for a futex call, a context
// switch or any other system call. The kernel's own count of their runs is the witness.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "daemon/base/fd.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// The programs that a process holds by a file of its own, as a program or through a link.
std::set<uint32_t> programs_of(pid_t pid) {
  std::set<uint32_t> ids;
  for (const auto& file : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fdinfo")) {
    const std::string text = read_file(file.path());
    const size_t at = text.find("prog_id:");
    if (at != std::string::npos) ids.insert(static_cast<uint32_t>(std::stoul(text.substr(at + 8))));
  }
  return ids;
}

struct Runs {
  std::map<std::string, uint64_t> by_program;
  uint64_t events = 0;  // of all programs but the census
};

Runs count_runs(const std::set<uint32_t>& ids) {
  Runs runs;
  for (uint32_t id : ids) {
    const Fd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &size))
      throw std::runtime_error("no information on BPF program " + std::to_string(id));
    runs.by_program[info.name] = info.run_cnt;
    if (std::string(info.name) != "census") runs.events += info.run_cnt;
  }
  return runs;
}

// All that the event plane has told of, and what was lost on the way.
uint64_t events_counted(const json& status) {
  uint64_t total = 0;
  for (const auto& [name, count] : status.at("events").items()) total += count.get<uint64_t>();
  for (const auto& loss : status.at("losses"))
    if (loss.at("cause").get<std::string>().starts_with("ring_full"))
      total += loss.at("count").get<uint64_t>();
  return total;
}

// Ten times the command, so that none of them takes long enough to look hung on a slow machine.
void expect_no_run_during_ten(const std::string& command) {
  const Fd statistics(bpf_enable_stats(BPF_STATS_RUN_TIME));
  ASSERT_TRUE(statistics) << "the kernel keeps no statistics of BPF programs";
  Daemon daemon;
  Workload workload("hot_calls");
  const std::set<uint32_t> programs = programs_of(daemon.pid());
  ASSERT_GE(programs.size(), 5u) << "four kinds of events and the census";

  // The count of events first and last: the runs between are then within it, whatever else this host does.
  const uint64_t events_before = events_counted(daemon.status());
  const Runs before = count_runs(programs);
  for (int i = 0; i < 10; ++i) workload.command(command);
  const Runs after = count_runs(programs);
  const uint64_t events_after = events_counted(daemon.status());
  // An event is told before its program has returned, its run is counted after: one a CPU may be under way.
  const uint64_t under_way = static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_ONLN));
  EXPECT_LE(after.events - before.events, events_after - events_before + under_way)
      << json(before.by_program) << json(after.by_program);
  EXPECT_GT(before.events, 0u) << "the birth of the workload was counted, so the witness is awake";
  EXPECT_LT(events_after - events_before, 100'000u) << "this host is too busy for the test to mean anything";
}

TEST(Overhead, NoProgramRunsForAMillionFutexCalls) {
  expect_no_run_during_ten("futex 100000");
}

TEST(Overhead, NoProgramRunsForAMillionSystemCalls) {
  expect_no_run_during_ten("getppid 100000");
}

TEST(Overhead, NoProgramRunsForAMillionContextSwitches) {
  // A round trip is a switch of each of the two threads, at the least one of both CPUs each way.
  expect_no_run_during_ten("switch 50000");
}

}  // namespace
}  // namespace loiter::test
