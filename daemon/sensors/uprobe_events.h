// Uprobes by way of tracefs, for kernels whose uprobe.multi is missing (before 6.6) or sees the first thread
// of a process alone (before 6.10): each has a name in tracefs' `uprobe_events`, a perf event of that name,
// and the BPF program on it. It takes CAP_PERFMON, CAP_BPF and root's permissions on tracefs; perf events
// of the uprobe PMU, which need no name, want CAP_SYS_ADMIN (tried on 6.1, 6.12 and 6.18).
//
// The perf event's process alone gets the breakpoint, all of its threads run the program: the kernel goes by
// the memory that they share (uprobe_perf_filter() in kernel/trace/trace_uprobe.c).
//
// The kernel drops perf events with whoever opened them, but never a name; and a name holds the mount of its
// file. So each goes with its probe; what a daemon that was killed has left, the next one that starts
// removes. Names are `loiter_PID_START/pN`: of the daemon, with its start in clock ticks, since pids are used
// again.
//
// Any thread. The end of a probe takes some 70 ms (the kernel waits for all CPUs).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.h"

namespace loiter {

// A name in `uprobe_events` that a loiterd made.
struct UprobeEventName {
  std::string name;  // GROUP/EVENT
  uint32_t pid = 0;  // of that loiterd
  uint64_t start_ticks = 0;
};

// Of the text of `uprobe_events`: the names that look like ours, whoever made them. Pure.
std::vector<UprobeEventName> uprobe_event_names(std::string_view text);

// Removes the names of daemons that have ended; a failure is logged, and the next start tries again. Once, by
// main, when a daemon starts. Nothing where there is no tracefs.
void remove_stale_uprobe_events();

class UprobeEvents : public std::enable_shared_from_this<UprobeEvents> {
 public:
  // An error says what is missing, and what to do.
  static Result<std::shared_ptr<UprobeEvents>> open();
  ~UprobeEvents();  // tries a last time to remove what is left

  struct Probe {
    int program = -1;     // loaded, of type kprobe
    std::string path;     // of the file, followed now and never again: no blank, no colon
    uint64_t offset = 0;  // in it
    uint64_t cookie = 0;  // what bpf_get_attach_cookie() gives
    uint32_t pid = 0;     // 0: every process that maps the file
  };
  // A probe, until what this gives goes.
  Result<std::shared_ptr<void>> place(const Probe& probe);

  // Names that could not be removed when their probe went, as when somebody else uses them.
  uint64_t left() const;

 private:
  struct Placed;
  UprobeEvents(std::string tracefs, std::string group);
  void remove(const std::string& name);
  void remove_left();

  const std::string tracefs_, group_;
  std::atomic<uint64_t> next_{0};
  mutable std::mutex mutex_;  // guards all below
  std::vector<std::string> left_;
};

}  // namespace loiter
