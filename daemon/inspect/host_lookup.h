// What an inspection needs to know of the host around the process it looks into. Given by whoever makes the
// inspector; called on its thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace loiter {

struct HostProcess {
  uint32_t pid = 0;
  uint64_t start_boot_ns = 0;
  uint32_t parent_pid = 0;
  uint32_t uid = 0;
};

struct HostThread {
  uint32_t tid = 0;
  uint64_t start_boot_ns = 0;
  uint64_t switches = 0;  // voluntary and not
  bool blocked = false;
};

// The threads of a process as one census saw them.
struct HostThreads {
  uint64_t mono_ns = 0;             // when the census began
  std::vector<HostThread> threads;  // ascending tid
};

class HostLookup {
 public:
  virtual ~HostLookup() = default;
  virtual std::optional<HostProcess> process(uint32_t pid) const = 0;
  virtual std::vector<HostProcess> children(uint32_t pid) const = 0;
  virtual std::vector<HostProcess> processes() const = 0;
  virtual std::optional<HostThreads> threads(uint32_t pid) const = 0;
  // The process that has a thread with that tid.
  virtual std::optional<uint32_t> process_of_thread(uint32_t tid) const = 0;
};

}  // namespace loiter
