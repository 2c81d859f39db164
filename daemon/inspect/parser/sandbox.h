// Takes from the calling process whatever it could do harm with, for good.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/base/result.h"

namespace loiter {

struct SandboxLimits {
  uint64_t heap_bytes = 512 << 20;             // private writable memory
  uint64_t address_space_bytes = 64ULL << 30;  // mapped files count here
  uint64_t open_files = 16'384;
};

// Afterwards: no capability, no file but by the descriptors it has (its root directory is /proc/self/fd: a
// path there is "/N"), no new process, no socket, no signal to others, no core; a forbidden system call
// fails. One thread must have remained one. An error: nothing is safe, do not go on.
Status enter_sandbox(const SandboxLimits& limits);

}  // namespace loiter
