// Cohorts that grow and never come back: threads made at one place that pile up.
//
// Pure functions, on the thread that owns the history.
#pragma once

#include <vector>

#include "daemon/detect/case.h"
#include "daemon/detect/exhaustion.h"
#include "daemon/detect/history.h"

namespace loiter {

// One finding for each process and creation site whose number of threads has risen in each of
// Thresholds::leak_windows windows, by leak_least at least, where more were born than ended. It lasts until
// the growth has stopped for as many windows, or half of it has gone again.
//
// `likely` where at least half of what came does nothing any more: it was blocked in all of the last window,
// or only wakes by the clock (TickSample). What works may be a pool that follows its load: only after
// Growth::kPatience times as many windows, and then as no more than `possible` and an info.
//
// Threads whose site is not known are one more cohort. Where one with a site leaks, they are counted with it,
// for births that come too fast for their stacks to be taken lack the site that the others have; else they
// are told only where the process as a whole grows likewise, so that sites which were forgotten make no leak.
std::vector<Finding> find_leaks(const HostCase& host, const History& history, const KnownLimits& limits);

}  // namespace loiter
