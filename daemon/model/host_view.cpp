// The model's snapshot: what others see of it.
#include <algorithm>
#include <utility>

#include "daemon/model/host_entries.h"
#include "daemon/model/host_model.h"

namespace loiter {

ThreadView HostModel::view_of(const Thread& thread) const {
  ThreadView view;
  view.key = thread.key();
  view.creator = thread.creator_in_process();
  if (view.creator.tid != 0) {
    auto creator = threads_.find(view.creator.tid);
    view.creator_alive = creator != threads_.end() && creator->second.key() == view.creator;
  }
  view.compat = thread.compat;
  view.site = thread.origin.site;
  view.site_gap = thread.origin.gap;
  view.state = thread.state;
  view.name = thread.name;
  view.syscall = thread.syscall;
  view.polls = thread.polls;
  view.cpu = thread.cpu;
  view.cpu_ns = thread.cpu_ns;
  view.voluntary_switches = thread.voluntary_switches;
  view.involuntary_switches = thread.involuntary_switches;
  if (view.state == TaskState::zombie) view.ended_boot_ns = thread.ended_boot_ns;
  if (thread.wait) {
    // A wait that began while the census went on has no age yet as of its beginning.
    auto age = [&](int64_t since) {
      return static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(begin_.mono_ns) - since));
    };
    view.blocked_ns = age(thread.wait->latest_ns);
    if (thread.wait->earliest_ns) view.blocked_max_ns = age(*thread.wait->earliest_ns);
    view.exactness = thread.wait->exactness;
  }
  return view;
}

ProcessView HostModel::view_of(const Process& process) const {
  ProcessView view;
  view.key = process.key;
  view.parent_pid = process.parent_pid;
  view.uid = process.uid;
  view.kernel = process.kernel;
  auto leader = threads_.find(process.key.tid);
  view.comm = leader != threads_.end() ? leader->second.name : process.comm;
  view.exe = process.exe;
  view.cgroup = process.cgroup;
  view.born_per_s = process.born_per_s;
  view.ended_per_s = process.ended_per_s;
  view.cpu_fraction = process.cpu_fraction;
  view.cpu_ns = process.cpu_ns();
  view.ended_dropped = ended_.dropped_of(process.key);
  return view;
}

std::shared_ptr<Snapshot> HostModel::publish(const WallClock& wall) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->pass = pass_;
  snapshot->begin_mono_ns = begin_.mono_ns;
  snapshot->begin_boot_ns = begin_.boot_ns;
  snapshot->wall = wall;
  snapshot->processes.reserve(processes_.size());
  for (const auto& [pid, process] : processes_) {
    snapshot->processes.push_back(view_of(process));
    snapshot->processes.back().origins = origins_.publish(pid);
  }
  std::sort(snapshot->processes.begin(), snapshot->processes.end(),
            [](const ProcessView& a, const ProcessView& b) { return a.key.tid < b.key.tid; });
  std::unordered_map<uint32_t, ProcessView*> by_pid;
  for (ProcessView& process : snapshot->processes) {
    by_pid[process.key.tid] = &process;
    process.threads.reserve(processes_.at(process.key.tid).live);
  }
  for (const auto& [tid, thread] : threads_) {
    by_pid[thread.id.tgid]->threads.push_back(view_of(thread));
    if (is_blocked(thread.state)) ++snapshot->blocked_count;
  }
  for (ProcessView& process : snapshot->processes) {
    auto order = [&](const ThreadView& thread) {
      return std::tuple(thread.key.tid != process.key.tid, thread.key.start_boot_ns, thread.key.tid);
    };
    std::sort(process.threads.begin(), process.threads.end(),
              [&](const ThreadView& a, const ThreadView& b) { return order(a) < order(b); });
  }
  ended_.copy_to(*snapshot);
  snapshot->thread_count = threads_.size();
  snapshot->born_per_s = born_per_s_;
  snapshot->ended_per_s = ended_per_s_;
  snapshot->events = events_;
  snapshot->repairs = repairs_;
  snapshot->threads_over_limit = over_limit_;
  return snapshot;
}

}  // namespace loiter
