// `loiter top`: the live view in the terminal.
//
// Runs on the calling thread, which owns the terminal until it returns.
#pragma once

#include <cstdint>
#include <string>

#include "cli/client.h"

namespace loiter {

struct TopOptions {
  uint64_t interval_ns = 1'000'000'000;  // between two pictures: 100 ms or more
  uint64_t threshold_ns = 0;             // 0: the daemon's own
};

// The interactive view, until the user quits. Returns the exit code. The terminal is as it was before on
// every way out.
int run_top(Client& client, const TopOptions& options);

}  // namespace loiter
