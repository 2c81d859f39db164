// What limits the number of threads: pids.max of cgroups, RLIMIT_NPROC, the kernel's threads-max and pid_max;
// and how often a cgroup was kept from running by its share of CPU time.
//
// Any thread; keeps no state. Reads a handful of small files a process: only for those of which it matters.
// Paths come from the kernel, names in them from whoever may make cgroups; what leads upwards is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loiter {

struct PidsLimit {
  std::string cgroup;    // bytes, as in /proc/PID/cgroup
  uint64_t current = 0;  // threads in it and below it, by the kernel's own count
  uint64_t max = 0;
};

// cpu.stat; counts up while the cgroup lasts.
struct CpuThrottling {
  std::string cgroup;  // the innermost one that was throttled
  uint64_t periods = 0;
  uint64_t throttled_periods = 0;
  uint64_t throttled_ns = 0;
};

struct ProcessLimits {
  std::vector<PidsLimit> pids;       // of its cgroup and those above, as far as they have one; its own first
  std::optional<uint64_t> nproc;     // RLIMIT_NPROC (soft): threads of its real user; nothing: none for it
  std::optional<CpuThrottling> cpu;  // nothing: it never was
};

struct HostLimits {
  std::optional<uint64_t> threads;      // of the whole host, kernel threads too
  std::optional<uint64_t> threads_max;  // /proc/sys/kernel/threads-max
  std::optional<uint64_t> pid_max;
};

class LimitReader {
 public:
  explicit LimitReader(std::string proc = "/proc", std::string cgroup = "/sys/fs/cgroup")
      : proc_(std::move(proc)), cgroup_(std::move(cgroup)) {}

  // Of the process that has `pid` and began at `start_boot_ns`; nullopt where that one is gone.
  std::optional<ProcessLimits> process(uint32_t pid, uint64_t start_boot_ns) const;
  HostLimits host() const;

 private:
  std::string proc_;
  std::string cgroup_;
};

// --- pure parts, of what the kernel writes -----------------------------------------------------------------

// Where the controller has a process: folder below /sys/fs/cgroup and path, of /proc/PID/cgroup. Of cgroup v1
// the hierarchy of that controller, else v2. nullopt: in none, or outside of what is mounted.
struct ControllerPlace {
  std::string folder;  // of v1 "/pids", of v2 empty; "/unified" where both are mounted
  std::string path;
  bool v2 = false;
};
std::optional<ControllerPlace> place_of(std::string_view proc_cgroup, std::string_view controller);

// The soft limit in /proc/PID/limits; nullopt: unlimited, or malformed.
std::optional<uint64_t> max_processes_of(std::string_view proc_limits);

// Whether RLIMIT_NPROC holds a process with this /proc/PID/status: not root, nor who has CAP_SYS_RESOURCE or
// CAP_SYS_ADMIN (copy_process() in kernel/fork.c). Malformed: no.
bool is_bound_by_nproc(std::string_view proc_status);

// A number in a file of one line; nullopt: "max", or malformed.
std::optional<uint64_t> number_of(std::string_view text);

// cpu.stat of cgroup v2 (throttled_usec) or v1 (throttled_time); nullopt: no word of throttling.
std::optional<CpuThrottling> throttling_of(std::string_view cpu_stat);

// The number of threads in /proc/loadavg.
std::optional<uint64_t> threads_of(std::string_view proc_loadavg);

}  // namespace loiter
