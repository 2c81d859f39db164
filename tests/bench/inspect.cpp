// What looking closer costs: the system calls of a whole census taken apart, and a pass over all open files.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <stdexcept>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/inspect/wait_call.h"
#include "daemon/sensors/census_reader.h"
#include "daemon/sensors/file_table.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"

namespace loiter::bench {
namespace {

constexpr int kPairs = 8'000;  // fits a limit of 20,000 descriptors, which not everybody may raise
constexpr rlim_t kDescriptors = 2 * kPairs + 1000;

Census take_census() {
  auto reader = CensusReader::open({});
  if (!reader) throw std::runtime_error(reader.error().message);
  Census census;
  if (Status status = (*reader)->read(census); !status) throw std::runtime_error(status.error().message);
  return census;
}

void take_apart(benchmark::State& state, const Census& census) {
  for (auto _ : state)
    for (const loiter_thread& thread : census.threads) benchmark::DoNotOptimize(wait_call_of(thread));
  state.counters["ns a thread"] =
      benchmark::Counter(static_cast<double>(census.threads.size()) / 1e9,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

std::vector<Fd> open_pairs(bool sockets) {
  std::vector<Fd> ends;
  for (int i = 0; i < kPairs; ++i) {
    int pair[2];
    if (sockets ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) : pipe2(pair, O_CLOEXEC))
      throw std::runtime_error("too few descriptors for the bench");
    ends.emplace_back(pair[0]);
    ends.emplace_back(pair[1]);
  }
  return ends;
}

// `classes` 0: each file is visited and none handed over, which is what the walk itself costs.
void read_files(benchmark::State& state, uint32_t classes, bool sockets) {
  const std::vector<Fd> ends = open_pairs(sockets);
  auto reader = FileReader::open();
  if (!reader) throw std::runtime_error(reader.error().message);
  OpenFiles files;
  for (auto _ : state)
    if (!(*reader)->read_host({.classes = classes}, files)) state.SkipWithError("the pass failed");
  state.counters["ns a file"] =
      benchmark::Counter(static_cast<double>(ends.size()) / 1e9,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void index_files(benchmark::State& state) {
  const std::vector<Fd> ends = open_pairs(true);
  auto reader = FileReader::open();
  OpenFiles files;
  if (!reader || !(*reader)->read_host({.classes = kConnectingFileClasses}, files))
    throw std::runtime_error("the pass failed");
  for (auto _ : state) benchmark::DoNotOptimize(FileTable(files));
}

}  // namespace

void measure_inspect(Report& report, const Settings& settings) {
  report.section_without_table("wait calls of 20,000 threads, a pass over 16,000 open files");
  const rlimit limit{kDescriptors, kDescriptors};
  if (setrlimit(RLIMIT_NOFILE, &limit)) throw std::runtime_error("the limit of descriptors cannot be raised");
  const Workload blocked("blocked", std::to_string(kThreads));
  const Census census = take_census();
  const auto add = [&](const char* name, auto function) {
    benchmark::RegisterBenchmark(name, function)
        ->Unit(benchmark::kMillisecond)
        ->MinTime(settings.quick ? 0.1 : 0.5);
  };
  add("wait calls of a census", [&](benchmark::State& state) { take_apart(state, census); });
  add("visit pipes, hand over none", [](benchmark::State& state) { read_files(state, 0, false); });
  add("read pipes", [](benchmark::State& state) { read_files(state, kConnectingFileClasses, false); });
  add("read unix sockets", [](benchmark::State& state) { read_files(state, kConnectingFileClasses, true); });
  add("index unix sockets", index_files);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::ClearRegisteredBenchmarks();
}

}  // namespace loiter::bench
