// Where the time from census to snapshot goes: each step by itself, on a census of 20,000 threads.
#include <benchmark/benchmark.h>

#include <stdexcept>

#include "daemon/model/host_model.h"
#include "daemon/sensors/census_reader.h"
#include "daemon/sensors/procfs.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"

namespace loiter::bench {
namespace {

Census take_census() {
  auto reader = CensusReader::open({});
  if (!reader) throw std::runtime_error(reader.error().message);
  Census census;
  if (Status status = (*reader)->read(census); !status) throw std::runtime_error(status.error().message);
  return census;
}

std::vector<std::byte> bytes_of(const Census& census) {
  std::vector<std::byte> bytes;
  const auto append = [&](const void* data, size_t size) {
    bytes.insert(bytes.end(), static_cast<const std::byte*>(data),
                 static_cast<const std::byte*>(data) + size);
  };
  append(&census.begin, sizeof(census.begin));
  append(census.threads.data(), census.threads.size() * sizeof(loiter_thread));
  append(&census.end, sizeof(census.end));
  return bytes;
}

// As the reader feeds it: in pieces that end anywhere.
void parse(benchmark::State& state, const std::vector<std::byte>& bytes) {
  constexpr size_t kPiece = 32 * 1024;
  Census census;
  for (auto _ : state) {
    census.threads.clear();
    CensusParser parser(census);
    for (size_t at = 0; at < bytes.size(); at += kPiece)
      parser.feed(bytes.data() + at, std::min(kPiece, bytes.size() - at));
    if (!parser.complete()) state.SkipWithError("the census is not whole");
  }
}

HostModel make_model() {
  return HostModel({}, [](uint32_t, uint64_t) { return ProcessDetails{}; });
}

void reconcile(benchmark::State& state, const Census& census) {
  HostModel model = make_model();
  for (auto _ : state) model.reconcile(census);
}

void publish(benchmark::State& state, const Census& census) {
  HostModel model = make_model();
  model.reconcile(census);
  const WallClock wall = WallClock::now();
  for (auto _ : state) benchmark::DoNotOptimize(model.publish(wall));
}

}  // namespace

void measure_steps(Report& report, const Settings& settings) {
  report.section_without_table("the steps from census to snapshot, by themselves");
  const Workload blocked("blocked", std::to_string(kThreads));
  const Census census = take_census();
  const std::vector<std::byte> bytes = bytes_of(census);
  const auto add = [&](const char* name, auto function, const auto& input) {
    benchmark::RegisterBenchmark(name, [=, &input](benchmark::State& state) { function(state, input); })
        ->Unit(benchmark::kMillisecond)
        ->MinTime(settings.quick ? 0.1 : 0.5);
  };
  add("parse the records", parse, bytes);
  add("reconcile the model", reconcile, census);
  add("publish a snapshot", publish, census);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::ClearRegisteredBenchmarks();
}

}  // namespace loiter::bench
