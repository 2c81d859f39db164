// What unwinding and naming costs once the parser knows the files: one stack of eleven frames, and a thousand
// in one request. In this very process, as the parser child does it; CPU time. What the first request costs
// stands beside it, and the memory that is kept.
#include <algorithm>
#include <stdexcept>

#include "daemon/base/clock.h"
#include "daemon/inspect/parser/stack_parser.h"
#include "daemon/sensors/census_reader.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/stack_target.h"

namespace loiter::bench {
namespace {

constexpr size_t kFrames = 11;
constexpr int kNamed = 7;  // of them are the workload's recursion
constexpr int kStacks = 1000;
constexpr double kMostPerStack = 15'000;  // ns

std::vector<test::StackCopy> copy_stacks(pid_t pid) {
  auto reader = CensusReader::open({});
  if (!reader) throw std::runtime_error(reader.error().message);
  Census census;
  if (Status status = (*reader)->read(census); !status) throw std::runtime_error(status.error().message);
  std::vector<test::StackCopy> copies;
  for (const loiter_thread& thread : census.threads)
    if (thread.id.tgid == static_cast<uint32_t>(pid) && thread.id.tid != thread.id.tgid)
      copies.push_back(test::copy_stack(pid, thread.regs, 4096));
  return copies;
}

double cpu_of(StackParser& parser, const UnwindRequest& request, UnwindReply& reply) {
  const uint64_t start = thread_cpu_now_ns();
  reply = parser.unwind(request);
  return static_cast<double>(thread_cpu_now_ns() - start);
}

void expect_whole(const UnwindReply& reply) {
  for (const Stack& stack : reply.stacks) {
    if (stack.cut != Cut::none)
      throw std::runtime_error(std::string("a stack was cut: ") + to_string(stack.cut));
    if (stack.places.size() != kFrames)
      throw std::runtime_error("a stack has " + std::to_string(stack.places.size()) + " frames");
    // libc's own functions have names only where its debug symbols are installed.
    const auto named = std::count_if(stack.places.begin(), stack.places.end(), [&](uint32_t place) {
      return reply.places.at(place).lines.back().symbol.find("descend") != std::string::npos;
    });
    if (named != kNamed)
      throw std::runtime_error(std::to_string(named) + " frames have the name of the workload's");
  }
}

// The first request apart: it makes the tables.
std::vector<double> measure(StackParser& parser, const UnwindRequest& request, int rounds, double& first_ns) {
  UnwindReply reply;
  first_ns = cpu_of(parser, request, reply);
  std::vector<double> ns;
  for (int round = 0; round < rounds; ++round) {
    throw_if_interrupted();
    ns.push_back(cpu_of(parser, request, reply));
    expect_whole(reply);
  }
  return ns;
}

void tell(Report& report, const std::string& what, std::vector<double> ns, int stacks) {
  for (double& value : ns) value /= stacks;
  const test::Interval interval = test::median_interval(ns);
  report.goal(what, duration_text(test::median(ns)) + " a stack", "<= 15 us",
              test::judge_at_most(interval, kMostPerStack));
}

}  // namespace

void measure_stacks(Report& report, const Settings& settings) {
  report.section("stacks of 11 frames, unwound and named, warm (CPU time)");
  const Workload deep("deep", std::to_string(kStacks));
  const test::TargetCode code = test::code_of(deep.pid());
  const std::vector<test::StackCopy> copies = copy_stacks(deep.pid());
  if (copies.size() != kStacks) throw std::runtime_error("the census does not show all threads");
  for (const bool lines : {false, true}) {
    const std::string with = lines ? ", with lines" : "";
    StackParser parser;
    for (const test::TargetFile& file : code.files)
      parser.add_module(file.key, test::open_target_file(deep.pid(), file));
    UnwindRequest request{
        .mappings = code.mappings, .perf_map = 0, .jobs = {copies[0].job()}, .with_lines = lines};
    double first_ns = 0, ignored = 0;
    tell(report, "one stack" + with, measure(parser, request, settings.quick ? 200 : 2000, first_ns), 1);
    report.figure("the first one, with the tables it needs", duration_text(first_ns));
    request.jobs.clear();
    for (const test::StackCopy& copy : copies) request.jobs.push_back(copy.job());
    const std::vector<double> ns = measure(parser, request, settings.quick ? 20 : 100, ignored);
    tell(report, "1000 stacks in one request" + with, ns, kStacks);
    report.figure("that request", duration_text(test::median(ns)));
    report.figure("memory kept", megabytes_text(static_cast<double>(parser.memory_bytes())));
  }
}

}  // namespace loiter::bench
