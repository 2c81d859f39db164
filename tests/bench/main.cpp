// The bench: measures speed and memory against the goals. scripts/run-bench calls it.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"
#include "daemon/sensors/bpf.h"
#include "tests/bench/sections.h"
#include "tests/bench/workload.h"

namespace loiter::bench {
namespace {

volatile sig_atomic_t stop_signal = 0;

struct Section {
  const char* name;
  void (*measure)(Report&, const Settings&);
};
constexpr std::array kSections{Section{"census", measure_census},     Section{"snapshot", measure_snapshot},
                               Section{"overhead", measure_overhead}, Section{"storm", measure_storm},
                               Section{"stacks", measure_stacks},     Section{"inspect", measure_inspect},
                               Section{"look", measure_look},         Section{"pthreads", measure_pthreads},
                               Section{"origins", measure_origins},   Section{"pause", measure_pause},
                               Section{"detect", measure_detect},     Section{"check", measure_check},
                               Section{"history", measure_history},   Section{"steps", measure_steps}};

// Interrupted system calls return, so that each section leaves through its destructors: no process stays.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int number) { stop_signal = number; };
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
}

void set_build_dir() {
  const auto executable = std::filesystem::read_symlink("/proc/self/exe");
  setenv("LOITER_BUILD", executable.parent_path().parent_path().parent_path().c_str(), 0);
}

int measure_all(const std::vector<std::string>& only, const Settings& settings, bool check) {
  Report report;
  for (const Section& section : kSections) {
    if (!only.empty() && std::find(only.begin(), only.end(), section.name) == only.end()) continue;
    try {
      section.measure(report, settings);
    } catch (const std::exception& error) {
      if (interrupted()) return 128 + stop_signal;
      report.goal(section.name, std::string("could not be measured: ") + error.what(), "", Verdict::missed);
    }
  }
  return report.summary() || !check ? 0 : 1;
}

int run(int argc, char** argv) {
  CLI::App app{"Measures loiter's speed and memory against its goals. Needs root."};
  std::vector<std::string> only, names;
  for (const Section& section : kSections) names.push_back(section.name);
  Settings settings;
  bool check = false;
  app.add_option("--only", only, "measure this section (can be given again)")->check(CLI::IsMember(names));
  app.add_flag("--quick", settings.quick, "fewer rounds");
  app.add_flag("--check", check, "exit with 1 where a goal is missed");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  }
  if (geteuid() != 0) {
    std::fprintf(stderr, "bench: needs root, to load BPF programs and read all of /proc\n");
    return 3;
  }
  catch_signals();
  set_build_dir();
  install_libbpf_log();
  return measure_all(only, settings, check);
}

}  // namespace

bool interrupted() {
  return stop_signal != 0;
}

void throw_if_interrupted() {
  if (interrupted()) throw std::runtime_error("interrupted");
}

}  // namespace loiter::bench

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == "workload") return loiter::bench::run_workload(argv[2], argv[3]);
  // As loiterd does: what is measured without it has its helpers all the same.
  if (argc == 3 && std::string(argv[1]) == "--helper")
    return argv[2] == std::string("opener") ? loiter::run_opener_child() : loiter::run_parser_child();
  return loiter::bench::run(argc, argv);
}
