// What a census costs, whole and as it is pass after pass, when most threads have not run since: against an
// iterator that reads nothing of a thread, against a walk through /proc and against ps, for the same threads.
// And that it leaves none out, whatever is read at a time.
//
// Costs are CPU time, system time included: what else the machine does is not in it.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>

#include "bare_iterator.skel.h"
#include "census.skel.h"
#include "daemon/base/clock.h"
#include "daemon/base/fd.h"
#include "daemon/sensors/census_reader.h"
#include "tests/bench/proc_walk.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/one_cpu.h"
#include "tests/lib/proc.h"

namespace loiter::bench {
namespace {

constexpr double kMostOfBare = 1.3;
constexpr double kLeastOfProc = 15;

template <typename Skeleton>
using Loaded = std::unique_ptr<Skeleton, void (*)(Skeleton*)>;

template <typename Skeleton>
Loaded<Skeleton> load() {
  Loaded<Skeleton> skeleton(Skeleton::open_and_load(), Skeleton::destroy);
  if (!skeleton || Skeleton::attach(skeleton.get()))
    throw std::runtime_error("the kernel refused an iterator");
  return skeleton;
}

// Reads all that an iterator writes and looks at nothing of it.
void raw_pass(const bpf_link* link, std::vector<char>& buffer) {
  const Fd iterator(bpf_iter_create(bpf_link__fd(link)));
  while (read(iterator.get(), buffer.data(), buffer.size()) > 0) {
  }
}

double cpu_of(const std::function<void()>& work) {
  const uint64_t start = thread_cpu_now_ns();
  work();
  return static_cast<double>(thread_cpu_now_ns() - start);
}

double cpu_of_ps() {
  const auto children_ns = [] {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    return 1e9 * static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e3 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  const double before = children_ns();
  test::run({"/usr/bin/ps", "-eLf"});
  return children_ns() - before;
}

std::unique_ptr<CensusReader> open_reader(size_t read_size) {
  CensusReader::Options options;
  options.read_size = read_size;
  auto reader = CensusReader::open(options);
  if (!reader) throw std::runtime_error(reader.error().message);
  return std::move(*reader);
}

using Depth = CensusReader::Depth;

void take(CensusReader& reader, Census& census, Depth depth) {
  if (Status status = reader.read(census, depth); !status) throw std::runtime_error(status.error().message);
}

void against_bare(Report& report, CensusReader& reader, int rounds) {
  const auto bare = load<bare_iterator_bpf>();
  const auto census = load<census_bpf>();
  std::vector<char> buffer(CensusReader::Options().read_size);
  Census result;
  // By whether the pass is whole.
  std::array<std::vector<double>, 2> bare_ns, census_ns, reader_ns;
  // Steady passes by themselves: a daemon takes no whole ones in between, which would drive out the caches.
  for (const bool whole : {false, true})
    for (int round = 0; round < rounds; ++round) {
      throw_if_interrupted();
      bare->bss->is_short = !whole;
      bare_ns[whole].push_back(cpu_of([&] { raw_pass(bare->links.bare_iterator, buffer); }));
      census->bss->still_after = whole ? 0 : census->bss->pass;
      census_ns[whole].push_back(cpu_of([&] { raw_pass(census->links.census, buffer); }));
      const Depth depth = whole ? Depth::full : Depth::changed;
      reader_ns[whole].push_back(cpu_of([&] { take(reader, result, depth); }));
      if (!whole && round == rounds - 1)
        report.figure("threads that a steady pass gives in short, of all",
                      std::to_string(result.still.size()) + " of " + std::to_string(result.thread_count()));
    }
  const auto threads = static_cast<double>(result.thread_count());
  for (const bool whole : {false, true}) {
    const auto figure = [&](const std::string& name, const std::vector<double>& ns) {
      report.figure(
          name + (whole ? ", whole" : ", steady"),
          duration_text(test::median(ns)) + ", " + duration_text(test::median(ns) / threads) + " a thread");
    };
    figure("a bare iterator with records as long", bare_ns[whole]);
    figure("the census", census_ns[whole]);
    figure("the census with its records parsed", reader_ns[whole]);
  }
  report.figure("a whole census / bare iterator", ratio_text(test::ratios(census_ns[true], bare_ns[true])));
  const std::vector<double> quotients = test::ratios(census_ns[false], bare_ns[false]);
  report.goal("a steady census / bare iterator", ratio_text(quotients), "<= 1.3",
              test::judge_at_most(test::median_interval(quotients), kMostOfBare));
}

void against_proc(Report& report, CensusReader& reader, pid_t pid, int rounds) {
  Census result;
  std::vector<double> census_ns, proc_ns;
  for (int round = 0; round < rounds; ++round) {
    throw_if_interrupted();
    census_ns.push_back(cpu_of([&] { take(reader, result, Depth::changed); }));
    proc_ns.push_back(cpu_of([&] {
      if (walk_proc(pid) < kThreads) throw std::runtime_error("/proc does not show all threads");
    }));
  }
  report.figure("a walk through /proc/PID/task/*/{stat,syscall}", duration_text(test::median(proc_ns)));
  const std::vector<double> quotients = test::ratios(proc_ns, census_ns);
  report.goal("that walk / a steady census, parsed", ratio_text(quotients), ">= 15",
              test::judge_at_least(test::median_interval(quotients), kLeastOfProc));
  std::vector<double> ps_ns;
  for (int round = 0; round < std::min(rounds, 3); ++round) ps_ns.push_back(cpu_of_ps());
  report.figure("ps -eLf", duration_text(test::median(ps_ns)));
}

// Every thread is there, once, with the call it sleeps in.
Verdict is_whole(const Census& census, pid_t pid) {
  std::multiset<pid_t> found;
  bool asleep = true;
  for (const loiter_thread& thread : census.threads) {
    if (thread.id.tgid != static_cast<uint32_t>(pid)) continue;
    found.insert(static_cast<pid_t>(thread.id.tid));
    asleep = asleep && (thread.id.tid == thread.id.tgid || thread.regs.syscall == SYS_futex);
  }
  const std::set<pid_t> expected = test::threads_of(pid);
  const bool all = std::equal(found.begin(), found.end(), expected.begin(), expected.end());
  return all && asleep && expected.size() > kThreads ? Verdict::met : Verdict::missed;
}

void completeness(Report& report, pid_t pid) {
  for (size_t size : {4 * 1024, 32 * 1024, 1024 * 1024}) {
    Census census;
    take(*open_reader(size), census, Depth::full);
    report.goal("each thread once, read " + std::to_string(size / 1024) + " KiB at a time",
                std::to_string(census.threads.size()) + " threads on this host", "all",
                is_whole(census, pid));
  }
}

}  // namespace

void measure_census(Report& report, const Settings& settings) {
  report.section("census over 20,000 blocked threads (CPU time)");
  const Workload blocked("blocked", std::to_string(kThreads));
  const auto reader = open_reader(CensusReader::Options().read_size);
  {
    // Caches stay warm for all alike.
    const test::OneCpu pinned;
    against_bare(report, *reader, settings.quick ? 11 : 61);
    against_proc(report, *reader, blocked.pid(), settings.quick ? 3 : 11);
  }
  completeness(report, blocked.pid());
}

}  // namespace loiter::bench
