// What /proc tells of a process or thread: the other opinion that the daemon's is compared with.
//
// Pure functions, any thread. What is gone reads as empty or nullopt, never as an exception.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace loiter::test {

std::string read_file(const std::string& path);

std::set<pid_t> threads_of(pid_t pid);

// Processes whose parent is `pid`. Zombies count.
std::set<pid_t> children_of(pid_t pid);

// Its children and theirs, as of one look at /proc, with when each began (ThreadStat::start_ticks): numbers
// may be used again.
std::map<pid_t, uint64_t> descendants_of(pid_t pid);

struct ThreadStat {
  std::string comm;  // bytes
  char state = '?';
  pid_t ppid = 0;
  uint64_t start_ticks = 0;  // since boot, 1/sysconf(_SC_CLK_TCK) s
};
std::optional<ThreadStat> thread_stat(pid_t pid, pid_t tid);

// "Key:\tvalue" lines of /proc/PID/task/TID/status.
std::map<std::string, std::string> thread_status(pid_t pid, pid_t tid);

// The system call that it sleeps in, -1 for none; nullopt where it runs or is gone.
std::optional<long> blocked_syscall(pid_t pid, pid_t tid);

// The host's number of a thread that bears `number` in the innermost pid namespace; of `pid` and its
// children.
std::optional<pid_t> tid_of_namespace(pid_t pid, pid_t number);

// First figure of schedstat: time on a CPU, in ns.
std::optional<uint64_t> thread_cpu_ns(pid_t pid, pid_t tid);

// The program that it runs: the target of /proc/PID/exe.
std::string exe_of(pid_t pid);

size_t open_file_count(pid_t pid);

bool process_exists(pid_t pid);

}  // namespace loiter::test
