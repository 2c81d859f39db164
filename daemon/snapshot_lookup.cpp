#include "daemon/snapshot_lookup.h"

#include <algorithm>

namespace loiter {
namespace {

HostProcess host_process(const ProcessView& process) {
  return {process.key.tid, process.key.start_boot_ns, process.parent_pid, process.uid};
}

}  // namespace

std::optional<HostProcess> SnapshotLookup::process(uint32_t pid) const {
  std::shared_ptr<const Picture> picture = board_.latest();
  const ProcessView* process = picture ? picture->snapshot->find(pid) : nullptr;
  if (!process || process->ended_boot_ns) return std::nullopt;
  return host_process(*process);
}

std::vector<HostProcess> SnapshotLookup::processes() const {
  std::vector<HostProcess> processes;
  std::shared_ptr<const Picture> picture = board_.latest();
  if (!picture) return processes;
  for (const ProcessView& process : picture->snapshot->processes)
    if (!process.kernel) processes.push_back(host_process(process));
  return processes;
}

std::vector<HostProcess> SnapshotLookup::children(uint32_t pid) const {
  std::vector<HostProcess> children = processes();
  std::erase_if(children, [&](const HostProcess& process) { return process.parent_pid != pid; });
  return children;
}

std::optional<HostThreads> SnapshotLookup::threads(uint32_t pid) const {
  std::shared_ptr<const Picture> picture = board_.latest();
  const ProcessView* process = picture ? picture->snapshot->find(pid) : nullptr;
  if (!process || process->ended_boot_ns) return std::nullopt;
  HostThreads threads{.mono_ns = picture->snapshot->begin_mono_ns, .threads = {}};
  threads.threads.reserve(process->threads.size());
  for (const ThreadView& thread : process->threads)
    threads.threads.push_back({thread.key.tid, thread.key.start_boot_ns,
                               thread.voluntary_switches + thread.involuntary_switches,
                               is_blocked(thread.state)});
  std::sort(threads.threads.begin(), threads.threads.end(),
            [](const HostThread& a, const HostThread& b) { return a.tid < b.tid; });
  return threads;
}

std::optional<uint32_t> SnapshotLookup::process_of_thread(uint32_t tid) const {
  std::shared_ptr<const Picture> picture = board_.latest();
  const ProcessView* process = picture ? picture->snapshot->find_thread(tid) : nullptr;
  if (!process) return std::nullopt;
  return process->key.tid;
}

}  // namespace loiter
