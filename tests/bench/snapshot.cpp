// What the daemon costs: CPU time from census to published snapshot, and memory, with 20,000 threads and on
// the host as it is.
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "tests/bench/cpu_time.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/daemon.h"

namespace loiter::bench {
namespace {

using nlohmann::json;

constexpr double kMostCpuNs = 40e6;
constexpr double kMostBusyBytes = 60e6;
constexpr double kMostQuietBytes = 20e6;

double pss_bytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string word; file >> word;) {
    double kilobytes = 0;
    if (word == "Pss:" && file >> kilobytes) return kilobytes * 1024;
  }
  throw std::runtime_error("no Pss of the daemon");
}

// Follows the daemon's own figures from census to census.
struct Passes {
  std::vector<double> read_ns, publish_ns, cpu_ns;
  double threads = 0;
  double total_cpu_ns = 0;  // by the kernel's account, a pass: whatever else the daemon did is in it
};

Passes follow(const test::Daemon& daemon, int count) {
  Passes passes;
  const json first = daemon.get("/v1/status").at("census");
  const uint64_t cpu_before = cpu_ns_of(daemon.pid());
  for (json last = first; last.at("passes") < first.at("passes").get<int>() + count;) {
    throw_if_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(250));  // each question costs the daemon something
    const json now = daemon.get("/v1/status").at("census");
    if (now.at("passes") == last.at("passes")) continue;
    passes.read_ns.push_back(now.at("read_ns"));
    passes.publish_ns.push_back(now.at("publish_ns"));
    passes.cpu_ns.push_back(now.at("cpu_ns"));
    passes.threads = now.at("threads");
    last = now;
    passes.total_cpu_ns = static_cast<double>(cpu_ns_of(daemon.pid()) - cpu_before) /
                          (now.at("passes").get<int>() - first.at("passes").get<int>());
  }
  return passes;
}

std::string interval_text(const std::vector<double>& ns) {
  const auto [low, high] = test::median_interval(ns);
  return duration_text(test::median(ns)) + " [" + duration_text(low) + " .. " + duration_text(high) + "]";
}

void report_maps(Report& report, const json& memory) {
  for (const json& map : memory.at("bpf_maps"))
    report.figure("BPF map " + map.at("name").get<std::string>(), megabytes_text(map.at("bytes")));
}

void report_memory(Report& report, const std::string& name, double pss, double maps, double bound) {
  report.goal(name, megabytes_text(pss) + " + BPF maps " + megabytes_text(maps), "< " + megabytes_text(bound),
              pss + maps < bound ? Verdict::met : Verdict::missed);
}

void measure_quiet(Report& report, int passes) {
  const test::Daemon daemon;
  const Passes quiet = follow(daemon, passes);
  const json memory = daemon.get("/v1/status").at("memory");
  report.figure("CPU a pass, host as it is (" + std::to_string(static_cast<int>(quiet.threads)) + " threads)",
                duration_text(test::median(quiet.cpu_ns)));
  report_memory(report, "PSS, host as it is", pss_bytes(daemon.pid()), memory.at("bpf_bytes"),
                kMostQuietBytes);
  report_maps(report, memory);
}

void measure_busy(Report& report, int passes) {
  const Workload blocked("blocked", std::to_string(kThreads));
  const test::Daemon daemon;
  const Passes busy = follow(daemon, passes);
  if (busy.threads < kThreads) throw std::runtime_error("the daemon does not see all threads");
  report.figure("the census alone, by the clock", interval_text(busy.read_ns));
  report.figure("start of the census to published, by the clock", interval_text(busy.publish_ns));
  report.goal("start of the census to published, CPU time", interval_text(busy.cpu_ns), "< 40 ms",
              test::judge_at_most(test::median_interval(busy.cpu_ns), kMostCpuNs));
  report.goal("all that the daemon did, CPU time a pass", duration_text(busy.total_cpu_ns), "< 40 ms",
              busy.total_cpu_ns < kMostCpuNs ? Verdict::met : Verdict::missed);
  const double maps = daemon.get("/v1/status").at("memory").at("bpf_bytes");
  report_memory(report, "PSS with 20,000 threads", pss_bytes(daemon.pid()), maps, kMostBusyBytes);
  const size_t served = daemon.get("/v1/processes/" + std::to_string(blocked.pid())).at("threads").size();
  report_memory(report, "PSS after it served a tree of " + std::to_string(served), pss_bytes(daemon.pid()),
                maps, kMostBusyBytes);
}

}  // namespace

void measure_snapshot(Report& report, const Settings& settings) {
  const int passes = settings.quick ? 3 : 12;
  report.section("from census to published snapshot; memory");
  measure_quiet(report, passes);
  measure_busy(report, passes);
}

}  // namespace loiter::bench
