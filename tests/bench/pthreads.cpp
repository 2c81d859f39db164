// glibc's own lists of threads, read from outside: ten thousand descriptors, half of them of threads that
// ended and were never joined; and the start routines of those that live.
#include <stdexcept>

#include "daemon/base/clock.h"
#include "daemon/inspect/pthread_lists.h"
#include "daemon/inspect/start_routines.h"
#include "daemon/sensors/task_reader.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/proc.h"
#include "tests/lib/reader.h"

namespace loiter::bench {
namespace {

constexpr int kPthreads = 10'000;
constexpr double kListsBound = 30e6;

using test::must;

struct Reader : test::Reader {
  PthreadLayouts layouts{memory, opener, parser, modules};
  PthreadListReader lists{memory, opener};
  StartRoutineFinder routines{memory, opener, parser, modules};
};

Inspection threads_of(pid_t pid) {
  auto tasks = must(TaskReader::open());
  Census census;
  if (!tasks->read(static_cast<uint32_t>(pid), census)) throw std::runtime_error("no census of it");
  Inspection inspection;
  inspection.pid = inspection.memory_tid = static_cast<uint32_t>(pid);
  for (const loiter_thread& record : census.threads) {
    InspectedThread& thread = inspection.threads.emplace_back();
    thread.record = record;
    thread.ns_tid = record.id.tid;
  }
  return inspection;
}

}  // namespace

void measure_pthreads(Report& report, const Settings& settings) {
  report.section("glibc's lists of 10,000 threads, half of them never joined (by the clock)");
  const Workload workload("pthreads", std::to_string(kPthreads));
  const auto pid = static_cast<uint32_t>(workload.pid());
  Reader reader;
  const std::vector<Mapping> mappings = parse_maps(test::read_file("/proc/" + std::to_string(pid) + "/maps"));
  const PthreadLayout layout = must(reader.layouts.find(pid, mappings));
  const Inspection threads = threads_of(workload.pid());
  std::vector<double> lists, routines;
  const int rounds = settings.quick ? 3 : 15;
  for (int i = 0; i < rounds; ++i) {
    throw_if_interrupted();
    uint64_t begin = monotonic_now_ns();
    const auto entries = must(reader.lists.read(pid, layout));
    const auto unjoined = must(reader.lists.still_unjoined(pid, layout, entries, unjoined_of(entries)));
    lists.push_back(static_cast<double>(monotonic_now_ns() - begin));
    if (unjoined.size() != kPthreads / 2) throw std::runtime_error("they are not all found");
    Inspection inspection = threads;
    begin = monotonic_now_ns();
    reader.routines.find(inspection, layout, mappings, nullptr);
    routines.push_back(static_cast<double>(monotonic_now_ns() - begin));
    if (inspection.routines.size() != 1) throw std::runtime_error("their start routine is not found");
  }
  report.goal("read, and those never joined made certain", duration_text(test::median(lists)), "<= 30 ms",
              test::judge_at_most(test::median_interval(lists), kListsBound));
  report.figure("start routines of the 5000 that live", duration_text(test::median(routines)));
}

}  // namespace loiter::bench
