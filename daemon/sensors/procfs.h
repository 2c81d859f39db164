// What only /proc tells of a process: the path of its executable and its cgroup. And what a pid is.
//
// Called by the collector thread and by API threads; keeps no state. Reading another user's executable
// path needs CAP_SYS_PTRACE.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace loiter {

struct ProcessDetails {
  std::string exe;     // bytes; empty: unreadable, or a kernel thread
  std::string cgroup;  // bytes: the cgroup v2 path, on a v1 host systemd's own hierarchy; empty: unreadable
};

// Where foreign processes are read: the real /proc, or a made one in tests.
class Procfs {
 public:
  explicit Procfs(std::string root = "/proc") : root_(std::move(root)) {}

  // Details of the process that has `pid` and began at `start_boot_ns`; nullopt where that one is gone.
  // Holds the process's own directory, so a pid used again meanwhile cannot be mistaken for it.
  std::optional<ProcessDetails> details(uint32_t pid, uint64_t start_boot_ns) const;

  enum class PidKind { none, process, thread, kernel_thread };
  struct Pid {
    PidKind kind = PidKind::none;
    uint32_t tgid = 0;
  };
  Pid classify(uint32_t pid) const;

 private:
  std::string root_;
};

// Chooses the line of /proc/PID/cgroup that names where the process is: "0::" of cgroup v2 unless that is
// the root and systemd's v1 hierarchy knows better. Pure.
std::string cgroup_of(std::string_view proc_cgroup);

// The start time in /proc/PID/stat, field 22, in clock ticks since boot. Pure; nullopt: malformed.
std::optional<uint64_t> start_ticks_of(std::string_view proc_stat);

}  // namespace loiter
