// What the history costs: a minute's write for 500 processes of which a tenth changes, the same a day long
// for the size of the file, and a finding of many threads.
#include <cstdio>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/history/count_sampler.h"
#include "daemon/history/finding_codec.h"
#include "daemon/history/history_file.h"
#include "daemon/history/history_reader.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/sections.h"
#include "tests/lib/daemon.h"

namespace loiter::bench {
namespace {

constexpr uint64_t kMinuteNs = 60 * kSecondNs;
constexpr uint64_t kDayNs = 1440 * kMinuteNs;
constexpr double kMostWriteNs = 20e6;
constexpr double kMostLookNs = 1e6;
constexpr double kMostDayBytes = 8e6;
constexpr uint32_t kProcesses = 500;
constexpr uint32_t kRestless = 50;  // of them, whose threads come and go all the time

Snapshot made_host(uint64_t boot_ns, const WallClock& wall, std::mt19937& random) {
  Snapshot snapshot;
  snapshot.begin_boot_ns = boot_ns;
  snapshot.pass = boot_ns;
  snapshot.wall = wall;
  for (uint32_t i = 0; i < kProcesses; ++i) {
    ProcessView& process = snapshot.processes.emplace_back();
    process.key = {1000 + i, 7};
    std::snprintf(process.comm.bytes, sizeof(process.comm.bytes), "server-%u", i);
    process.exe = "/usr/lib/shop/bin/server-" + std::to_string(i);
    process.cgroup = "/system.slice/shop-server-" + std::to_string(i) + ".service";
    process.threads.resize(i < kRestless ? 20 + random() % 60 : 8);
    for (ThreadView& thread : process.threads) thread.blocked_ns = random() % kMinuteNs;
  }
  return snapshot;
}

void measure_day(Report& report, const std::string& dir, int minutes) {
  const uint64_t now = realtime_now_ns(), boot_ns = kDayNs * 30;
  WallClock wall;
  wall.offset_ns = static_cast<int64_t>(now) - static_cast<int64_t>(boot_ns);
  std::vector<std::string> set_aside;
  auto file = HistoryFile::open({dir, 7 * kDayNs, 64 << 20}, "bench", wall, set_aside);
  if (!file) throw std::runtime_error(file.error().message);
  CountSampler sampler(kMinuteNs);
  std::mt19937 random(1);
  std::vector<double> write_ns, look_ns;
  size_t rows = 0;
  for (int minute = minutes; minute > 0; --minute) {
    throw_if_interrupted();
    const uint64_t at = boot_ns - static_cast<uint64_t>(minute) * kMinuteNs;
    const Snapshot snapshot = made_host(at, wall, random);
    const uint64_t begin = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    const auto batch = sampler.add(snapshot);
    const uint64_t looked = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (!batch) throw std::runtime_error("a period is not over");
    (*file)->write(*batch);
    (*file)->tidy(now - static_cast<uint64_t>(minute) * kMinuteNs);
    const uint64_t end = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    rows += batch->rows.size();
    look_ns.push_back(static_cast<double>(looked - begin));
    write_ns.push_back(static_cast<double>(end - looked));
  }
  const test::Interval write = test::median_interval(write_ns), look = test::median_interval(look_ns);
  report.goal("a minute's write, CPU", duration_text(test::median(write_ns)), "< 20 ms",
              test::judge_at_most(write, kMostWriteNs));
  report.figure("the mean, with merging of old periods", duration_text([&] {
                  double sum = 0;
                  for (const double ns : write_ns) sum += ns;
                  return sum / static_cast<double>(write_ns.size());
                }()));
  report.goal("a look at a census for it, CPU", duration_text(test::median(look_ns)), "< 1 ms",
              test::judge_at_most(look, kMostLookNs));
  const double days = minutes / 1440.0;
  report.figure("rows a day", std::to_string(static_cast<int>(static_cast<double>(rows) / days)));
  file->reset();  // a last checkpoint
  const auto bytes = static_cast<double>(std::filesystem::file_size(dir + "/history.db"));
  report.goal("bytes a day", std::to_string(static_cast<int>(bytes / days)), "< 8,000,000",
              test::judge_at_most({bytes / days, bytes / days}, kMostDayBytes));
  const uint64_t begin = monotonic_now_ns();
  const HistoryAnswer answer =
      read_history(dir, false, {.since_ns = kDayNs, .points = 60, .limit = 100}, realtime_now_ns());
  if (!answer.failure.empty() || answer.processes.size() != 100) throw std::runtime_error("no answer");
  report.figure("reading a day of 100 processes",
                duration_text(static_cast<double>(monotonic_now_ns() - begin)));
}

void measure_finding(Report& report) {
  KeptFinding kept;
  kept.finding.id = "stuck-1-1";
  auto site = std::make_shared<SiteStack>();
  for (uint32_t i = 0; i < 20; ++i) {
    SiteFrame& frame = site->frames.emplace_back();
    frame.symbol = "shop::Server::handle_request(shop::Request const&, shop::Context&)" + std::to_string(i);
    frame.module = "/usr/lib/shop/bin/server";
    frame.file = "/build/shop/src/server/handle.cpp";
    frame.offset = 4711 * i;
    frame.line = i;
  }
  for (uint32_t i = 0; i < 32; ++i) {
    FindingThread& thread = kept.finding.threads.emplace_back();
    thread.key = {i + 1, i + 1};
    thread.name = "worker-" + std::to_string(i);
    thread.site = site;
    if (i < 16) thread.stack = site->frames;
    thread.wait.emplace().object = "0x7f00112233" + std::to_string(i);
  }
  const uint64_t begin = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
  const std::string bytes = encode_finding(kept, {});
  const uint64_t end = cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID);
  report.figure("a finding of 32 threads, bytes", std::to_string(bytes.size()));
  report.figure("made in, CPU", duration_text(static_cast<double>(end - begin)));
}

}  // namespace

void measure_history(Report& report, const Settings& settings) {
  report.section("history of 500 processes, 50 of which change each minute");
  const test::TempDir dir;
  measure_day(report, dir.file("state"), settings.quick ? 240 : 1440);
  measure_finding(report);
}

}  // namespace loiter::bench
