// Events and census records as the sensors would give them, put together by hand.
//
// Pure functions, any thread. CLOCK_BOOTTIME and CLOCK_MONOTONIC are the same here unless a test says
// otherwise: this host was never suspended.
#pragma once

#include <string>
#include <vector>

#include "daemon/model/host_model.h"
#include "daemon/sensors/census_reader.h"
#include "daemon/sensors/event_reader.h"

namespace loiter::test {

inline loiter_task_id task_id(uint32_t tid, uint32_t tgid, uint64_t start, uint32_t exec_id = 0) {
  return {.tid = tid, .tgid = tgid, .start_boot_ns = start, .exec_id = exec_id, .pad = 0};
}

inline Event make_event(loiter_event_type type, const loiter_task_id& task, uint64_t boot_ns) {
  Event event;
  event.type = type;
  event.boot_ns = boot_ns;
  event.task = task;
  return event;
}

inline Event birth_event(const loiter_task_id& task, const loiter_task_id& creator, uint64_t boot_ns,
                         const std::string& name = "born") {
  Event event = make_event(LOITER_EVENT_BIRTH, task, boot_ns);
  event.creator = creator;
  event.parent_tgid = creator.tgid;
  event.name = name;
  return event;
}

// `task` as it is afterwards.
inline Event exec_event(const loiter_task_id& task, uint32_t old_tid, uint64_t boot_ns,
                        const std::string& name = "exec", const std::string& filename = "/bin/exec") {
  Event event = make_event(LOITER_EVENT_EXEC, task, boot_ns);
  event.old_tid = old_tid;
  event.name = name;
  event.filename = filename;
  return event;
}

inline Event exit_event(const loiter_task_id& task, uint64_t boot_ns, uint64_t cpu_ns = 0) {
  Event event = make_event(LOITER_EVENT_EXIT, task, boot_ns);
  event.cpu_ns = cpu_ns;
  return event;
}

inline Event rename_event(const loiter_task_id& task, uint64_t boot_ns, const std::string& name) {
  Event event = make_event(LOITER_EVENT_RENAME, task, boot_ns);
  event.name = name;
  return event;
}

constexpr uint32_t kSleepingState = 1;  // TASK_INTERRUPTIBLE
constexpr uint32_t kZombieState = 0x20;

// A thread that sleeps on CPU 0, whose clocks this kernel does not tell.
inline loiter_thread make_record(const loiter_task_id& id, const std::string& name = "born") {
  loiter_thread record{};
  record.id = id;
  record.state = kSleepingState;
  record.regs.syscall = -1;
  record.parent_tgid = 1;
  name.copy(record.comm, sizeof(record.comm) - 1);
  return record;
}

// That of a thread which `record` was read of a census ago, and which has not run since.
inline loiter_still make_still(const loiter_thread& record) {
  const bool leads = record.id.tid == record.id.tgid;
  return {.magic = LOITER_STILL_MAGIC,
          .tid = record.id.tid,
          .tgid = record.id.tgid,
          .exec_id = leads ? record.id.exec_id : 0,
          .state = record.state,
          .marks = 0,
          .cpu_ns = record.cpu_ns,
          .cgroup_id = leads ? record.cgroup_id : 0,
          .parent_tgid = leads ? record.parent_tgid : 0,
          .pad = 0};
}

inline Census make_census(uint64_t begin_ns, uint64_t end_ns, std::vector<loiter_thread> threads) {
  Census census;
  census.begin = {
      .magic = LOITER_CENSUS_MAGIC, .cpu = 0, .mono_ns = begin_ns, .boot_ns = begin_ns, .reader = {}};
  census.end = {.magic = LOITER_CENSUS_MAGIC, .cpu = 0, .mono_ns = end_ns, .boot_ns = end_ns, .reader = {}};
  census.threads = std::move(threads);
  return census;
}

inline std::optional<ProcessDetails> no_details(uint32_t, uint64_t) {
  return std::nullopt;
}

// Applies a copy; returns what the model has made of it.
inline Event apply_to(HostModel& model, Event event, std::string* old_name = nullptr) {
  std::string ignored;
  model.apply(event, old_name ? *old_name : ignored);
  return event;
}

inline const ThreadView* thread_in(const Snapshot& snapshot, uint32_t tid) {
  for (const ProcessView& process : snapshot.processes)
    for (const ThreadView& thread : process.threads)
      if (thread.key.tid == tid) return &thread;
  return nullptr;
}

inline const EndedThread* ended_in(const Snapshot& snapshot, uint32_t tid) {
  for (const EndedThread& thread : snapshot.ended)
    if (thread.key.tid == tid) return &thread;
  return nullptr;
}

}  // namespace loiter::test
