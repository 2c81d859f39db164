// The model's half that looks: what one census sets right.
#include <string.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "daemon/model/host_entries.h"
#include "daemon/model/host_model.h"
#include "daemon/model/syscalls.h"

namespace loiter {

void HostModel::reconcile(const Census& census) {
  ++pass_;
  previous_mono_ns_ = begin_.mono_ns;
  begin_ = census.begin;
  over_limit_ = 0;
  doubts_ = false;
  uint64_t mistold = repairs_.renamed + repairs_.execs;
  wait_clock_.begin_pass(census.begin, census.end, census.threads);
  for (const loiter_thread& record : census.threads) take_record(record, census);
  take_still(census.still, census);
  if (repairs_.renamed + repairs_.execs != mistold) mistold_ = true;
  remove_unseen(census);
  ended_lately_.clear();
  load_details();
  ended_.expire(begin_.boot_ns);
  update_rates(census);
}

void HostModel::take_record(const loiter_thread& record, const Census& census) {
  Thread* thread = find(record.id);
  if (!thread) {
    thread = take_unknown(record, census);
    if (!thread) return;
  }
  thread->seen_pass = pass_;
  if (record.id.exec_id < thread->id.exec_id) return;  // read before the exec that the events told of
  take_identity(*thread, record, census);
  take_activity(*thread, record, census);
}

// The short records carry no start time. A tid that has gone to another thread since it was read, or to none,
// is told by events since the census began; what no event explains is doubted.
void HostModel::take_still(const std::vector<loiter_still>& records, const Census& census) {
  std::optional<std::unordered_set<uint32_t>> ended;  // made when first needed: since the census began
  auto has_ended = [&](uint32_t tid) {
    if (!ended) {
      ended.emplace();
      for (const auto& [key, boot_ns] : ended_lately_)
        if (boot_ns >= census.begin.boot_ns) ended->insert(key.tid);
    }
    return ended->contains(tid);
  };
  for (const loiter_still& record : records) {
    auto found = threads_.find(record.tid);
    bool fits = false;
    if (found != threads_.end())
      fits = take_still(record, found->second, census);
    else if (has_ended(record.tid))
      fits = true;
    else if (fits = threads_.size() >= limits_.max_threads; fits)
      ++over_limit_;
    if (fits) continue;
    ++repairs_.doubted;
    doubts_ = true;
  }
}

// All that the census before read of it holds, but for what others may change. False: it cannot be so.
bool HostModel::take_still(const loiter_still& record, Thread& thread, const Census& census) {
  if (thread.is_younger_than(census.begin.boot_ns))
    return true;  // the record is of who had the tid, or was it
  bool sampled_before = thread.sampled_pass + 1 == pass_;
  thread.seen_pass = pass_;
  if (thread.ended_boot_ns >= census.begin.boot_ns) return true;
  if (!sampled_before || thread.id.tgid != record.tgid || thread.cpu_ns != record.cpu_ns ||
      !is_blocked(thread.state))
    return false;
  thread.state = state_of(record);
  thread.sampled_pass = pass_;
  if (!thread.is_leader()) return true;
  Process& process = process_of(thread.id);
  process.parent_pid = record.parent_tgid;
  if (process.cgroup_id != record.cgroup_id) process.details_loaded = false;
  process.cgroup_id = record.cgroup_id;
  return thread.id.exec_id == record.exec_id;
}

// A thread that the events did not tell of. Null: it is not to be kept.
HostModel::Thread* HostModel::take_unknown(const loiter_thread& record, const Census& census) {
  TaskKey key = key_of(record.id);
  auto lately = ended_lately_.find(key);
  if (lately != ended_lately_.end() && lately->second >= census.begin.boot_ns) return nullptr;
  if (superseded(record.id)) return nullptr;  // likewise: it was read before it ended
  std::optional<EndedThread> ended;
  if (const EndedThread* kept = ended_.find(key)) ended = *kept;
  Thread* thread = insert(record.id, census.begin.boot_ns);
  if (!thread) {
    ++over_limit_;
  } else if (ended) {  // it has left user mode for good but is not gone yet: stuck on its way out, or traced
    thread->creator = ended->creator;
    thread->creator_tgid = record.id.tgid;
    thread->ended_boot_ns = ended->ended_boot_ns;
    if (!thread->is_leader()) {
      std::optional<uint64_t> lifetime_ns;
      if (ended->exactness == Exactness::exact) lifetime_ns = ended->ended_boot_ns - key.start_boot_ns;
      thread->origin =
          origins_.take_back_end(record.id.tgid, key, ended->origin, census.begin.boot_ns, lifetime_ns);
    }
    Process& process = process_of(record.id);
    process.cpu_ended_ns -= std::min(process.cpu_ended_ns, ended->cpu_ns);
  } else if (pass_ > 1) {
    ++repairs_.added;
    thread->added_by_census = true;
  }
  if (thread && !ended && !thread->is_leader())
    thread->origin = origins_.add_found(record.id.tgid, key, census.begin.boot_ns, pass_ == 1);
  return thread;
}

void HostModel::take_identity(Thread& thread, const loiter_thread& record, const Census& census) {
  if (record.id.exec_id > thread.id.exec_id) {  // an exec that was lost
    if (thread.sampled_pass != 0) ++repairs_.execs;
    thread.id.exec_id = record.id.exec_id;
    thread.ended_boot_ns = 0;  // that was the old leader's
    thread.state = TaskState::running;
  }
  if (thread.named_boot_ns < census.begin.boot_ns) {
    Comm name = to_comm({record.comm, strnlen(record.comm, LOITER_COMM_LEN)});
    if (std::memcmp(&name, &thread.name, sizeof(name)) != 0) {
      if (thread.sampled_pass != 0) ++repairs_.renamed;
      thread.name = name;
    }
  }
  if (record.id.tid != record.id.tgid) return;
  Process& process = process_of(record.id);
  process.parent_pid = record.parent_tgid;
  process.uid = record.uid;
  process.kernel = record.task_flags & kPfKthread;
  if (process.exec_id != record.id.exec_id || process.cgroup_id != record.cgroup_id)
    process.details_loaded = false;
  process.exec_id = record.id.exec_id;
  process.cgroup_id = record.cgroup_id;
}

void HostModel::take_activity(Thread& thread, const loiter_thread& record, const Census& census) {
  bool ended_since = thread.ended_boot_ns >= census.begin.boot_ns;  // then the events know better
  uint64_t switches = record.voluntary_switches + record.involuntary_switches;
  bool ran = thread.sampled_pass == 0 || !is_blocked(thread.state) ||
             switches != thread.voluntary_switches + thread.involuntary_switches;
  if (!ended_since) {
    thread.state = state_of(record);
    date_wait(thread, record, census, ran);
  }
  bool has_call = (record.marks & LOITER_MARK_REGS) && !(record.marks & LOITER_MARK_USER_WORKER) &&
                  record.regs.syscall >= 0;
  bool is_in_it = is_blocked(thread.state) || thread.state == TaskState::runnable;
  thread.syscall = has_call && is_in_it ? record.regs.syscall : -1;
  thread.compat = record.marks & LOITER_MARK_COMPAT;
  thread.polls = has_call && !is_blocked(thread.state) && is_poll_call(record.regs.syscall, thread.compat);
  thread.cpu = record.cpu;
  thread.cpu_ns = record.cpu_ns;
  thread.voluntary_switches = record.voluntary_switches;
  thread.involuntary_switches = record.involuntary_switches;
  thread.exec_start = record.exec_start;
  thread.sampled_pass = pass_;
}

// Two ways tell since when: the switch counts seen by two censuses, and exec_start. The first is exact but
// as coarse as the interval; where the second falls outside of what the first allows, the first holds.
void HostModel::date_wait(Thread& thread, const loiter_thread& record, const Census& census, bool ran) {
  if (!is_blocked(thread.state)) {
    thread.wait.reset();
    return;
  }
  if (!ran && thread.wait) {
    if (record.exec_start != thread.exec_start) ++repairs_.redated;
    return;
  }
  int64_t now = static_cast<int64_t>(census.end.mono_ns);
  // A thread does not wait since before it began; nor, where the census before saw it running or with other
  // counts, since before that.
  bool seen_before = thread.sampled_pass != 0 && thread.sampled_pass + 1 == pass_;
  int64_t not_before =
      static_cast<int64_t>(record.id.start_boot_ns - census.begin.boot_ns + census.begin.mono_ns);
  if (seen_before) not_before = std::max(not_before, static_cast<int64_t>(previous_mono_ns_));
  std::optional<MomentRange> range = wait_clock_.wait_start(record.cpu, record.exec_start);
  if (range && (range->earliest_ns > now + kClockSlackNs || range->latest_ns < not_before - kClockSlackNs)) {
    ++repairs_.redated;
    range.reset();
  }
  // Just begun, by a clock offset that was read a little stale, hence too large: a tick's worth, or as long
  // as the hypervisor kept the CPU to itself.
  if (range && range->earliest_ns > now) range->earliest_ns = now - kClockSlackNs;
  DatedWait& wait = thread.wait.emplace();
  if (range) {
    wait.latest_ns = std::min(range->latest_ns, now);
    wait.earliest_ns = std::min(std::max(range->earliest_ns, not_before), wait.latest_ns);
    wait.exactness = Exactness::estimated;
  } else {
    wait.latest_ns = now;
    bool born_in_sight = thread.born_event_boot_ns != 0;
    if (seen_before || born_in_sight) wait.earliest_ns = not_before;
    wait.exactness = wait.earliest_ns ? Exactness::estimated : Exactness::lower_bound;
  }
}

void HostModel::remove_unseen(const Census& census) {
  std::vector<uint32_t> gone;
  for (const auto& [tid, thread] : threads_) {
    if (thread.seen_pass != pass_ && !thread.is_younger_than(census.begin.boot_ns)) gone.push_back(tid);
  }
  for (uint32_t tid : gone) end_unseen(tid, census.begin.boot_ns);
}

void HostModel::load_details() {
  for (auto& [pid, process] : processes_) {
    if (process.details_loaded || process.key.start_boot_ns == 0) continue;
    process.details_loaded = true;
    std::optional<ProcessDetails> details = details_(pid, process.key.start_boot_ns);
    if (!details) continue;  // gone; the next census tells
    if (!details->exe.empty() || process.exe.empty()) process.exe = std::move(details->exe);
    process.cgroup = std::move(details->cgroup);
  }
}

void HostModel::update_rates(const Census& census) {
  for (auto& [pid, process] : processes_) process.cpu_live_ns = 0;
  for (const auto& [tid, thread] : threads_) process_of(thread.id).cpu_live_ns += thread.cpu_ns;
  uint64_t elapsed = census.begin.boot_ns - rates_boot_ns_;
  bool first = rates_boot_ns_ == 0;
  if (!first && elapsed < kRatePeriodNs) return;
  double seconds = first ? 0 : static_cast<double>(elapsed) / 1e9;
  auto rate = [&](uint64_t now, uint64_t before) {
    return first || now < before ? 0.0 : static_cast<double>(now - before) / seconds;
  };
  for (auto& [pid, process] : processes_) {
    uint64_t cpu_ns = process.cpu_ns();
    process.born_per_s = rate(process.born, process.born_at_rates);
    process.ended_per_s = rate(process.ended, process.ended_at_rates);
    process.cpu_fraction = process.cpu_at_rates ? rate(cpu_ns, *process.cpu_at_rates) / 1e9 : 0;
    process.born_at_rates = process.born;
    process.ended_at_rates = process.ended;
    process.cpu_at_rates = cpu_ns;
  }
  born_per_s_ = rate(events_.born, events_at_rates_.born);
  ended_per_s_ = rate(events_.ended, events_at_rates_.ended);
  events_at_rates_ = events_;
  rates_boot_ns_ = census.begin.boot_ns;
}

}  // namespace loiter
