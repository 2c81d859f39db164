// Creation sites: what a creation costs its creator more with a daemon that takes its stack, what it costs
// the daemon to unwind and name that, and whether a storm loses a birth.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/cpu_time.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/await.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"

namespace loiter::bench {
namespace {

using nlohmann::json;

// Within what a process may have at once, and what there is room for (bpf/slices.h): each of them is taken.
constexpr uint32_t kCreations = 160;
constexpr auto kRest = std::chrono::milliseconds(450);

constexpr double kMostForCreatorNs = 2000;
constexpr double kMostForDaemonNs = 60'000;
constexpr double kMostMemory = 20e6;  // as of a quiet daemon

json origins_of(const test::Daemon& daemon, pid_t pid) {
  return daemon.get("/v1/processes/" + std::to_string(pid) + "/origins?fresh=1");
}

json settled_origins(const test::Daemon& daemon, pid_t pid, uint64_t births) {
  json origins;
  test::await("the sites are known", [&] {
    throw_if_interrupted();
    origins = origins_of(daemon, pid);
    return origins.at("births") >= births && origins.at("without_site").at("pending") == 0;
  });
  return origins;
}

uint64_t with_site(const json& origins) {
  uint64_t births = 0;
  for (const json& site : origins.at("sites")) births += site.at("births").get<uint64_t>();
  return births;
}

// --- the creator -----------------------------------------------------------------------------------------

// With their interval.
std::string microseconds_text(const std::vector<double>& ns) {
  const test::Interval interval = test::median_interval(ns);
  return fmt::format("{:+.2f} us [{:+.2f} .. {:+.2f}]", test::median(ns) / 1e3, interval.low / 1e3,
                     interval.high / 1e3);
}

// CPU time of one creation and join, in ns.
struct Creation {
  double creator = 0;  // of the thread that makes and joins
  double all = 0;      // and of the one that is made: its beginning and end
};

// Of batches that are far enough apart.
Creation creation_of(Workload& creator, int batches) {
  std::vector<double> own, all;
  for (int i = 0; i < batches; ++i) {
    throw_if_interrupted();
    std::this_thread::sleep_for(kRest);
    const Batch batch = creator.run_batches(kCreations, 1).front();
    own.push_back(static_cast<double>(batch.own_ns) / kCreations);
    all.push_back(static_cast<double>(batch.cpu_ns) / kCreations);
  }
  return {test::median(own), test::median(all)};
}

void measure_creator(Report& report, const Settings& settings) {
  const auto cpu = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) - 1;
  Workload creator("create_join", std::to_string(cpu));
  const int batches = settings.quick ? 4 : 8;
  std::vector<double> more, more_in_all, ratios, none, none_in_all;
  uint64_t births = 0, known = 0;
  for (int cycle = 0; cycle < (settings.quick ? 2 : 8); ++cycle) {
    const Creation before = creation_of(creator, batches);
    Creation with;
    {
      const test::Daemon daemon;
      test::await("it has settled", [&] { return daemon.get("/v1/status").at("census").at("passes") >= 4; });
      with = creation_of(creator, 2 * batches);
      const json origins = settled_origins(daemon, creator.pid(), uint64_t{2} * kCreations * batches);
      births += origins.at("births").get<uint64_t>();
      known += with_site(origins);
    }
    const Creation after = creation_of(creator, batches);
    none.push_back((before.creator + after.creator) / 2);
    none_in_all.push_back((before.all + after.all) / 2);
    more.push_back(with.creator - none.back());
    more_in_all.push_back(with.all - none_in_all.back());
    ratios.push_back(with.all / none_in_all.back());
  }
  report.goal("a creation costs its creator more", microseconds_text(more), "<= 2 us",
              test::judge_at_most(test::median_interval(more), kMostForCreatorNs));
  report.figure("the creator's part of a creation and join, none", duration_text(test::median(none)));
  report.goal("create and join, with the thread that is made", percent_text(ratios), "<= +10 %",
              test::judge_at_most(test::median_interval(ratios), 1.1));
  report.figure("that is",
                microseconds_text(more_in_all) + " of " + duration_text(test::median(none_in_all)));
  report.figure("of these creations with a site", fmt::format("{} of {}", known, births));
}

// --- the daemon ------------------------------------------------------------------------------------------

// The daemon and its helpers.
uint64_t daemon_cpu_ns(const test::Daemon& daemon) {
  uint64_t ns = cpu_ns_of(daemon.pid());
  for (pid_t helper : test::children_of(daemon.pid())) ns += cpu_ns_of(helper);
  return ns;
}

uint64_t cpu_in(const test::Daemon& daemon, std::chrono::milliseconds time) {
  const uint64_t before = daemon_cpu_ns(daemon);
  std::this_thread::sleep_for(time);
  return daemon_cpu_ns(daemon) - before;
}

// 400 creations a second, against the same time at rest.
void measure_daemon(Report& report, const Settings& settings) {
  const test::Daemon daemon;
  Workload creator("storm", "400");
  creator.run_storm();  // its files are known from here on
  settled_origins(daemon, creator.pid(), 400);
  std::vector<double> ns;
  for (int round = 0; round < (settings.quick ? 3 : 10); ++round) {
    throw_if_interrupted();
    const auto idle = static_cast<double>(cpu_in(daemon, std::chrono::seconds(2)));
    const json origins_before = origins_of(daemon, creator.pid());
    const uint64_t before = daemon_cpu_ns(daemon);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    creator.run_storm();
    std::this_thread::sleep_until(end);
    const auto busy = static_cast<double>(daemon_cpu_ns(daemon) - before);
    const json origins =
        settled_origins(daemon, creator.pid(), origins_before.at("births").get<uint64_t>() + 400);
    ns.push_back((busy - idle) / static_cast<double>(with_site(origins) - with_site(origins_before)));
  }
  report.goal("the daemon's CPU time a creation, unwound and named", duration_text(test::median(ns)),
              "<= 60 us", test::judge_at_most(test::median_interval(ns), kMostForDaemonNs));
}

// --- a storm ---------------------------------------------------------------------------------------------

void measure_sampling(Report& report) {
  const test::Daemon daemon;
  Workload storm("storm", std::to_string(kThreads));
  const uint64_t cpu_before = daemon_cpu_ns(daemon);
  const uint64_t elapsed_ns = storm.run_storm();
  const json origins = settled_origins(daemon, storm.pid(), kThreads);
  const uint64_t births = origins.at("births"), known = with_site(origins);
  uint64_t sum = known;
  for (const auto& [reason, count] : origins.at("without_site").items())
    if (reason != "before_daemon") sum += count.get<uint64_t>();
  report.goal("births of 20,000 in " + duration_text(static_cast<double>(elapsed_ns)), std::to_string(births),
              "20008, as many accounted for",
              births == kThreads + 8 && sum == births ? Verdict::met : Verdict::missed);
  report.figure("of these with a site", std::to_string(known));
  report.figure("the daemon's CPU time for all of it",
                duration_text(static_cast<double>(daemon_cpu_ns(daemon) - cpu_before)));
}

// --- memory ----------------------------------------------------------------------------------------------

double pss_bytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  double kilobytes = 0;
  for (std::string word; file >> word;)
    if (word == "Pss:" && file >> kilobytes) break;
  return kilobytes * 1024;
}

void measure_memory(Report& report) {
  const test::Daemon daemon;
  std::vector<std::unique_ptr<Workload>> creators;
  for (int i = 0; i < 20; ++i) {
    creators.push_back(std::make_unique<Workload>("storm", "20"));
    creators.back()->run_storm();
    settled_origins(daemon, creators.back()->pid(), 20);
  }
  const double maps = daemon.get("/v1/status").at("memory").at("bpf_bytes");
  const double own = pss_bytes(daemon.pid());
  report.goal("PSS after sites of 20 processes", megabytes_text(own) + " + BPF maps " + megabytes_text(maps),
              "< " + megabytes_text(kMostMemory), own + maps < kMostMemory ? Verdict::met : Verdict::missed);
  for (pid_t helper : test::children_of(daemon.pid()))
    report.figure("PSS of its " + test::thread_stat(helper, helper).value_or(test::ThreadStat{}).comm,
                  megabytes_text(pss_bytes(helper)));
}

}  // namespace

void measure_origins(Report& report, const Settings& settings) {
  report.section("creation sites");
  measure_creator(report, settings);
  measure_daemon(report, settings);
  measure_sampling(report);
  measure_memory(report);
}

}  // namespace loiter::bench
