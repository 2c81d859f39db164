#include "daemon/model/snapshot.h"

#include <string.h>

#include <algorithm>

namespace loiter {

const char* to_string(Exactness exactness) {
  switch (exactness) {
    case Exactness::exact:
      return "exact";
    case Exactness::estimated:
      return "estimated";
    case Exactness::lower_bound:
      return "lower_bound";
    case Exactness::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view Comm::view() const {
  return {bytes, strnlen(bytes, sizeof(bytes))};
}

const ProcessView* Snapshot::find(uint32_t pid) const {
  auto at =
      std::lower_bound(processes.begin(), processes.end(), pid,
                       [](const ProcessView& process, uint32_t wanted) { return process.key.tid < wanted; });
  if (at != processes.end() && at->key.tid == pid) return &*at;
  const ProcessView* last = nullptr;
  for (const ProcessView& process : ended_processes)
    if (process.key.tid == pid && (!last || *process.ended_boot_ns > *last->ended_boot_ns)) last = &process;
  return last;
}

const ProcessView* Snapshot::find_thread(uint32_t tid) const {
  for (const ProcessView& process : processes)
    for (const ThreadView& thread : process.threads)
      if (thread.key.tid == tid) return &process;
  return nullptr;
}

}  // namespace loiter
