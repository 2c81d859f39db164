// Which processes have to be looked into before they can be judged. Looks read foreign memory, and so are
// made only where something may be found: in a steady host most threads that wait for a lock or a condition
// have been looked at before and have not run since.
//
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/model/snapshot.h"
#include "daemon/model/waits.h"

namespace loiter {

// Why a thread may be worth a look, by its system call and state alone.
enum class Suspicion : uint8_t {
  none,  // waits for clients, time, children: may rest for ever
  slow,  // may take its time: a write, a connect, a disk; or a read, of which it depends on what
  lock,  // a futex or a lock on a file
};
Suspicion suspicion_of(const ThreadView& thread);

struct Suspect {
  uint32_t pid = 0;
  uint64_t start_boot_ns = 0;
  uint64_t longest_ns = 0;  // of the waits that make it one
};

// Processes with a thread that sleeps for `settled_ns` or more in what may be a lock, or past `threshold_ns`
// in what must end, and of which it is not known in what: it was not looked at in this sleep, or it is past
// the threshold and who it waits for has run since. The longest wait first.
std::vector<Suspect> find_suspects(const Snapshot& snapshot, const Waits& waits, uint64_t settled_ns,
                                   uint64_t threshold_ns);

}  // namespace loiter
