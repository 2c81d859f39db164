// Pictures of a host as the collector publishes them, put together by hand.
//
// Pure functions, any thread.
#pragma once

#include <memory>
#include <string>

#include "daemon/serve/picture.h"

namespace loiter::test {

inline ThreadView make_thread(uint32_t tid, const std::string& name, std::optional<uint64_t> blocked_ns) {
  ThreadView thread;
  thread.key = {tid, tid * 1000};
  name.copy(thread.name.bytes, sizeof(thread.name.bytes) - 1);
  thread.state = blocked_ns ? TaskState::sleeping : TaskState::running;
  thread.blocked_ns = blocked_ns;
  thread.exactness = Exactness::estimated;
  return thread;
}

inline ProcessView make_process(uint32_t pid, const std::string& comm, std::vector<ThreadView> threads) {
  ProcessView process;
  process.key = {pid, pid * 1000};
  process.parent_pid = 1;
  comm.copy(process.comm.bytes, sizeof(process.comm.bytes) - 1);
  process.threads = std::move(threads);
  return process;
}

inline std::shared_ptr<Snapshot> make_snapshot(std::vector<ProcessView> processes,
                                               uint64_t begin_mono_ns = 5'000) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->begin_mono_ns = begin_mono_ns;
  snapshot->begin_boot_ns = 2'000'000'000;
  snapshot->wall.offset_ns = 1'000'000'000'000'000'000;  // 2001-09-09T01:46:40Z
  for (const ProcessView& process : processes) snapshot->thread_count += process.threads.size();
  snapshot->processes = std::move(processes);
  return snapshot;
}

inline std::shared_ptr<Picture> make_picture(std::shared_ptr<Snapshot> snapshot) {
  auto facts = std::make_shared<DaemonFacts>();
  facts->threshold_ns = 30'000'000'000;
  facts->census_interval_ns = 1'000'000'000;
  facts->host_name = "host";
  facts->kernel = "6.18.0";
  facts->architecture = "x86_64";
  facts->cpus = 2;
  facts->features = {{"btf", "ok", "detail"}};
  facts->capabilities = {{"CAP_BPF", true, "reason"}};
  facts->maps = {{"events", 4096}, {"losses", 100}};
  auto picture = std::make_shared<Picture>();
  picture->facts = facts;
  picture->snapshot = std::move(snapshot);
  return picture;
}

}  // namespace loiter::test
