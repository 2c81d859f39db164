// Names of system calls, by libseccomp's tables. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace loiter {

// The name of syscall `number` on this machine, of the 32-bit table if `compat`; "syscall_N" where there is
// no name. The reference is good for ever.
const std::string& syscall_name(int64_t number, bool compat);

// Whether the call waits for whoever comes next: accept, poll, select, epoll.
bool is_poll_call(int64_t number, bool compat);

}  // namespace loiter
