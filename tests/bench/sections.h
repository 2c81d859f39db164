// The parts of the bench, each measuring one goal. Each starts and ends its own processes, takes what time it
// is given and tells the report what it found; an exception means that it could not be measured.
//
// Called by main, one after another.
#pragma once

#include "tests/bench/report.h"

namespace loiter::bench {

struct Settings {
  bool quick = false;  // fewer rounds: for trying the bench itself
};

constexpr int kThreads = 20'000;

void measure_census(Report& report, const Settings& settings);
void measure_snapshot(Report& report, const Settings& settings);
void measure_overhead(Report& report, const Settings& settings);
void measure_storm(Report& report, const Settings& settings);
void measure_stacks(Report& report, const Settings& settings);
void measure_steps(Report& report, const Settings& settings);
void measure_inspect(Report& report, const Settings& settings);
void measure_look(Report& report, const Settings& settings);
void measure_pthreads(Report& report, const Settings& settings);
void measure_pause(Report& report, const Settings& settings);
void measure_origins(Report& report, const Settings& settings);
void measure_detect(Report& report, const Settings& settings);
void measure_history(Report& report, const Settings& settings);
void measure_check(Report& report, const Settings& settings);

// True once somebody wants the bench to end; throw_if_interrupted() is how the sections give in.
bool interrupted();
void throw_if_interrupted();

}  // namespace loiter::bench
